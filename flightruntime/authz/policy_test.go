package authz_test

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
)

func compile(t testing.TB, rules ...authz.Rule) *authz.Policy {
	t.Helper()
	p, err := authz.Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var (
	user  = func(name string) []authz.Subject { return []authz.Subject{{User: name}} }
	group = func(name string) []authz.Subject { return []authz.Subject{{Group: name}} }
	verbs = func(v ...authz.Verb) []authz.Verb { return v }
	ann   = &authn.Identity{User: "ann", Groups: []string{"analysts", "staff"}}
)

// analysts' rules, for most tests.
func analysts() []authz.Rule {
	return []authz.Rule{
		{Subjects: group("analysts"), Datasets: []string{"trips", "ref-*"}, Verbs: verbs("list", "get")},
		{Subjects: group("staff"), Datasets: []string{"*"}, Verbs: verbs("list")},
		{Subjects: user("ann"), Datasets: []string{"pay"}, Verbs: verbs("get"), Columns: []string{"team"}, Filter: "team == 'red'"},
		{Subjects: user("bob"), Datasets: []string{"*"}, Verbs: verbs("get", "put", "action"), Actions: []string{"Refresh", "Del*"}},
		{Subjects: []authz.Subject{{User: "ann"}, {Group: "staff"}}, Datasets: []string{"pay"}, Verbs: verbs("get"), Columns: []string{"id"}},
	}
}

func TestAllows(t *testing.T) {
	p := compile(t, analysts()...)
	bob := &authn.Identity{User: "bob"}
	for _, tt := range []struct {
		who     *authn.Identity
		verb    authz.Verb
		dataset string
		rules   []int
		whole   bool
	}{
		{ann, "get", "trips", []int{0}, true},
		{ann, "get", "ref-zones", []int{0}, true},
		{ann, "get", "reference", nil, false},
		{ann, "list", "trips", []int{0, 1}, true},
		{ann, "list", "secret", []int{1}, true},
		{ann, "get", "pay", []int{2, 4}, false},
		{ann, "put", "trips", nil, false},
		{bob, "put", "trips", []int{3}, true},
		{bob, "list", "trips", nil, false},
		{&authn.Identity{User: "analysts"}, "get", "trips", nil, false},
		{&authn.Identity{User: "eve", Groups: []string{"ann"}}, "get", "pay", nil, false},
		{&authn.Identity{Groups: []string{"analysts"}}, "get", "trips", []int{0}, true},
		{&authn.Identity{}, "get", "trips", nil, false},
		{nil, "get", "trips", nil, false},
	} {
		g, ok := p.Allows(tt.who, tt.verb, tt.dataset)
		if ok != (tt.rules != nil) || !slices.Equal(g.Rules(), tt.rules) || g.Whole() != tt.whole {
			t.Errorf("%v may %s %s: %t by rules %v, whole %t; want rules %v, whole %t", tt.who, tt.verb, tt.dataset, ok, g.Rules(), g.Whole(), tt.rules, tt.whole)
		}
		if tt.verb == authz.List && p.Lists(tt.who, tt.dataset) != ok {
			t.Errorf("%v lists %s: %t", tt.who, tt.dataset, !ok)
		}
		if _, some := p.AllowsSome(tt.who, tt.verb); ok && !some {
			t.Errorf("%v may %s %s and nothing", tt.who, tt.verb, tt.dataset)
		}
	}
	for action, want := range map[string]bool{"Refresh": true, "Delete": true, "refresh": false, "HealthCheck": false} {
		if _, ok := p.AllowsAction(bob, action, "any"); ok != want {
			t.Errorf("bob may %s: %t", action, ok)
		}
		if _, ok := p.AllowsSomeAction(bob, action); ok != want {
			t.Errorf("bob may %s something: %t", action, ok)
		}
		if _, ok := p.AllowsAction(ann, action, "trips"); ok {
			t.Errorf("ann may %s", action)
		}
	}
}

func TestNoRulesAllowNothing(t *testing.T) {
	p := compile(t)
	for _, v := range []authz.Verb{"list", "get", "put", "exchange", "action"} {
		if _, ok := p.Allows(ann, v, "trips"); ok {
			t.Errorf("ann may %s", v)
		}
	}
}

func TestWrongRules(t *testing.T) {
	good := func(change func(*authz.Rule)) authz.Rule {
		r := authz.Rule{Subjects: group("staff"), Datasets: []string{"*"}, Verbs: verbs("get")}
		change(&r)
		return r
	}
	for want, rule := range map[string]authz.Rule{
		"rules[1].subjects: there are none":                                          good(func(r *authz.Rule) { r.Subjects = nil }),
		"rules[1].subjects[0]: expected a user or a group":                           good(func(r *authz.Rule) { r.Subjects[0].User = "x" }),
		"rules[1].subjects[1]: expected a user or a group":                           good(func(r *authz.Rule) { r.Subjects = append(r.Subjects, authz.Subject{}) }),
		"rules[1].datasets: there are none":                                          good(func(r *authz.Rule) { r.Datasets = nil }),
		"rules[1].datasets[1]: the pattern \"[a\": a bracket is never closed":        good(func(r *authz.Rule) { r.Datasets = []string{"a", "[a"} }),
		"rules[1].datasets[0]: the pattern \"\": it is empty":                        good(func(r *authz.Rule) { r.Datasets = []string{""} }),
		"rules[1].verbs: there are none: expected some of list, get":                 good(func(r *authz.Rule) { r.Verbs = nil }),
		"rules[1].verbs[1]: there is no verb \"read\"":                               good(func(r *authz.Rule) { r.Verbs = verbs("get", "read") }),
		"rules[1].actions: there are none, and the verb action":                      good(func(r *authz.Rule) { r.Verbs = verbs("action") }),
		"rules[1].actions: there are some, and the verb action is not":               good(func(r *authz.Rule) { r.Actions = []string{"Refresh"} }),
		"rules[1].actions[0]: the pattern \"\\\\\": it ends with a backslash":        good(func(r *authz.Rule) { r.Verbs, r.Actions = verbs("action"), []string{`\`} }),
		"rules[1].columns: there are none: name some":                                good(func(r *authz.Rule) { r.Columns = []string{} }),
		"rules[1].columns[0]: the pattern \"[z-a]\": a range goes from z down to a":  good(func(r *authz.Rule) { r.Columns = []string{"[z-a]"} }),
		"rules[1].filter: filter, column 3: a comparison is written ==":              good(func(r *authz.Rule) { r.Filter = "a = 1" }),
		"rules[1].verbs: put needs all columns and rows":                             good(func(r *authz.Rule) { r.Verbs, r.Filter = verbs("put"), "a == 1" }),
		"rules[1].datasets: there are none" + "*" + "rules[1].verbs: there are none": {Subjects: group("staff")},
	} {
		p, err := authz.Compile([]authz.Rule{good(func(*authz.Rule) {}), rule})
		for _, part := range strings.Split(want, "*") {
			if p != nil || err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("got %v, want %s", err, part)
			}
		}
	}
	if _, err := authz.Compile([]authz.Rule{good(func(r *authz.Rule) { r.Verbs, r.Columns = verbs("put"), []string{"*"} })}); err != nil {
		t.Errorf("a rule that puts all columns: %v", err)
	}
}

func TestViewOfAGrant(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "team", Type: arrow.BinaryTypes.String}, {Name: "km/h", Type: arrow.PrimitiveTypes.Int64}}, nil)
	get := func(columns []string, filter string) authz.Rule {
		return authz.Rule{Subjects: user("ann"), Datasets: []string{"*"}, Verbs: verbs("get"), Columns: columns, Filter: filter}
	}
	for _, tt := range []struct {
		name     string
		rules    []authz.Rule
		columns  []string // nil: all of it is visible
		allRows  bool
		problems []string
		nothing  bool
	}{
		{name: "a rule that hides nothing", rules: []authz.Rule{get([]string{"id"}, ""), get(nil, "")}},
		{name: "columns add up", rules: []authz.Rule{get([]string{"id"}, ""), get([]string{"k*"}, "")}, columns: []string{"id", "km/h"}, allRows: true},
		{name: "rows", rules: []authz.Rule{get(nil, "id > 1")}, columns: []string{"id", "team", "km/h"}},
		{
			name: "a filter that is wrong grants nothing", rules: []authz.Rule{get([]string{"id"}, "row > 1"), get([]string{"team"}, "id > 'x'"), get([]string{"km*"}, "")},
			columns: []string{"km/h"}, allRows: true, problems: []string{"rules[0].filter: filter, column 1", "rules[1].filter: filter, column 4"},
		},
		{name: "columns that there are not", rules: []authz.Rule{get([]string{"x"}, "")}, problems: []string{"rules[0].columns: the dataset has none"}, nothing: true},
		{name: "a claim of another type", rules: []authz.Rule{get(nil, "id == identity.user")}, problems: []string{"rules[0].filter"}, nothing: true},
	} {
		g, ok := compile(t, tt.rules...).Allows(ann, authz.Get, "pay")
		v, problems, err := g.View(schema, ann)
		if !ok || errors.Is(err, authz.ErrNothing) != tt.nothing || (v == nil) != (tt.columns == nil) || len(problems) != len(tt.problems) {
			t.Errorf("%s: %v, %v, %v", tt.name, v, problems, err)
			continue
		}
		for i, want := range tt.problems {
			if !strings.Contains(problems[i].Error(), want) {
				t.Errorf("%s: problem %v, want %s", tt.name, problems[i], want)
			}
		}
		if v == nil {
			continue
		}
		var names []string
		for _, f := range v.Schema().Fields() {
			names = append(names, f.Name)
		}
		if d := cmp.Diff(tt.columns, names); d != "" || v.AllRows() != tt.allRows {
			t.Errorf("%s: all rows %t, %s", tt.name, v.AllRows(), d)
		}
	}
}

func TestGrantsThatCoverOthers(t *testing.T) {
	grant := func(columns []string, filter string) authz.Rule {
		return authz.Rule{Subjects: user("ann"), Datasets: []string{"*"}, Verbs: verbs("get"), Columns: columns, Filter: filter}
	}
	of := func(rules ...authz.Rule) authz.Grant {
		g, _ := compile(t, rules...).Allows(ann, authz.Get, "pay")
		return g
	}
	whole, ab, ba, rows := of(grant(nil, "")), of(grant([]string{"a", "b"}, "")), of(grant([]string{"b", "a"}, "")), of(grant(nil, "a == 1"))
	both := of(grant([]string{"a", "b"}, ""), grant(nil, "a == 1"))
	for _, tt := range []struct {
		name string
		a, b authz.Grant
		want bool
	}{
		{"all covers some", whole, ab, true},
		{"some do not cover all", ab, whole, false},
		{"the same in another order", ab, ba, true},
		{"more covers less", both, rows, true},
		{"less does not cover more", rows, both, false},
		{"nothing covers nothing of a dataset", of(), ab, false},
	} {
		if got := tt.a.Covers(tt.b); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestHash(t *testing.T) {
	rules := analysts()
	hash := compile(t, rules...).Hash()
	if again := compile(t, analysts()...).Hash(); again != hash || len(hash) != 16 {
		t.Errorf("the same rules have the hashes %s and %s", hash, again)
	}
	for i := range rules {
		changed := analysts()
		changed[i].Datasets = append(changed[i].Datasets, "more")
		if compile(t, changed...).Hash() == hash {
			t.Errorf("with another rule %d, the hash is the same", i)
		}
	}
}

func TestGlobs(t *testing.T) {
	for _, tt := range []struct {
		pattern, matching, other string
	}{
		{"*", "|a|a/b|ö/", ""},
		{"trips", "trips", "|trip|trips2|Trips"},
		{"ref-*", "ref-|ref-a|ref-/", "ref|a-ref-b"},
		{"*-2024-*", "a-2024-b|-2024-|a-2024-2024-b", "a-2024|2024"},
		{"a?c", "abc|aöc|a/c", "ac|abbc"},
		{"[a-c]x", "ax|bx", "dx|x"},
		{"[^a-c]x", "dx|öx", "ax|x"},
		{`\*`, "*", "a|**"},
		{`[\]\-]`, "]|-", "a"},
		{"**a**", "a|bab", "b"},
	} {
		p := compile(t, authz.Rule{Subjects: user("ann"), Datasets: []string{tt.pattern}, Verbs: verbs("get")})
		for want, names := range map[bool]string{true: tt.matching, false: tt.other} {
			if names == "" {
				continue
			}
			for _, name := range strings.Split(names, "|") {
				if _, got := p.Allows(ann, authz.Get, name); got != want {
					t.Errorf("%s for %q: %t", tt.pattern, name, got)
				}
			}
		}
	}
}

// What has no slash is matched as by path.Match, which has no other errors either.
func FuzzGlobsAreThoseOfPathMatch(f *testing.F) {
	for _, seed := range [][2]string{{"a*b?c", "axxbyc"}, {"[a-z]*", "q"}, {`\a[^\]]`, "ab"}, {"[]a]", "]"}, {"a*a*a*b", "aaaaaaaac"}, {"[-a]", "-"}, {"[a-]", "a"}, {"[^]", "a"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if strings.Contains(pattern+name, "/") || pattern == "" || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			t.Skip()
		}
		want, wantErr := path.Match(pattern, name)
		p, err := authz.Compile([]authz.Rule{{Subjects: user("ann"), Datasets: []string{pattern}, Verbs: verbs("get")}})
		if err != nil {
			if wantErr == nil { // path.Match does not look at all of a pattern
				if _, wantErr = path.Match(pattern, strings.Repeat("a", len(pattern))); wantErr == nil && !strings.Contains(err.Error(), "range") && !strings.Contains(err.Error(), "bracket") {
					t.Errorf("%q: %v", pattern, err)
				}
			}
			return
		}
		if _, got := p.Allows(ann, authz.Get, name); wantErr == nil && got != want {
			t.Errorf("%q for %q: %t, path.Match says %t", pattern, name, got, want)
		}
	})
}

func BenchmarkAllows(b *testing.B) {
	for _, size := range []struct{ rules, mine int }{{1, 1}, {1000, 1}, {1000, 1000}} {
		rules := make([]authz.Rule, size.rules)
		for i := range rules {
			rules[i] = authz.Rule{
				Subjects: group(fmt.Sprint("group", i)), Datasets: []string{fmt.Sprintf("data-%d-*", i)}, Verbs: verbs("list", "get"),
				Columns: []string{"a"}, Filter: "b == identity.user",
			}
			if i >= size.rules-size.mine {
				rules[i].Subjects = group("analysts")
			}
		}
		p := compile(b, rules...)
		dataset := fmt.Sprintf("data-%d-x", size.rules-1)
		b.Run(fmt.Sprintf("%d rules, %d of them for the caller", size.rules, size.mine), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := p.Allows(ann, authz.Get, dataset); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
