// Package authz is what callers may do: rules over datasets, which add up. It decides, and does nothing by itself: who calls is package authn's
// business, what a query sees package scan's, and that nobody gets past it that of the server.
package authz

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/flight-operator/flight-operator/flightruntime/authn"
)

// Policy is a set of rules, compiled. It never changes, and any number of calls may ask it at a time.
type Policy struct {
	rules []rule
	// byUser and byGroup have the indexes, ascending, of the rules for each.
	byUser, byGroup map[string][]int
	hash            string
}

// Compile makes a policy of rules. Its error names what is wrong with them, each by the index of the rule and the field; then there is no policy.
func Compile(rules []Rule) (*Policy, error) {
	p := &Policy{byUser: map[string][]int{}, byGroup: map[string][]int{}}
	var errs []error
	for i, r := range rules {
		c, err := compileRule(r)
		for _, e := range all(err) {
			errs = append(errs, fmt.Errorf("rules[%d].%w", i, e))
		}
		p.rules = append(p.rules, c)
		for _, s := range r.Subjects {
			if s.User != "" {
				p.byUser[s.User] = append(p.byUser[s.User], i)
			} else {
				p.byGroup[s.Group] = append(p.byGroup[s.Group], i)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	text, err := json.Marshal(rules)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	p.hash = hex.EncodeToString(sum[:8])
	return p, nil
}

// all are the errors that were joined.
func all(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

// Hash is the same for the same rules in the same order, on every replica: 16 digits in hexadecimal.
func (p *Policy) Hash() string { return p.hash }

// Allows is what a caller may see of a dataset by a verb, false if they may not use the verb on it. For Action, see AllowsAction.
func (p *Policy) Allows(id *authn.Identity, v Verb, dataset string) (Grant, bool) {
	return p.granted(id, func(r *rule) bool { return r.has(v) && anyMatches(r.datasets, dataset) })
}

// AllowsAction is Allows for running an action on a dataset.
func (p *Policy) AllowsAction(id *authn.Identity, action, dataset string) (Grant, bool) {
	return p.granted(id, func(r *rule) bool {
		return r.has(Action) && anyMatches(r.actions, action) && anyMatches(r.datasets, dataset)
	})
}

// AllowsSome is true if there may be a dataset that a caller may use a verb on; the grant tells by which rules.
func (p *Policy) AllowsSome(id *authn.Identity, v Verb) (Grant, bool) {
	return p.granted(id, func(r *rule) bool { return r.has(v) })
}

// AllowsSomeAction is true if there may be a dataset that a caller may run an action on; the grant tells by which rules. It is for actions that
// concern no dataset by name.
func (p *Policy) AllowsSomeAction(id *authn.Identity, action string) (Grant, bool) {
	return p.granted(id, func(r *rule) bool { return r.has(Action) && anyMatches(r.actions, action) })
}

// Lists is true if a caller may know whether there is a dataset of that name.
func (p *Policy) Lists(id *authn.Identity, dataset string) bool {
	_, ok := p.Allows(id, List, dataset)
	return ok
}

// granted adds up the rules for a caller that a condition holds for. All of them are looked at, whatever the first ones say: a refusal takes
// as long whether the dataset is there or not.
func (p *Policy) granted(id *authn.Identity, holds func(*rule) bool) (Grant, bool) {
	var g Grant
	if id == nil {
		return g, false
	}
	whole := false
	for _, i := range p.of(id) {
		r := &p.rules[i]
		if !holds(r) {
			continue
		}
		g.rules = append(g.rules, i)
		if r.part == nil {
			whole = true
		} else {
			g.parts = append(g.parts, grantedPart{r.part, i})
		}
	}
	if whole {
		g.parts = nil
	}
	return g, len(g.rules) > 0
}

// of are the rules for a caller, ascending.
func (p *Policy) of(id *authn.Identity) []int {
	found := p.byUser[id.User]
	merged := false
	for _, group := range id.Groups {
		more := p.byGroup[group]
		switch {
		case len(more) == 0:
		case len(found) == 0:
			found = more
		default:
			found = append(slices.Clip(found), more...)
			merged = true
		}
	}
	if merged {
		slices.Sort(found)
		found = slices.Compact(found)
	}
	return found
}
