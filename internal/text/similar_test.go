package text

import (
	"strings"
	"testing"
)

func TestSimilarNames(t *testing.T) {
	names := []string{"a", "flights", "flights-2024", "trips", "zones"}
	for asked, want := range map[string]string{
		"flihgts":                "flights",
		"flight":                 "flights",
		"TRIPS":                  "trips",
		"trip":                   "trips",
		"tripss":                 "trips",
		"flights-2023":           "flights-2024",
		"b":                      "", // as far from a as it is long
		"penguins":               "",
		"":                       "",
		strings.Repeat("x", 1e6): "",
	} {
		if got := Similar(asked, names); got != want {
			t.Errorf("similar to %.20q is %q, want %q", asked, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"ab", "ba", 2}, {"trips", "rips", 1}} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("from %q to %q are %d edits, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
