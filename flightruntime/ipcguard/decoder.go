package ipcguard

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// DefaultMaxBatchBytes is the limit where Options has none.
const DefaultMaxBatchBytes = 256 << 20

// Options say how messages are decoded.
type Options struct {
	// Allocator is where arrays live that are not just slices of a body: uncompressed buffers, dictionaries put together from parts. Nil is
	// the default allocator.
	Allocator memory.Allocator
	// MaxBatchBytes bounds what is allocated for one batch besides its body, what all dictionaries of a stream take together, and the rows
	// of a batch, for rows of nulls take no bytes. 0 is DefaultMaxBatchBytes.
	MaxBatchBytes int64
	// Validation is full if left out.
	Validation Validation
}

// Decoder makes record batches of the messages of one stream. What it hands out holds together as far as Options.Validation looks. All its
// methods return errors in words for whoever sent the messages: *QuotaError where a limit is hit, else what contradicts what. After an
// error a Decoder is of no more use than to be released. It is not safe for use by several goroutines, and starts none.
type Decoder struct {
	options      Options
	quota        *Quota
	schema       *arrow.Schema
	columns      []*field
	dictionaries map[int64]*dictionary
}

// NewDecoder is a decoder of a stream that begins with the message of a schema.
func NewDecoder(m Message, options Options) (*Decoder, error) {
	if options.Allocator == nil {
		options.Allocator = memory.DefaultAllocator
	}
	if options.MaxBatchBytes <= 0 {
		options.MaxBatchBytes = DefaultMaxBatchBytes
	}
	d := &Decoder{options: options, quota: NewQuota(options.Allocator, options.MaxBatchBytes), dictionaries: make(map[int64]*dictionary)}
	if err := d.readSchema(m); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Decoder) readSchema(m Message) (err error) {
	defer recoverAs(&err)
	if m.Kind != KindSchema {
		return fmt.Errorf("it carries a %s: expected a schema", m.Kind)
	}
	if m.BodyLength != 0 {
		return fmt.Errorf("it is a schema with a body of %d bytes: expected none", m.BodyLength)
	}
	if _, err := versionOf(m); err != nil {
		return err
	}
	root := rootTable(m.Metadata)
	header, _ := child(root, messageHeader)
	if header.GetInt16Slot(schemaEndianness, 0) != 0 {
		return errors.New("its numbers are big-endian: expected little-endian")
	}
	if d.schema, err = schemaOf(m); err != nil {
		return err
	}
	d.columns, err = d.fieldsOf(d.schema.Fields(), header, schemaFields, nil)
	return err
}

// Values of MetadataVersion in Schema.fbs.
const (
	versionV4 = 3
	versionV5 = 4
)

// versionOf is the version of the format that a message is in.
func versionOf(m Message) (int16, error) {
	t := rootTable(m.Metadata)
	v := t.GetInt16Slot(messageVersion, 0)
	if v != versionV4 && v != versionV5 {
		return v, fmt.Errorf("it is in version %d of Arrow's format: expected 4 or 5", v+1)
	}
	return v, nil
}

// Schema is that of all batches.
func (d *Decoder) Schema() *arrow.Schema { return d.schema }

// Batch decodes a record batch. Its arrays refer to the body, which must have as many bytes as the message says, begin at a multiple of 8
// and not be changed any more; they retain it. The caller releases the batch.
func (d *Decoder) Batch(m Message, body *memory.Buffer) (batch arrow.RecordBatch, err error) {
	defer recoverAs(&err)
	l, err := d.load(m, body)
	if err != nil {
		return nil, err
	}
	columns := make([]arrow.Array, 0, len(d.columns))
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for _, f := range d.columns {
		column, err := d.column(l, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.label, err)
		}
		columns = append(columns, column)
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	return array.NewRecordBatchWithMetadata(d.schema, columns, m.Rows, metadataOf(m)), nil
}

func (d *Decoder) column(l *loader, f *field) (arrow.Array, error) {
	data, err := l.array(f)
	if err != nil {
		return nil, err
	}
	defer func() { data.Release() }()
	if int64(data.Len()) != l.rows {
		return nil, fmt.Errorf("it has %d rows and its batch %d", data.Len(), l.rows)
	}
	if f.encoded {
		complete, err := d.attach(f, data)
		if err != nil {
			return nil, err
		}
		data.Release()
		data = complete
	}
	if err := checkArray(data, d.options.Validation); err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

func metadataOf(m Message) arrow.Metadata {
	t := rootTable(m.Metadata)
	start, n := vector(t, messageMetadata, offsetSize)
	keys, values := make([]string, n), make([]string, n)
	for i := range n {
		pair := tableAt(t, start, i)
		keys[i], values[i] = stringIn(pair, keyValueKey), stringIn(pair, keyValueValue)
	}
	return arrow.NewMetadata(keys, values)
}

// Release lets go of the dictionaries. Batches that were handed out keep theirs.
func (d *Decoder) Release() {
	for _, dictionary := range d.dictionaries {
		dictionary.release()
	}
}
