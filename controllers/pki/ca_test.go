package pki

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWithoutRetired(t *testing.T) {
	now := time.Now()
	file := map[rune][]byte{}
	for _, letter := range "ab" {
		ca, err := NewCA(now, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		file[letter] = encodeCertificate(ca.Certificate)
		if letter == 'a' { // x is somebody else's
			leaf, _, err := issue(ca, Request{CommonName: "flight-operator CA of somebody", DNSNames: []string{"x"}, Usage: UsageServer, Lifetime: time.Minute}, now)
			if err != nil {
				t.Fatal(err)
			}
			file['x'] = encodeCertificate(leaf)
		}
	}
	pem := func(letters string) []byte {
		var all [][]byte
		for _, letter := range letters {
			all = append(all, file[letter])
		}
		return slices.Concat(all...)
	}
	for _, c := range []struct{ name, before, bundle, want string }{
		{"nothing before", "", "a", ""},
		{"the same", "a", "a", "a"},
		{"one more", "a", "ba", "a"},
		{"one less", "ba", "b", "b"},
		{"somebody else's", "x", "a", "x"},
		{"somebody else's, and a retired one", "bx", "a", "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(string(pem(c.want)), string(WithoutRetired(pem(c.before), pem(c.bundle)))); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := WithoutRetired([]byte(strings.Repeat("spoiled", 3)), pem("a")); len(got) != 0 {
		t.Errorf("of a spoiled file: %s", got)
	}
}
