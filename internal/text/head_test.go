package text

import (
	"cmp"
	"strings"
	"testing"
)

func TestHeadsAreInTheOrderOfTheirTexts(t *testing.T) {
	texts := []string{"", "\x00", "a", "a\x00", "aa", "abcdefg", "abcdefgh", "abcdefghi", "abcdefgz", "b", "\x80", "\xff", strings.Repeat("\xff", 9)}
	for _, v := range texts {
		for _, w := range texts {
			if by := cmp.Compare(Head(v), Head(w)); by != 0 && by != strings.Compare(v, w) {
				t.Errorf("the head of %q compares as %d with that of %q", v, by, w)
			}
		}
		if Head(v) != Head([]byte(v)) {
			t.Errorf("%q has another head as bytes", v)
		}
	}
	if Head("abcdefgh") >= Head("abcdefgz") || Head("a") >= Head("aa") || Head("\x7f") >= Head("\x80") {
		t.Error("texts that differ in their first eight bytes have equal heads")
	}
}
