package cache

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// Part is a part that can be read, for as long as a Lease has it. Its methods are safe for use by several goroutines.
type Part struct {
	cache   *Cache
	key     Key
	name    string
	mapping *mapping
	info    os.FileInfo
	index   *index
	// encoded are the messages, but for the schema's, by their number in the index.
	encoded []wire.Encoded
	fetched []atomic.Bool // which of them have been, as a whole
	// nested is true if there are dictionaries whose values have dictionaries themselves.
	nested  bool
	largest int

	noteOnce sync.Once
	note     any

	refs atomic.Int64 // the cache's own, and those of leases
	// Guarded by the cache's lock.
	used    time.Time // last, by this process
	told    time.Time // when the store was told so
	keepers map[any]bool
}

// newPart maps a complete file, which may be closed then. Its bytes are held, and no more when the part is unmapped.
func newPart(c *Cache, src Source, f *file) (p *Part, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != f.size {
		return nil, fmt.Errorf("the file has %d bytes: expected %d", info.Size(), f.size)
	}
	m, err := newMapping(f.File, f.size, c.mode == Memory)
	if err != nil {
		return nil, err
	}
	p = &Part{cache: c, key: src.Key, name: src.Name, mapping: m, info: info, index: f.index, encoded: make([]wire.Encoded, len(f.index.Messages)), fetched: make([]atomic.Bool, len(f.index.Messages)), keepers: map[any]bool{}}
	for i, msg := range f.index.Messages {
		p.encoded[i] = wire.Encoded{Data: m.bytes[msg.From:msg.To:msg.To], Rows: msg.Rows}
		p.largest = max(p.largest, len(p.encoded[i].Data))
	}
	decoder, err := p.decoder()
	if err != nil {
		return nil, fmt.Errorf("the schema in the cache: %w", errors.Join(err, m.unmap()))
	}
	p.nested = slices.ContainsFunc(decoder.Schema().Fields(), func(f arrow.Field) bool { return nestsDictionaries(f.Type, false) })
	decoder.Release()
	p.refs.Store(1)
	return p, nil
}

func (p *Part) size() int64 { return int64(len(p.mapping.bytes)) }

// release ends a reference, and after the last one the mapping.
func (p *Part) release() {
	if p.refs.Add(-1) > 0 {
		return
	}
	if err := p.mapping.unmap(); err != nil {
		p.cache.log.Error("a part of the cache could not be unmapped", "error", err)
	}
	p.cache.unmapped(p)
}

// LargestMessage is the size of the largest of the part's messages, in bytes.
func (p *Part) LargestMessage() int { return p.largest }

// Note is what decode makes of the note that the part's source has left, nil if there is none. decode is called once for all who ask.
func (p *Part) Note(decode func(note []byte) any) any {
	p.noteOnce.Do(func() {
		if len(p.index.Note) > 0 {
			p.note = decode(p.index.Note)
		}
	})
	return p.note
}

// Rows are those of a message.
type Rows struct {
	// Unit that they are of.
	Unit int
	// From and To are the numbers of rows of the part before the first and up to the last.
	From, To int64
}

// Messages yields the messages that bring rows that are wanted, for which it asks in their order, and the dictionaries that they need. Whoever
// writes them to a stream gives the lease as their owner. An error is a *LostError.
func (p *Part) Messages(wanted func(Rows) bool) iter.Seq2[*wire.Encoded, error] {
	return func(yield func(*wire.Encoded, error) bool) {
		p.walk(wanted, func(i int) bool {
			e := &p.encoded[i]
			if err := p.fetch(e.Data, !p.fetched[i].Swap(true)); err != nil {
				yield(nil, p.lose(err))
				return false
			}
			return yield(e, nil)
		})
	}
}

// Batches yields the record batches of rows that are wanted, for which it asks in their order, with the columns of some ascending indices and the
// schema that these have. A batch, and what is made of it, refers to the mapping: it is valid until the next, and as long as somebody retains the
// lease. An error is a *LostError.
func (p *Part) Batches(wanted func(Rows) bool, columns []int, schema *arrow.Schema) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		decoder, err := p.decoder()
		if err != nil {
			yield(nil, p.lose(err))
			return
		}
		defer decoder.Release()
		p.walk(wanted, func(i int) bool {
			batch, err := p.decode(decoder, i, columns, schema)
			switch {
			case err != nil:
				yield(nil, p.lose(fmt.Errorf("message %d: %w", i, err)))
				return false
			case batch == nil:
				return true
			}
			defer batch.Release()
			return yield(batch, nil)
		})
	}
}

// walk calls f with the numbers of the messages that it takes to read some rows, in order, until f returns false. Where f, or what f yields to,
// finds that the mapping cannot be read any more, that is a panic, and not the end of the process.
func (p *Part) walk(wanted func(Rows) bool, f func(i int) bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if failure := recover(); failure != nil {
			if fault, ok := failure.(interface{ Addr() uintptr }); ok && p.maps(fault.Addr()) {
				_ = p.lose(errFault)
			}
			panic(failure)
		}
	}()
	var due []int // dictionaries that have not been sent
	rows := int64(0)
	for i, m := range p.index.Messages {
		about := Rows{Unit: m.Unit, From: rows, To: rows + m.Rows}
		if m.Kind == ipcguard.KindRecordBatch {
			rows = about.To
		}
		switch {
		case m.Kind == ipcguard.KindDictionaryBatch:
			if !m.Delta && !p.nested { // it takes the place of those before
				due = slices.DeleteFunc(due, func(d int) bool { return p.index.Messages[d].Dictionary == m.Dictionary })
			}
			due = append(due, i)
		case m.Kind == ipcguard.KindRecordBatch && wanted(about):
			for _, d := range due {
				if !f(d) {
					return
				}
			}
			due = due[:0]
			if !f(i) {
				return
			}
		}
	}
}

func (p *Part) decoder() (*ipcguard.Decoder, error) {
	schema, _, err := p.message(0)
	if err != nil {
		return nil, err
	}
	// What was written here has been checked before, or was made by arrow-go from what it holds.
	return ipcguard.NewDecoder(schema, ipcguard.Options{MaxBatchBytes: math.MaxInt64 / 2, Validation: ipcguard.ValidateLayout})
}

// message is what a message says, and its body.
func (p *Part) message(i int) (ipcguard.Message, []byte, error) {
	m := p.index.Messages[i]
	if err := p.fetch(p.mapping.bytes[m.From:m.Body], false); err != nil {
		return ipcguard.Message{}, nil, err
	}
	metadata, body, err := wire.SplitEncoded(p.encoded[i].Data)
	if err != nil {
		return ipcguard.Message{}, nil, err
	}
	parsed, err := ipcguard.Parse(metadata)
	return parsed, p.encoded[i].Data[body:], err
}

// decode takes in a dictionary, or is a record batch.
func (p *Part) decode(decoder *ipcguard.Decoder, i int, columns []int, schema *arrow.Schema) (arrow.RecordBatch, error) {
	m, body, err := p.message(i)
	if err != nil {
		return nil, err
	}
	buffer := memory.NewBufferBytes(body)
	if m.Kind == ipcguard.KindDictionaryBatch {
		if err := p.fetch(body, false); err != nil {
			return nil, err
		}
		return nil, decoder.Dictionary(m, buffer)
	}
	all, err := decoder.Batch(m, buffer)
	if err != nil {
		return nil, err
	}
	defer all.Release()
	arrays := make([]arrow.Array, len(columns))
	for j, c := range columns {
		arrays[j] = all.Column(c)
		if err := p.fetchArray(arrays[j].Data()); err != nil {
			return nil, err
		}
	}
	return array.NewRecordBatch(schema, arrays, all.NumRows()), nil
}

// fetch has bytes of the mapping read from the disk if they are not in memory.
func (p *Part) fetch(b []byte, first bool) error {
	if p.cache.mode == Memory {
		return nil
	}
	return populate(b, first)
}

// fetchArray is fetch of an array's buffers, but for its dictionary's.
func (p *Part) fetchArray(d arrow.ArrayData) error {
	if p.cache.mode == Memory {
		return nil
	}
	for _, b := range d.Buffers() {
		if b == nil || !p.has(b.Bytes()) {
			continue
		}
		if err := p.fetch(b.Bytes(), false); err != nil {
			return err
		}
	}
	for _, child := range d.Children() {
		if err := p.fetchArray(child); err != nil {
			return err
		}
	}
	return nil
}

// has is true if bytes lie in the mapping.
func (p *Part) has(b []byte) bool { return p.maps(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// maps is true of an address in the mapping.
func (p *Part) maps(at uintptr) bool {
	from := uintptr(unsafe.Pointer(unsafe.SliceData(p.mapping.bytes)))
	return at >= from && at-from < uintptr(len(p.mapping.bytes))
}

// nestsDictionaries is true if a type has a dictionary inside of a dictionary.
func nestsDictionaries(dt arrow.DataType, inside bool) bool {
	switch dt := dt.(type) {
	case arrow.ExtensionType:
		return nestsDictionaries(dt.StorageType(), inside)
	case *arrow.DictionaryType:
		return inside || nestsDictionaries(dt.ValueType, true)
	case arrow.NestedType:
		return slices.ContainsFunc(dt.Fields(), func(f arrow.Field) bool { return nestsDictionaries(f.Type, inside) })
	default:
		return false
	}
}
