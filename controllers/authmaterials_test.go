package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

func TestAccounts(t *testing.T) {
	got := accounts(map[string][]byte{
		"users":  []byte("# comment\nada:hash\n\nbob:hash"),
		"groups": []byte("analysts: ada carl\nall: ada bob\n"),
		"tokens": []byte("secret,loader,robots|all\nsha256:ab,reader\nmalformed\n"),
	})
	want := map[string][]string{"ada": {"analysts", "all"}, "bob": {"all"}, "loader": {"robots", "all"}, "reader": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAuthWarnings(t *testing.T) {
	rule := func(datasets []string, subjects ...v1alpha1.AuthSubject) v1alpha1.AuthRule {
		return v1alpha1.AuthRule{Datasets: datasets, Subjects: subjects}
	}
	users := map[string][]string{"ada": {"analysts"}, "bob": nil}
	for _, c := range []struct {
		name  string
		plain bool
		rules []v1alpha1.AuthRule
		want  []string
	}{
		{"no rules", false, nil, []string{"spec.auth.rules: there is no rule, so that nobody may do anything"}},
		{"all is well", false, []v1alpha1.AuthRule{rule([]string{"tr*"}, v1alpha1.AuthSubject{Group: "analysts"}), rule(nil, v1alpha1.AuthSubject{User: "bob"})}, nil},
		{"all is well but for the network", true, []v1alpha1.AuthRule{rule(nil, v1alpha1.AuthSubject{Group: "system:authenticated"})}, []string{"spec.auth.insecure: passwords, tokens and data travel in plain text, and whoever reads the network can use them: set spec.tls"}},
		{"all who are known", false, []v1alpha1.AuthRule{rule(nil, v1alpha1.AuthSubject{Group: "system:authenticated"})}, nil},
		{"a rule for nothing", false, []v1alpha1.AuthRule{rule([]string{"trips", "ref-*"}, v1alpha1.AuthSubject{Group: "system:authenticated"})}, []string{`spec.auth.rules[0].datasets: "ref-*" fits no dataset`}},
		{"a user without rules", false, []v1alpha1.AuthRule{rule(nil, v1alpha1.AuthSubject{Group: "analysts"})}, []string{`user "bob" is in no rule, and may do nothing`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := &v1alpha1.FlightServer{Spec: v1alpha1.FlightServerSpec{Datasets: []v1alpha1.Dataset{{Name: "trips"}}, TLS: &v1alpha1.TLS{}, Auth: &v1alpha1.Auth{Rules: c.rules}}}
			if c.plain {
				fs.Spec.TLS = nil
			}
			if diff := cmp.Diff(c.want, authWarnings(fs, users)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
