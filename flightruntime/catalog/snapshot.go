package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// Snapshot is one version of a dataset. It never changes: a call that began with it ends with it.
type Snapshot struct {
	Name        string
	Description string
	// FormatName is the name of the format, as manifests spell it.
	FormatName string
	Layout     *format.Layout
	// SchemaIPC is the schema as Flight messages carry it.
	SchemaIPC []byte
	// EncodedSchema is what streams of the layout's schema begin with; nil if it cannot be sent.
	EncodedSchema *wire.EncodedSchema
	// SchemaFingerprint is equal for equal schemas, metadata included.
	SchemaFingerprint string
	// ReadAt is when the objects were inspected.
	ReadAt time.Time

	format   format.Format
	pages    *format.PageBudget
	versions string
	// holds is true if readers hold their objects open: clients may replace them at any time.
	holds bool
	// caching is nil if the dataset is not cached.
	caching *caching
	derived *derived
	// changed is told when an object turns out not to be the one that was inspected.
	changed func()
}

// inspect makes a snapshot of the objects as they are. Of those that the current one has in the same version, nothing is read again.
func inspect(
	ctx context.Context, spec config.Dataset, objects []source.Object, current *Snapshot, versions string, pages *format.PageBudget, changed func(),
) (*Snapshot, error) {
	f, err := format.Lookup(spec.Format)
	if err != nil {
		return nil, err
	}
	layout, err := f.Inspect(ctx, objects, current.layoutOf(spec.Format))
	if err != nil {
		return nil, err
	}
	schema := flight.SerializeSchema(layout.Schema, memory.DefaultAllocator)
	sum := sha256.Sum256(schema)
	encoded, _ := wire.EncodeSchema(layout.Schema) // whoever reads the dataset is told why there is none
	return &Snapshot{
		Name:              spec.Name,
		Description:       spec.Description,
		FormatName:        spec.Format,
		Layout:            layout,
		SchemaIPC:         schema,
		EncodedSchema:     encoded,
		SchemaFingerprint: hex.EncodeToString(sum[:8]),
		ReadAt:            time.Now(),
		format:            f,
		pages:             pages,
		versions:          versions,
		holds:             spec.Allows().Overwrite,
		changed:           changed,
		derived:           &derived{},
	}, nil
}

// derived is what somebody makes of a snapshot.
type derived struct {
	once  sync.Once
	value any
}

// Derived is what derive makes of the snapshot, once for all who ask. There is one such thing of each snapshot, so all are to ask with the same function.
func (s *Snapshot) Derived(derive func(*Snapshot) any) any {
	s.derived.once.Do(func() { s.derived.value = derive(s) })
	return s.derived.value
}

// layoutOf is the snapshot's layout if there is one, and if it is one of that format.
func (s *Snapshot) layoutOf(formatName string) *format.Layout {
	if s == nil || s.FormatName != formatName {
		return nil
	}
	return s.Layout
}

// Read yields the record batches of all objects, in order. The rules are those of format.Format's Read; opts.Units, which are of one part, is
// for ReadPart. An object that is no longer the one of the snapshot is a *ChangedError; the catalog then takes a new snapshot by itself.
func (s *Snapshot) Read(ctx context.Context, opts format.ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for part := range s.Layout.Parts {
			for batch, err := range s.ReadPart(ctx, part, opts) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
		}
	}
}

// ReadPart is Read of one part of the layout. The budget of pages is the catalog's, unless opts has another.
func (s *Snapshot) ReadPart(ctx context.Context, part int, opts format.ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	opts.Pages = cmp.Or(opts.Pages, s.pages)
	return func(yield func(arrow.RecordBatch, error) bool) {
		for batch, err := range s.format.Read(ctx, s.Layout, part, opts) {
			if err != nil {
				yield(nil, s.readError(err))
				return
			}
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// describedAs is the snapshot under a specification that reads the same objects in the same way.
func (s *Snapshot) describedAs(spec config.Dataset) *Snapshot {
	if s.Description == spec.Description {
		return s
	}
	described := *s
	described.Description = spec.Description
	described.derived = &derived{}
	return &described
}

// versionsOf identifies what was listed: equal for the same objects with the same bytes.
func versionsOf(objects []source.Object) string {
	var b strings.Builder
	for _, o := range objects {
		fmt.Fprintf(&b, "%q %q\n", o.Name(), o.Version())
	}
	return b.String()
}
