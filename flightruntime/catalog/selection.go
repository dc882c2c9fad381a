package catalog

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// Selection is the units of one part that are read. Units of nil means all of them.
type Selection struct {
	Part  int
	Units []int
}

// ReadSelected yields the record batches of some units, in order, as Read does those of all. The Units of the options are not used.
func (s *Snapshot) ReadSelected(ctx context.Context, selected []Selection, opts format.ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, sel := range selected {
			opts.Units = sel.Units
			for batch, err := range s.ReadPart(ctx, sel.Part, opts) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}
