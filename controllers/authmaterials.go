package controllers

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// objectID names a Secret or ConfigMap of a FlightServer's namespace.
type objectID struct{ kind, name string }

// authFacts are what there is of that which spec.auth names.
type authFacts struct {
	objects map[objectID]objectFacts
	// digest is config.AuthDigest of all files, empty without auth.
	digest string
	// accounts are all users that are named, with their groups.
	accounts map[string][]string
	// problem is what is missing.
	problem *status.Problem
}

// auth finds what spec.auth names, reading what is not as it was before.
func (m *materials) auth(ctx context.Context, fs *v1alpha1.FlightServer, before authFacts) (authFacts, error) {
	facts := authFacts{objects: map[objectID]objectFacts{}, accounts: map[string][]string{}}
	digests := map[config.AuthFile]string{}
	for _, f := range config.AuthFiles(fs) {
		id := objectID{f.Kind, f.Name}
		object, read := facts.objects[id]
		if !read {
			var err error
			if object, err = m.object(ctx, fs.Namespace, id, before.objects[id]); err != nil {
				return facts, err
			}
			facts.objects[id] = object
			maps.Copy(facts.accounts, object.accounts)
		}
		digest, found := object.digests[f.Key]
		switch {
		case found:
			digests[f] = digest
		case facts.problem != nil || f.Optional:
		case object.version == version{}:
			facts.problem = &status.Problem{Reason: v1alpha1.ReasonAuthSourceNotFound, Message: fmt.Sprintf("spec.auth: %s %s does not exist: create it; until then nobody is let in by it", f.Kind, f.Name)}
		default:
			facts.problem = &status.Problem{Reason: v1alpha1.ReasonAuthSourceNotFound, Message: fmt.Sprintf("spec.auth: %s %s has no %s: add it; until then nobody is let in by it", f.Kind, f.Name, f.Key)}
		}
	}
	if fs.Spec.Auth != nil {
		facts.digest = config.AuthDigest(fs, digests)
	}
	return facts, nil
}

// object reads the digests of an object's keys, if it is not as it was before.
func (m *materials) object(ctx context.Context, namespace string, id objectID, before objectFacts) (objectFacts, error) {
	key := types.NamespacedName{Namespace: namespace, Name: id.name}
	if id.kind == kindSecret {
		secret, changed, err := m.secret(ctx, key, before.version)
		if !changed || err != nil {
			return before, err
		}
		digests := make(map[string]string, len(secret.Data))
		for k, v := range secret.Data {
			digests[k] = config.Digest(v)
		}
		return objectFacts{version: versionOf(secret), digests: digests, accounts: accounts(secret.Data)}, nil
	}
	return m.configMaps.facts(ctx, key, before)
}

// observeAuth puts together what was found of auth.
func observeAuth(s *scope, seen *status.Observation) {
	if s.fs.Spec.Auth == nil {
		return
	}
	seen.Auth = &status.Auth{Problem: s.material.auth.problem, Insecure: insecure(s.fs), Warnings: authWarnings(s.fs, s.material.auth.accounts)}
	seen.Wants.Auth = s.material.auth.digest
}

// accounts are the users that a Secret's users and tokens name, with the groups of its groups and tokens. What is malformed is passed over: the servers
// tell of it.
func accounts(data map[string][]byte) map[string][]string {
	found := map[string][]string{}
	for line := range strings.Lines(string(data["users"])) {
		if user, _, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(user, "#") {
			found[user] = nil
		}
	}
	for line := range strings.Lines(string(data["groups"])) {
		group, users, _ := strings.Cut(line, ":")
		for user := range strings.FieldsSeq(users) {
			if groups, ok := found[user]; ok {
				found[user] = append(groups, strings.TrimSpace(group))
			}
		}
	}
	for line := range strings.Lines(string(data["tokens"])) {
		if fields := strings.Split(strings.TrimSpace(line), ","); len(fields) >= 2 && !strings.HasPrefix(fields[0], "#") {
			var groups []string
			if len(fields) > 2 {
				groups = strings.Split(fields[2], "|")
			}
			found[fields[1]] = groups
		}
	}
	return found
}

// groupAuthenticated is that of all callers who have shown who they are.
const groupAuthenticated = "system:authenticated"

// authWarnings are what is likely not meant: rules that fit no dataset, users that are in no rule.
func authWarnings(fs *v1alpha1.FlightServer, accounts map[string][]string) (warnings []string) {
	rules := fs.Spec.Auth.Rules
	if insecure(fs) {
		warnings = append(warnings, "spec.auth.insecure: passwords, tokens and data travel in plain text, and whoever reads the network can use them: set spec.tls")
	}
	if len(rules) == 0 {
		return append(warnings, "spec.auth.rules: there is no rule, so that nobody may do anything")
	}
	for i, r := range rules {
		for _, glob := range r.Datasets {
			fits := slices.ContainsFunc(fs.Spec.Datasets, func(d v1alpha1.Dataset) bool {
				ok, _ := path.Match(glob, d.Name) // one that is malformed does not get here
				return ok
			})
			if !fits {
				warnings = append(warnings, fmt.Sprintf("spec.auth.rules[%d].datasets: %q fits no dataset", i, glob))
			}
		}
	}
	for _, user := range slices.Sorted(maps.Keys(accounts)) {
		inRule := slices.ContainsFunc(rules, func(r v1alpha1.AuthRule) bool {
			return slices.ContainsFunc(r.Subjects, func(s v1alpha1.AuthSubject) bool {
				return s.User == user || s.Group == groupAuthenticated || s.Group != "" && slices.Contains(accounts[user], s.Group)
			})
		})
		if !inRule {
			warnings = append(warnings, fmt.Sprintf("user %q is in no rule, and may do nothing", user))
		}
	}
	return warnings
}
