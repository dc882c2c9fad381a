package authn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// claim is the value of a claim by its name; dots lead into objects, unless there is a claim of the whole name, as of
// "https://example.com/groups". nil: there is none.
func claim(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, nested := strings.Cut(name, ".")
	for nested {
		if inner, ok := claims[first].(map[string]any); ok {
			return claim(inner, rest)
		}
		var more string
		more, rest, nested = strings.Cut(rest, ".")
		first += "." + more
	}
	return nil
}

// userOf is the user that a claim names.
func userOf(claims map[string]any, name string) (string, error) {
	user, ok := claim(claims, name).(string)
	if !ok {
		return "", fmt.Errorf("expected a string as its claim %s, which names the user, found %s", name, kindOf(claim(claims, name)))
	}
	if err := checkName(user); err != nil {
		return "", fmt.Errorf("its claim %s names the user: %w", name, err)
	}
	// An issuer may let anybody claim any address; then it says that it has not verified this one.
	if verified := claim(claims, name+"_verified"); verified != nil && !hasValue(verified, "true") {
		return "", fmt.Errorf("its claim %s_verified is not true: have the issuer verify it", name)
	}
	return user, nil
}

// groupsOf are the groups that a claim names, by one string or a list. What is no group's name is left out.
func groupsOf(claims map[string]any, name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	switch v := claim(claims, name).(type) {
	case nil:
		return nil, nil
	case string:
		return goodGroups([]string{v}), nil
	case []any:
		var groups []string
		for _, g := range v {
			s, ok := g.(string)
			if !ok {
				return nil, fmt.Errorf("expected strings in its claim %s, which names the groups, found %s", name, kindOf(g))
			}
			groups = append(groups, s)
		}
		return goodGroups(groups), nil
	default:
		return nil, fmt.Errorf("expected a list of strings as its claim %s, which names the groups, found %s", name, kindOf(v))
	}
}

// require refuses claims that lack one with the value that is wanted. A list has it as one of its items. The error does not tell which value that
// would be.
func require(claims map[string]any, required map[string]string) error {
	for name, want := range required {
		if !hasValue(claim(claims, name), want) {
			return fmt.Errorf("its claim %s is not as this server requires", name)
		}
	}
	return nil
}

func hasValue(v any, want string) bool {
	switch v := v.(type) {
	case string:
		return v == want
	case bool:
		return strconv.FormatBool(v) == want
	case float64:
		n, err := json.Marshal(v)
		return err == nil && string(n) == want
	case []any:
		for _, item := range v {
			if _, list := item.([]any); !list && hasValue(item, want) {
				return true
			}
		}
	}
	return false
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "none"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case float64:
		return "a number"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

// prefixServiceAccount begins the names of Kubernetes' service accounts.
const prefixServiceAccount = SystemPrefix + "serviceaccount:"

// serviceAccountGroups are the groups of a service account by its name, system:serviceaccount:NAMESPACE:NAME.
func serviceAccountGroups(user string) ([]string, error) {
	rest, ok := strings.CutPrefix(user, prefixServiceAccount)
	namespace, name, found := strings.Cut(rest, ":")
	if !ok || !found || !isDNSName(namespace) || !isDNSName(name) {
		return nil, errors.New("it is not of a service account: expected the subject " + prefixServiceAccount + "NAMESPACE:NAME")
	}
	const all = SystemPrefix + "serviceaccounts"
	return []string{all, all + ":" + namespace}, nil
}

// isDNSName is true of what Kubernetes takes as a name, but for where '-' and '.' may stand.
func isDNSName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}
