package ipcguard

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
)

// field is a column, or what is nested in one: what it takes to decode its arrays.
type field struct {
	label    string // in errors
	dt       arrow.DataType
	storage  arrow.DataType // dt, or what it is stored as if it is an extension type
	children []*field
	// dictionary is what the array's rows are indices of; nil if they are values.
	dictionary *dictionary
	// encoded tells whether there is a dictionary here or in what is nested.
	encoded bool
}

// schemaOf decodes a schema with arrow-go. Its message has been through Parse.
func schemaOf(m Message) (*arrow.Schema, error) {
	r, err := ipc.NewReaderFromMessageReader(&oneMessage{metadata: m.Metadata}, ipc.WithEnsureNativeEndian(false))
	if err != nil {
		return nil, readable(err)
	}
	defer r.Release()
	return r.Schema(), nil
}

// oneMessage is an ipc.MessageReader of one message without a body.
type oneMessage struct {
	metadata []byte
	message  *ipc.Message
}

func (o *oneMessage) Message() (*ipc.Message, error) {
	o.message = ipc.NewMessage(memory.NewBufferBytes(o.metadata), memory.NewBufferBytes(nil))
	return o.message, nil
}

func (o *oneMessage) Retain() {}

func (o *oneMessage) Release() {
	if o.message != nil {
		o.message.Release()
		o.message = nil
	}
}

// readable is an error of arrow-go's in words for users.
func readable(err error) error {
	text := err.Error()
	for _, panicked := range []string{"runtime error", "interface conversion"} { // arrow-go recovers, and prints or wraps
		if strings.Contains(text, panicked) {
			return ErrMetadata
		}
	}
	return errors.New(strings.NewReplacer("arrow/ipc: ", "", "arrow/array: ", "", "arrow: ", "", "unknown error while reading: ", "").Replace(text))
}

// fieldsOf pairs the fields of a schema with those of its message, of which the latter know the dictionaries' numbers. Both are of the
// same shape, for arrow-go has made the one from the other.
func (d *Decoder) fieldsOf(fields []arrow.Field, t flatbuffers.Table, slot flatbuffers.VOffsetT, parent arrow.DataType) ([]*field, error) {
	start, n := vector(t, slot, offsetSize)
	if n != len(fields) {
		return nil, ErrMetadata
	}
	made := make([]*field, n)
	for i := range made {
		if !utf8.ValidString(fields[i].Name) {
			return nil, fmt.Errorf("the name of a field is not UTF-8: %s", quoted(fields[i].Name))
		}
		label := "column " + quoted(fields[i].Name)
		if parent != nil {
			label = childLabel(parent, i)
		}
		var err error
		if made[i], err = d.fieldOf(label, fields[i].Type, tableAt(t, start, i)); err != nil {
			return nil, fmt.Errorf("%s: %w", label, err)
		}
	}
	return made, nil
}

func (d *Decoder) fieldOf(label string, dt arrow.DataType, t flatbuffers.Table) (*field, error) {
	f := &field{label: label, dt: dt, storage: storageOf(dt)}
	if encoded, ok := f.storage.(*arrow.DictionaryType); ok {
		encoding, ok := child(t, fieldDictionary)
		if !ok {
			return nil, ErrMetadata
		}
		id := encoding.GetInt64Slot(encodingID, 0)
		f.encoded = true
		if f.dictionary = d.dictionaries[id]; f.dictionary != nil {
			return f, nil
		}
		values, err := d.valuesOf(encoded.ValueType, t)
		if err != nil {
			return nil, err
		}
		f.dictionary = &dictionary{id: id, values: values}
		d.dictionaries[id] = f.dictionary
		return f, nil
	}
	return f, d.nestedOf(f, t)
}

// valuesOf is the field of a dictionary's values, whose nested fields stand where those of the encoded field would.
func (d *Decoder) valuesOf(dt arrow.DataType, t flatbuffers.Table) (*field, error) {
	f := &field{label: "dictionary", dt: dt, storage: storageOf(dt)}
	return f, d.nestedOf(f, t)
}

func (d *Decoder) nestedOf(f *field, t flatbuffers.Table) error {
	nested, ok := f.storage.(arrow.NestedType)
	if !ok {
		return nil
	}
	var err error
	f.children, err = d.fieldsOf(nested.Fields(), t, fieldChildren, f.storage)
	for _, c := range f.children {
		f.encoded = f.encoded || c.encoded
	}
	return err
}
