package authz

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// Verb is a kind of thing that callers do.
type Verb string

// The verbs.
const (
	// List is to learn that a dataset is there.
	List Verb = "list"
	// Get is to learn its schema and to read it.
	Get Verb = "get"
	// Put is to add to it; to overwrite it takes the action Delete too.
	Put Verb = "put"
	// Exchange is to subscribe to it.
	Exchange Verb = "exchange"
	// Action is to run actions on it, those that the rule names.
	Action Verb = "action"
)

var verbs = []Verb{List, Get, Put, Exchange, Action}

// Subject is a user or a group: exactly one of the two is set. Both are names to the letter.
type Subject struct {
	User  string `json:"user,omitempty"`
	Group string `json:"group,omitempty"`
}

// Rule says what some callers may do with some datasets. What no rule says, nobody may.
type Rule struct {
	// Subjects are who the rule is for: one at least.
	Subjects []Subject `json:"subjects"`
	// Datasets are names, or patterns of names as path.Match has them: one at least.
	Datasets []string `json:"datasets"`
	// Verbs are what they may do: one at least.
	Verbs []Verb `json:"verbs"`
	// Actions are those that the verb action is for, by names or patterns. "*" means all.
	Actions []string `json:"actions,omitempty"`
	// Columns are those that the rule grants, by names or patterns. nil means all.
	Columns []string `json:"columns,omitempty"`
	// Filter is a condition that the rows have to meet that the rule grants, in CEL as package scan has it for views. Empty means every row.
	Filter string `json:"filter,omitempty"`
}

// rule is a Rule, compiled.
type rule struct {
	datasets, actions []glob
	verbs             []Verb
	// part is what of a dataset the rule grants; nil if it is all of it.
	part *part
}

// part is what of a dataset some rules grant.
type part struct {
	columns []glob // nil means all
	filter  string
	// key is the same for the same part.
	key string
}

func (r rule) has(v Verb) bool { return slices.Contains(r.verbs, v) }

// compileRule says all that is wrong with a rule.
func compileRule(r Rule) (rule, error) {
	var c rule
	var errs []error
	problem := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %w", field, fmt.Errorf(format, args...)))
	}
	globs := func(field string, texts []string) (out []glob) {
		for i, text := range texts {
			g, err := parseGlob(text)
			if err != nil {
				problem(fmt.Sprintf("%s[%d]", field, i), "the pattern %q: %w", text, err)
			}
			out = append(out, g)
		}
		return out
	}
	if len(r.Subjects) == 0 {
		problem("subjects", "there are none: expected one at least, such as {group: analysts}")
	}
	for i, s := range r.Subjects {
		if (s.User == "") == (s.Group == "") {
			problem(fmt.Sprintf("subjects[%d]", i), "expected a user or a group, exactly one of the two")
		}
	}
	if len(r.Datasets) == 0 {
		problem("datasets", "there are none: expected names or patterns, such as \"trips-*\"; \"*\" means all")
	}
	c.datasets = globs("datasets", r.Datasets)
	if len(r.Verbs) == 0 {
		problem("verbs", "there are none: expected some of %s", verbNames())
	}
	for i, v := range r.Verbs {
		if !slices.Contains(verbs, v) {
			problem(fmt.Sprintf("verbs[%d]", i), "there is no verb %q: expected one of %s", v, verbNames())
		}
	}
	c.verbs = r.Verbs
	switch acts := c.has(Action); {
	case acts && len(r.Actions) == 0:
		problem("actions", "there are none, and the verb action is for those that are named: name some, such as \"Refresh\"; \"*\" means all")
	case !acts && len(r.Actions) > 0:
		problem("actions", "there are some, and the verb action is not among the verbs: add it, or leave out the actions")
	}
	c.actions = globs("actions", r.Actions)
	if r.Columns != nil && len(r.Columns) == 0 {
		problem("columns", "there are none: name some, or leave the field out, which means all")
	}
	columns := globs("columns", r.Columns)
	if slices.ContainsFunc(columns, glob.everything) {
		columns = nil
	}
	if r.Filter != "" {
		if err := scan.CheckFilter(r.Filter); err != nil {
			problem("filter", "%w", err)
		}
	}
	if columns != nil || r.Filter != "" {
		c.part = &part{columns: columns, filter: r.Filter, key: partKey(columns, r.Filter)}
		if c.has(Put) {
			problem("verbs", "put needs all columns and rows, and this rule grants some: write another rule for put")
		}
	}
	return c, errors.Join(errs...)
}

func partKey(columns []glob, filter string) string {
	texts := make([]string, len(columns))
	for i, g := range columns {
		texts[i] = g.text
	}
	slices.Sort(texts)
	return fmt.Sprintf("%q %q", slices.Compact(texts), filter)
}

func verbNames() string {
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}
