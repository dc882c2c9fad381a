package authz

import "github.com/flight-operator/flight-operator/api/v1alpha1"

// FromAPI are the rules of a FlightServer. Datasets and actions that are left out there mean all.
func FromAPI(rules []v1alpha1.AuthRule) []Rule {
	all := func(globs []string) []string {
		if len(globs) == 0 {
			return []string{"*"}
		}
		return globs
	}
	out := make([]Rule, len(rules))
	for i, r := range rules {
		out[i] = Rule{Datasets: all(r.Datasets), Columns: r.Columns, Filter: r.Filter}
		for _, s := range r.Subjects {
			out[i].Subjects = append(out[i].Subjects, Subject{User: s.User, Group: s.Group})
		}
		for _, v := range r.Verbs {
			out[i].Verbs = append(out[i].Verbs, Verb(v))
			if v == v1alpha1.VerbAction {
				out[i].Actions = all(r.Actions)
			}
		}
	}
	return out
}
