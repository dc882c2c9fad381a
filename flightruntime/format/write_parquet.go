package format

import (
	"encoding/base64"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// A row group is what one endpoint of a FlightInfo reads, what is skipped by its statistics, and what the encoder holds in memory, encoded.
const (
	// maxGroupBytes of Arrow data are some fifty Flight messages: enough to keep a stream busy, few enough for a server to hold many of them.
	maxGroupBytes = 64 << 20
	// maxGroupRows is pyarrow's default.
	maxGroupRows = 1 << 20
)

// compression is that of pyarrow: batches land 1.6 times as fast as with Zstandard, and are read with two thirds of the CPU time.
var compression = compress.Codecs.Snappy

type parquetEncoder struct {
	file *pqarrow.FileWriter
	// schema of what is given to file.
	schema *arrow.Schema
	// group is the size of what is in the current row group, as Arrow data.
	group int64
}

func newParquetEncoder(w io.Writer, schema *arrow.Schema) (encoder, error) {
	shaped := parquetSchema(schema)
	f, err := pqarrow.NewFileWriter(shaped, w,
		parquet.NewWriterProperties(append(withoutDictionaries(shaped),
			parquet.WithCompression(compression),
			parquet.WithMaxRowGroupLength(maxGroupRows))...),
		pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, undecodable(err)
	}
	stored := base64.StdEncoding.EncodeToString(flight.SerializeSchema(schema, memory.DefaultAllocator))
	if err := f.AppendKeyValueMetadata("ARROW:schema", stored); err != nil {
		return nil, undecodable(err)
	}
	return &parquetEncoder{file: f, schema: shaped}, nil
}

// withoutDictionaries has columns of numbers and times written as they are: to look each value up costs more than all else that is done with it.
func withoutDictionaries(schema *arrow.Schema) (properties []parquet.WriterProperty) {
	for _, f := range schema.Fields() {
		if arrow.IsPrimitive(f.Type.ID()) {
			properties = append(properties, parquet.WithDictionaryFor(f.Name, false))
		}
	}
	return properties
}

func (p *parquetEncoder) write(batch arrow.RecordBatch) error {
	size, perSlice := batchBytes(batch), batch.NumRows()
	if size > maxGroupBytes {
		perSlice = max(1, int64(float64(perSlice)*maxGroupBytes/float64(size)))
	}
	for start := int64(0); start < batch.NumRows(); start += perSlice {
		end := min(start+perSlice, batch.NumRows())
		if err := p.writeSlice(batch.NewSlice(start, end), size/batch.NumRows()*(end-start)); err != nil {
			return undecodable(err)
		}
	}
	return nil
}

// writeSlice adds a batch of about so many bytes to the current row group, or to another if it is full. It releases the batch.
func (p *parquetEncoder) writeSlice(batch arrow.RecordBatch, size int64) error {
	defer batch.Release()
	if p.group > 0 && p.group+size > maxGroupBytes {
		if err := p.file.NewBufferedRowGroupChecked(); err != nil {
			return err
		}
		p.group = 0
	}
	p.group += size
	shaped, err := parquetBatch(p.schema, batch)
	if err != nil {
		return err
	}
	defer shaped.Release()
	return p.file.WriteBuffered(shaped)
}

// batchBytes are those of all buffers of a batch, in full where it is a slice of them.
func batchBytes(batch arrow.RecordBatch) int64 {
	n := int64(0)
	for _, column := range batch.Columns() {
		n += int64(column.Data().SizeInBytes())
	}
	return n
}

func (p *parquetEncoder) close() error { return undecodable(p.file.Close()) }
