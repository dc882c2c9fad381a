package authz

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// Grant is what a policy lets a caller see of a dataset by some verb. It never changes.
type Grant struct {
	rules []int
	parts []grantedPart // nil: all of it
}

// grantedPart is a part, and the rule that grants it.
type grantedPart struct {
	*part
	rule int
}

// Rules are the indexes, ascending, of the rules that grant it.
func (g Grant) Rules() []int { return slices.Clone(g.rules) }

// Whole is true if nothing of the dataset is hidden.
func (g Grant) Whole() bool { return len(g.rules) > 0 && g.parts == nil }

// Covers is true if the grant shows all that another one shows.
func (g Grant) Covers(other Grant) bool {
	if g.Whole() {
		return true
	}
	if other.Whole() {
		return false
	}
	for _, p := range other.parts {
		if !slices.ContainsFunc(g.parts, func(q grantedPart) bool { return p.key == q.key }) {
			return false
		}
	}
	return true
}

// ErrNothing says that no rule of a grant is right for the dataset, so that nothing of it is visible.
var ErrNothing = errors.New("no rule that grants it goes with the dataset's columns")

// View is what the grant shows a caller of a dataset of that schema; nil if it is all of it. A rule that does not go with the schema, because
// its filter has a mistake or because it names no column that there is, grants nothing: problems tells whoever runs the server of each, by its
// index. The error is ErrNothing.
func (g Grant) View(schema *arrow.Schema, id *authn.Identity) (view *scan.View, problems []error, err error) {
	if g.Whole() {
		return nil, nil, nil
	}
	var parts []scan.Part
	var rules []int
	seen := map[string]bool{}
	for _, p := range g.parts {
		if seen[p.key] {
			continue
		}
		seen[p.key] = true
		columns := p.fields(schema)
		if columns != nil && len(columns) == 0 {
			problems = append(problems, fmt.Errorf("rules[%d].columns: the dataset has none of these columns", p.rule))
			continue
		}
		parts, rules = append(parts, scan.Part{Columns: columns, Filter: p.filter}), append(rules, p.rule)
	}
	who := scan.Caller{User: id.User, Groups: id.Groups, Claims: id.Claims}
	for len(parts) > 0 {
		view, err := scan.NewView(schema, parts, who)
		if err == nil {
			return view, problems, nil
		}
		var wrong *scan.PartError
		if !errors.As(err, &wrong) {
			return nil, append(problems, err), ErrNothing
		}
		problems = append(problems, fmt.Errorf("rules[%d].filter: %w", rules[wrong.Part], wrong.Err))
		parts, rules = slices.Delete(parts, wrong.Part, wrong.Part+1), slices.Delete(rules, wrong.Part, wrong.Part+1)
	}
	return nil, problems, ErrNothing
}

// fields are the indices of the columns of a part; nil for all.
func (p *part) fields(schema *arrow.Schema) []int {
	if p.columns == nil {
		return nil
	}
	fields := []int{}
	for i, f := range schema.Fields() {
		if anyMatches(p.columns, f.Name) {
			fields = append(fields, i)
		}
	}
	return fields
}
