package format

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// readIndices are n numbers in the hybrid encoding.
func readIndices(t *testing.T, encoded []byte, n, width int) []uint32 {
	t.Helper()
	r, err := newRuns(encoded, width)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]uint32, n)
	if err := r.read(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestIndicesAreEncodedAsRuns(t *testing.T) {
	run := func(number uint32, n int) []uint32 { return slices.Repeat([]uint32{number}, n) }
	for name, c := range map[string]struct {
		numbers []uint32
		width   int
		want    []byte
	}{
		"none":                  {nil, 1, nil},
		"a run":                 {run(5, 100), 3, []byte{200, 1, 5}},
		"a run of two bytes":    {run(300, 8), 9, []byte{16, 44, 1}},
		"packed":                {[]uint32{0, 1, 2, 3, 4, 5, 6, 7}, 3, []byte{3, 0x88, 0xc6, 0xfa}}, // as in Parquet's specification
		"packed, filled up":     {[]uint32{1}, 8, []byte{3, 1, 0, 0, 0, 0, 0, 0, 0}},
		"too short for a run":   {run(1, 7), 1, []byte{3, 0x7f}},
		"a run between":         {slices.Concat([]uint32{0, 1, 0, 1, 0, 1, 0, 1}, run(1, 9), []uint32{0}), 1, []byte{3, 0xaa, 18, 1, 3, 0}},
		"a run that ends later": {append(run(1, 11), 0, 1), 1, []byte{22, 1, 3, 2}},
	} {
		got := appendIndices([]byte{9}, c.numbers, c.width)[1:]
		if !bytes.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		if back := readIndices(t, got, len(c.numbers), c.width); !slices.Equal(back, c.numbers) {
			t.Errorf("%s: read as %v", name, back)
		}
	}
}

func TestLevels(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 3))
		rows := 1 + r.IntN(100)
		valid := make([]byte, 20)
		for i := range rows {
			bitutil.SetBitTo(valid, i, r.Uint64N(3) < seed%4) // never, now and then, always
		}
		for i := rows; i < len(valid)*8; i++ {
			bitutil.SetBitTo(valid, i, r.IntN(2) == 0) // of no account
		}
		set := bitutil.CountSetBits(valid, 0, rows)
		encoded, rest, ok := prefixed(append(appendLevels(nil, valid, rows, rows-set), "rest"...))
		levels, err := newRuns(encoded, 1)
		if !ok || string(rest) != "rest" || err != nil {
			t.Fatalf("seed %d: %t, %q, %v", seed, ok, rest, err)
		}
		got := make([]byte, len(valid))
		n, err := levels.readBits(got, 0, rows)
		if err != nil || n != set {
			t.Fatalf("seed %d: %d are set, want %d: %v", seed, n, set, err)
		}
		for i := range rows {
			if bitutil.BitIsSet(got, i) != bitutil.BitIsSet(valid, i) {
				t.Fatalf("seed %d: row %d of %d", seed, i, rows)
			}
		}
	}
}

func FuzzIndices(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint8(2))
	f.Add(bytes.Repeat([]byte{7}, 100), uint8(3))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2}, uint8(32))
	f.Fuzz(func(t *testing.T, data []byte, width uint8) {
		w := 1 + int(width)%maxIndexWidth
		var numbers []uint32
		for i, b := range data {
			number := uint32(b) * 0x01010101 >> (32 - w)
			for range 1 + int(b)%(1+i%20) {
				numbers = append(numbers, number)
			}
		}
		if got := readIndices(t, appendIndices(nil, numbers, w), len(numbers), w); !slices.Equal(got, numbers) {
			t.Errorf("%d bits: %v became %v", w, numbers, got)
		}
	})
}
