package ipcguard

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Validator makes sure that batches hold together: offsets and indices that point outside their arrays would otherwise be found by whoever
// uses the batch, in whatever way. UTF-8 is not checked, nor does pyarrow. The zero value is ready for the batches of one stream.
type Validator struct {
	// dictionary of each dictionary array that was validated last, in the order of a batch's arrays. Most batches share theirs.
	dictionaries []arrow.ArrayData
	next         int
}

// Validate is the error that names the column that does not hold together.
func (v *Validator) Validate(batch arrow.RecordBatch) error {
	v.next = 0
	for i, column := range batch.Columns() {
		err := validateArray(column)
		if err == nil {
			err = v.validateDictionaries(column.Data())
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", quoted(batch.ColumnName(i)), err)
		}
	}
	return nil
}

func (v *Validator) validateDictionaries(data arrow.ArrayData) error {
	if isDictionary(data.DataType()) {
		dictionary := data.Dictionary()
		if v.next == len(v.dictionaries) {
			v.dictionaries = append(v.dictionaries, nil)
		}
		known := &v.dictionaries[v.next]
		v.next++
		if *known != dictionary {
			values := array.MakeFromData(dictionary)
			defer values.Release()
			if err := validateArray(values); err != nil {
				return fmt.Errorf("dictionary: %w", err)
			}
			*known = dictionary
		}
	}
	for _, child := range data.Children() {
		if err := v.validateDictionaries(child); err != nil {
			return err
		}
	}
	return nil
}

func isDictionary(t arrow.DataType) bool {
	if e, ok := t.(arrow.ExtensionType); ok {
		t = e.StorageType()
	}
	return t.ID() == arrow.DICTIONARY
}

// validateArray is array.ValidateFull, but for arrays of nulls: these have a buffer for it, and none for the reader of IPC.
func validateArray(a arrow.Array) error {
	if !hasNulls(a.DataType()) {
		return array.ValidateFull(a)
	}
	data := withNullBuffers(a.Data())
	defer data.Release()
	b := array.MakeFromData(data)
	defer b.Release()
	return array.ValidateFull(b)
}

// hasNulls is true if the type null is in t.
func hasNulls(t arrow.DataType) bool {
	if e, ok := t.(arrow.ExtensionType); ok {
		t = e.StorageType()
	}
	if nested, ok := t.(arrow.NestedType); ok {
		for _, f := range nested.Fields() {
			if hasNulls(f.Type) {
				return true
			}
		}
	}
	return t.ID() == arrow.NULL
}

// withNullBuffers is the data with a buffer, which is nil, for each array of nulls.
func withNullBuffers(data arrow.ArrayData) arrow.ArrayData {
	if data.DataType().ID() == arrow.NULL {
		return array.NewData(arrow.Null, data.Len(), []*memory.Buffer{nil}, nil, data.NullN(), data.Offset())
	}
	if len(data.Children()) == 0 {
		data.Retain()
		return data
	}
	children := make([]arrow.ArrayData, len(data.Children()))
	for i, c := range data.Children() {
		children[i] = withNullBuffers(c)
		defer children[i].Release()
	}
	return array.NewData(data.DataType(), data.Len(), data.Buffers(), children, data.NullN(), data.Offset())
}

// mostShown bytes of a name stand in an error: enough to find the place.
const mostShown = 80

// quoted is a name as it may stand in an error: visible, and cut if long.
func quoted(name string) string {
	if len(name) > mostShown {
		name = strings.ToValidUTF8(name[:mostShown], "") + "…"
	}
	return fmt.Sprintf("%q", name)
}
