package desired_test

import (
	"encoding/pem"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/controllers/desired"
)

// ca stands for CA certificates, one a letter.
func ca(letters string) (out []byte) {
	for _, l := range letters {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(string(l))})...)
	}
	return out
}

func TestOverlapping(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	const overlap = time.Hour
	end := now.Add(overlap)
	for _, c := range []struct {
		name   string
		before desired.Trust
		ca     string
		want   desired.Trust
	}{
		{"the first", desired.Trust{}, "a", desired.Trust{CA: ca("a")}},
		{"the same", desired.Trust{CA: ca("a")}, "a", desired.Trust{CA: ca("a")}},
		{"nobody tells any more", desired.Trust{CA: ca("a")}, "", desired.Trust{CA: ca("a")}},
		{"another", desired.Trust{CA: ca("a")}, "b", desired.Trust{CA: ca("ba"), OverlapUntil: end}},
		{"while both are trusted", desired.Trust{CA: ca("ba"), OverlapUntil: now.Add(time.Second)}, "b", desired.Trust{CA: ca("ba"), OverlapUntil: now.Add(time.Second)}},
		{"when that is over", desired.Trust{CA: ca("ba"), OverlapUntil: now}, "b", desired.Trust{CA: ca("b")}},
		{"a third while both are trusted", desired.Trust{CA: ca("ba"), OverlapUntil: now.Add(time.Second)}, "c", desired.Trust{CA: ca("cba"), OverlapUntil: end}},
		{"back to the first", desired.Trust{CA: ca("ba"), OverlapUntil: now.Add(time.Second)}, "a", desired.Trust{CA: ca("ab"), OverlapUntil: now.Add(time.Second)}},
		{"one more, by whoever issues", desired.Trust{CA: ca("a")}, "ba", desired.Trust{CA: ca("ba")}},
		{"a time that was spoiled", desired.Trust{CA: ca("ba")}, "b", desired.Trust{CA: ca("ba"), OverlapUntil: end}},
		{"twice in a bundle", desired.Trust{}, "aba", desired.Trust{CA: ca("ab")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, desired.Overlapping(c.before, ca(c.ca), now, overlap)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
