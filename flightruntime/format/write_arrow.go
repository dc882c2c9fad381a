package format

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// arrowEncoder writes Arrow's IPC format, not compressed: this is the format to choose for reading without decoding. (LZ4 halves a table of
// numbers, and costs seven times the writing and five times the reading; Parquet makes it a third.)
type arrowEncoder struct {
	messages interface {
		Write(batch arrow.RecordBatch) error
		Close() error
	}
	// dictionaries of the first batch, in the order of its arrays. All batches have the same: a file may have no others, and of a stream
	// arrow-go takes dictionaries of floating-point numbers that differ by little for the same.
	dictionaries []arrow.ArrayData
	begun        bool
}

func newArrowEncoder(file bool, w io.Writer, schema *arrow.Schema) (encoder, error) {
	if !file {
		return &arrowEncoder{messages: ipc.NewWriter(w, ipc.WithSchema(schema))}, nil
	}
	f, err := ipc.NewFileWriter(w, ipc.WithSchema(schema))
	if err != nil {
		return nil, undecodable(err)
	}
	return &arrowEncoder{messages: f}, nil
}

func (a *arrowEncoder) write(batch arrow.RecordBatch) error {
	var dictionaries []arrow.ArrayData
	for _, column := range batch.Columns() {
		dictionaries = appendDictionaries(dictionaries, column.Data())
	}
	if !a.begun {
		a.begun = true
		for _, d := range dictionaries {
			d.Retain()
		}
		a.dictionaries = dictionaries
	}
	for i, d := range dictionaries {
		if !sameValues(a.dictionaries[i], d) {
			return ErrDictionary
		}
	}
	return undecodable(a.messages.Write(batch))
}

func (a *arrowEncoder) close() error {
	for _, d := range a.dictionaries {
		d.Release()
	}
	a.dictionaries = nil
	return undecodable(a.messages.Close())
}

// appendDictionaries adds the dictionaries of an array, of its children and of the dictionaries themselves.
func appendDictionaries(to []arrow.ArrayData, data arrow.ArrayData) []arrow.ArrayData {
	if isDictionary(data.DataType()) {
		to = append(to, data.Dictionary())
		return appendDictionaries(to, data.Dictionary())
	}
	for _, child := range data.Children() {
		to = appendDictionaries(to, child)
	}
	return to
}

func sameValues(a, b arrow.ArrayData) bool {
	if a == b {
		return true
	}
	if a.Len() != b.Len() {
		return false
	}
	arrayA, arrayB := array.MakeFromData(a), array.MakeFromData(b)
	defer arrayA.Release()
	defer arrayB.Release()
	return array.Equal(arrayA, arrayB)
}
