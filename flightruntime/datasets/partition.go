package datasets

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

const (
	// endpointBytes of a dataset's files make an endpoint worth a stream of its own: some hundred milliseconds' work.
	endpointBytes = 64 << 20
	// maxEndpoints of one dataset: more than clients read at a time.
	maxEndpoints = 64
)

// position is a unit of a dataset: a piece of an object that can be read on its own.
type position struct {
	Object string `json:"o"`
	Unit   int    `json:"u,omitempty"`
}

// unitRange is the units from First to Last, in the order of the dataset. It means the same on every replica that sees the same objects,
// whatever else has been added to the dataset since.
type unitRange struct {
	First position `json:"f"`
	Last  position `json:"l"`
	// Objects is a digest of the names and versions of all objects of the range, and of how they are divided into units: by another version of this server, it
	// may be in another way.
	Objects string `json:"d"`
}

// partition divides a layout into ranges of about equal bytes, each worth a stream of its own. It is empty for a layout without units.
func partition(l *format.Layout, target int64, most int) []unitRange {
	var total int64
	for _, p := range l.Parts {
		for _, u := range p.Units {
			total += u.Bytes
		}
	}
	n := max(1, min(int64(most), total/target))
	size := (total + n - 1) / n
	var ranges []unitRange
	var first, last position
	firstPart, bytes := -1, int64(0)
	end := func(part int) {
		if firstPart >= 0 {
			ranges = append(ranges, unitRange{First: first, Last: last, Objects: digest(l.Parts[firstPart : part+1])})
		}
		firstPart, bytes = -1, 0
	}
	lastPart := 0
	for i, p := range l.Parts {
		for j, u := range p.Units {
			if bytes > 0 && bytes+u.Bytes > size {
				end(lastPart)
			}
			here := position{Object: p.Object.Name(), Unit: j}
			if firstPart < 0 {
				firstPart, first = i, here
			}
			last, lastPart = here, i
			bytes += u.Bytes
		}
	}
	end(lastPart)
	return ranges
}

// digest identifies objects by their names and versions, and their units by the rows that these have.
func digest(parts []format.Part) string {
	var all []byte
	for _, p := range parts {
		all = fmt.Appendf(all, "%q %q %d\n", p.Object.Name(), p.Object.Version(), len(p.Units))
		for _, u := range p.Units {
			all = binary.AppendVarint(all, u.Rows)
		}
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:8])
}

// resolve finds the range in a layout; false if its objects are no longer those of when the range was made.
func (r unitRange) resolve(l *format.Layout) ([]catalog.Selection, bool) {
	first, last := find(l, r.First), find(l, r.Last)
	if first < 0 || last < first || digest(l.Parts[first:last+1]) != r.Objects {
		return nil, false
	}
	if first == last && r.Last.Unit < r.First.Unit {
		return nil, false
	}
	selected := make([]catalog.Selection, 0, last-first+1)
	for i := first; i <= last; i++ {
		from, to := 0, len(l.Parts[i].Units)-1
		if i == first {
			from = r.First.Unit
		}
		if i == last {
			to = r.Last.Unit
		}
		units := make([]int, 0, to-from+1)
		for u := from; u <= to; u++ {
			units = append(units, u)
		}
		selected = append(selected, catalog.Selection{Part: i, Units: units})
	}
	return selected, true
}

// find is the part that a position is in; -1 if there is none.
func find(l *format.Layout, at position) int {
	for i, p := range l.Parts {
		if p.Object.Name() == at.Object {
			if at.Unit < 0 || at.Unit >= len(p.Units) {
				return -1
			}
			return i
		}
	}
	return -1
}

// everything is all units of a layout.
func everything(l *format.Layout) []catalog.Selection {
	selected := make([]catalog.Selection, len(l.Parts))
	for i := range selected {
		selected[i].Part = i
	}
	return selected
}
