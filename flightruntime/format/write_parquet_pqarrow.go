package format

import (
	"bytes"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// pqarrowEncoder has pqarrow encode a field, nested ones among them: as a file of its own in memory, whose column chunks go into the file that
// is written. Where they are is told by metadata alone, and pages do not know.
type pqarrowEncoder struct {
	schema *arrow.Schema // of the field alone
	props  *parquet.WriterProperties
	bytes  bytes.Buffer
	file   *pqarrow.FileWriter // of the current row group; nil if it is complete
	chunks *metadata.FileMetaData
}

func newPqarrowEncoder(f arrow.Field, props *parquet.WriterProperties) (*pqarrowEncoder, error) {
	p := &pqarrowEncoder{schema: arrow.NewSchema([]arrow.Field{f}, nil), props: props}
	err := p.begin()
	return p, err
}

func (p *pqarrowEncoder) begin() (err error) {
	p.bytes.Reset()
	p.file, err = pqarrow.NewFileWriter(p.schema, &p.bytes, p.props, pqarrow.DefaultWriterProps())
	return err
}

func (p *pqarrowEncoder) write(data arrow.Array) error {
	if p.file == nil {
		if err := p.begin(); err != nil {
			return err
		}
	}
	batch := array.NewRecordBatch(p.schema, []arrow.Array{data}, int64(data.Len()))
	defer batch.Release()
	return p.file.WriteBuffered(batch)
}

func (p *pqarrowEncoder) flush() error {
	if err := p.file.Close(); err != nil {
		return err
	}
	var err error
	p.chunks, err = p.file.FileMetadata()
	p.file = nil
	return err
}

func (p *pqarrowEncoder) finish(out *countingWriter, next func() *metadata.ColumnChunkMetaDataBuilder) error {
	for _, chunk := range p.chunks.GetRowGroups()[0].GetColumns() {
		to, from := next(), chunk.GetMetaData()
		start := from.GetDataPageOffset()
		info := metadata.ChunkMetaInfo{
			NumValues: from.GetNumValues(), IndexPageOffset: -1,
			CompressedSize: from.GetTotalCompressedSize(), UncompressedSize: from.GetTotalUncompressedSize(),
		}
		dictionary := from.IsSetDictionaryPageOffset()
		if dictionary {
			start = from.GetDictionaryPageOffset()
			info.DictPageOffset = out.at
		}
		info.DataPageOffset = out.at + from.GetDataPageOffset() - start
		if err := to.Finish(info, dictionary, false, metadata.EncodingStats{}); err != nil {
			return err
		}
		told := to.Contents().MetaData
		told.Encodings, told.EncodingStats, told.Statistics, told.SizeStatistics = from.Encodings, from.EncodingStats, from.Statistics, from.SizeStatistics
		if _, err := out.Write(p.bytes.Bytes()[start : start+from.GetTotalCompressedSize()]); err != nil {
			return err
		}
	}
	p.chunks = nil
	return nil
}

func (p *pqarrowEncoder) drop() {
	if p.file != nil {
		_ = p.file.Close() // it frees memory
	}
}
