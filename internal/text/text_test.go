package text

import "testing"

func TestCut(t *testing.T) {
	tests := map[string]struct {
		message string
		n       int
		want    string
	}{
		"short":              {"abc", 3, "abc"},
		"long":               {"abcdefgh", 6, "abc…"},
		"in a character":     {"ab€defgh", 7, "ab…"},
		"not UTF-8":          {"a\xffb", 10, "a\uFFFDb"},
		"less than its mark": {"abcdefgh", 1, "…"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Cut(test.message, test.n); got != test.want {
				t.Errorf("expected %q, got %q", test.want, got)
			}
		})
	}
}
