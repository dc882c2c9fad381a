package format

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

const (
	// leastUnit bytes make a unit of record batches worth being read by itself: a large Flight message, which a cache puts together.
	leastUnit = 4 << 20
	// mostUnits of one object: 64 KiB of memory in a layout, and far more than there are readers.
	mostUnits = 4096
)

// grouped puts neighbouring pieces of so many bytes together, until each group has the least number of bytes, and more if there would be
// more than mostUnits groups. It returns the index of each group's first piece. It depends on nothing else, so that it gives the same groups
// again when the object is read.
func grouped(bytes []int64, least int64) []int {
	var sum int64
	for _, n := range bytes {
		sum += min(n, math.MaxInt64-sum)
	}
	least = max(least, sum/mostUnits)
	var firsts []int
	filled := least
	for i, n := range bytes {
		if filled >= least {
			firsts = append(firsts, i)
			filled = 0
		}
		filled += n
	}
	return firsts
}

// group is the range of pieces that a group has.
func group(firsts []int, i, pieces int) (from, to int) {
	if i+1 < len(firsts) {
		return firsts[i], firsts[i+1]
	}
	return firsts[i], pieces
}

// batchUnits groups the record batches of an Arrow file by their distances from each other, for writers put one behind the other.
func batchUnits(o source.Object, offsets []int64) (firsts []int, bytes []int64) {
	bytes = make([]int64, len(offsets))
	for i, off := range offsets {
		end := o.Size()
		if i+1 < len(offsets) {
			end = offsets[i+1]
		}
		bytes[i] = max(0, end-off)
	}
	return grouped(bytes, leastUnit), bytes
}

// fileUnits reads an Arrow file's footer and the metadata of all its batches, which tell how many rows they have.
func fileUnits(o source.Object, r io.ReaderAt, check func() error) ([]Unit, error) {
	blocks, err := readFooter(o, r)
	if err != nil {
		return nil, err
	}
	firsts, bytes := batchUnits(o, blocks.Batches)
	units := make([]Unit, len(firsts))
	for i := range units {
		from, to := group(firsts, i, len(bytes))
		for b := from; b < to; b++ {
			if err := check(); err != nil {
				return nil, err
			}
			m, err := blockAt(o, r, blocks.Batches[b], ipcguard.KindRecordBatch)
			if err != nil {
				return nil, err
			}
			if units[i].Rows, err = addRows(units[i].Rows, m.Rows); err != nil {
				return nil, err
			}
			units[i].Bytes += bytes[b]
		}
	}
	return units, nil
}

// batchesOf are the offsets of the record batches that a request asks for, of those that the file has.
func batchesOf(o source.Object, offsets []int64, req *request) ([]int64, error) {
	firsts, _ := batchUnits(o, offsets)
	if len(firsts) != len(req.part.Units) {
		return nil, changed(o, errors.New("it has other record batches"))
	}
	var wanted []int64
	for _, u := range req.units {
		from, to := group(firsts, u, len(offsets))
		wanted = append(wanted, offsets[from:to]...)
	}
	return wanted, nil
}

// messagesOf are those of a file one after the other: the schema, all dictionaries, and the record batches that are listed; then io.EOF.
func messagesOf(b ipcguard.Footer, o source.Object, r io.ReaderAt) func() (message, error) {
	schemaRead := false
	known := make(map[int64]bool)
	return func() (message, error) {
		switch {
		case !schemaRead:
			schemaRead = true
			return blockAt(o, r, firstMessage, ipcguard.KindSchema)
		case len(b.Dictionaries) > 0:
			m, err := blockAt(o, r, b.Dictionaries[0], ipcguard.KindDictionaryBatch)
			b.Dictionaries = b.Dictionaries[1:]
			if err == nil && known[m.Dictionary] && !m.Delta {
				return m, fmt.Errorf("it has two dictionaries %d, of which an Arrow file can have one and its additions: write an Arrow stream", m.Dictionary)
			}
			known[m.Dictionary] = true
			return m, err
		case len(b.Batches) > 0:
			m, err := blockAt(o, r, b.Batches[0], ipcguard.KindRecordBatch)
			b.Batches = b.Batches[1:]
			return m, err
		default:
			return message{}, io.EOF
		}
	}
}
