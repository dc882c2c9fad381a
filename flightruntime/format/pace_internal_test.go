package format

import (
	"slices"
	"testing"
)

func TestBatchesGrowAndOneIsLarge(t *testing.T) {
	const kib = 1 << 10
	for _, c := range []struct {
		name   string
		perRow int64 // bytes
		roomy  bool
		want   []int64 // rows of the first batches, of a row group without end
	}{
		{"rows of 64 bytes", 64, true, []int64{64, 512, 4096, 61440, 15360, 15360}},
		{"where many read", 64, false, []int64{64, 512, 4096, 15360, 15360, 15360}},
		{"rows of 100 KiB", 100 * kib, true, []int64{9, 36, 9, 9, 9, 9}},
		{"rows larger than a batch", 2 << 20, true, []int64{1, 1, 1, 1, 1, 1}},
		{"rows of a byte: there may be so many", 1, true, []int64{64, 512, 4096, 32768, DefaultMaxRows, DefaultMaxRows}},
	} {
		p := newPace(DefaultMaxRows, 1)
		p.enter(1<<40, c.perRow<<40)
		var got []int64
		for range c.want {
			n := p.rows(1<<40, p.due() && c.roomy)
			p.took(n, n*c.perRow)
			got = append(got, n)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: batches of %v rows, want %v", c.name, got, c.want)
		}
	}
}
