package ipcguard

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// dictionary is what the indices of some fields refer to, as far as a stream has sent it.
type dictionary struct {
	id     int64
	values *field
	// parts are the first batch of values, and what deltas have added since the last batch of rows, without dictionaries of their own: these
	// may come later. Each part has been validated.
	parts []arrow.ArrayData
	bytes int64 // that the parts take, about
	// complete is the parts in one, with all dictionaries; nil until a batch of rows needs it again.
	complete arrow.ArrayData
}

// partBytes is what a part takes besides its bytes, about: parts without bytes are not for free.
const partBytes = 1 << 10

// Dictionary takes in a dictionary batch, whose body is like that of Batch. It replaces the dictionary before, or adds to it.
func (d *Decoder) Dictionary(m Message, body *memory.Buffer) (err error) {
	defer recoverAs(&err)
	l, err := d.load(m, body)
	if err != nil {
		return err
	}
	into, ok := d.dictionaries[m.Dictionary]
	if !ok {
		return fmt.Errorf("it is for dictionary %d, which the schema does not have", m.Dictionary)
	}
	if m.Delta && len(into.parts) == 0 {
		return fmt.Errorf("it adds to dictionary %d, which has not been sent", m.Dictionary)
	}
	if m.Delta && into.values.encoded {
		return fmt.Errorf("it adds to dictionary %d, whose values have dictionaries themselves: send it as a whole", m.Dictionary)
	}
	part, err := d.part(l, into)
	if err != nil {
		return fmt.Errorf("dictionary %d: %w", m.Dictionary, err)
	}
	if !m.Delta {
		into.release()
	}
	into.parts = append(into.parts, part)
	into.bytes += l.bytes + partBytes
	into.forget()
	// What holds values of this dictionary has to be put together anew.
	for _, other := range d.dictionaries {
		if other.values.encoded {
			other.forget()
		}
	}
	return d.checkDictionaryBytes()
}

func (d *Decoder) part(l *loader, into *dictionary) (arrow.ArrayData, error) {
	part, err := l.array(into.values)
	if err != nil {
		return nil, err
	}
	if int64(part.Len()) != l.rows {
		err = fmt.Errorf("it has %d values and its batch %d rows", part.Len(), l.rows)
	} else if err = l.end(); err == nil && !into.values.encoded {
		err = checkArray(part, d.options.Validation) // others once they are complete
	}
	if err != nil {
		part.Release()
		return nil, err
	}
	return part, nil
}

func (d *Decoder) checkDictionaryBytes() error {
	all := int64(0)
	for _, dictionary := range d.dictionaries {
		all += dictionary.bytes
	}
	if all > d.options.MaxBatchBytes {
		return &QuotaError{Claimed: all, Limit: d.options.MaxBatchBytes, What: "bytes for its stream's dictionaries"}
	}
	return nil
}

func (v *dictionary) forget() {
	if v.complete != nil {
		v.complete.Release()
		v.complete = nil
	}
}

func (v *dictionary) release() {
	v.forget()
	for _, part := range v.parts {
		part.Release()
	}
	v.parts, v.bytes = nil, 0
}

// attach is array data with the dictionaries of all that is encoded in it, complete. The caller releases it.
func (d *Decoder) attach(f *field, data arrow.ArrayData) (arrow.ArrayData, error) {
	if !f.encoded {
		data.Retain()
		return data, nil
	}
	if f.dictionary != nil {
		values, err := d.complete(f.dictionary)
		if err != nil {
			return nil, fmt.Errorf("dictionary %d: %w", f.dictionary.id, err)
		}
		if len(f.dictionary.parts) == 0 && nulls(data) < data.Len() {
			return nil, fmt.Errorf("dictionary %d has not been sent", f.dictionary.id)
		}
		return array.NewDataWithDictionary(f.dt, data.Len(), data.Buffers(), data.NullN(), data.Offset(), values), nil
	}
	children := make([]arrow.ArrayData, 0, len(f.children))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for i, c := range f.children {
		complete, err := d.attach(c, data.Children()[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.label, err)
		}
		children = append(children, complete)
	}
	return array.NewData(f.dt, data.Len(), data.Buffers(), children, data.NullN(), data.Offset()), nil
}

// complete is a dictionary as the rows need it, which belongs to the dictionary. One that has not been sent is empty: rows that are all
// null may come before it.
func (d *Decoder) complete(v *dictionary) (*array.Data, error) {
	if v.complete == nil {
		values, err := d.join(v)
		if err != nil {
			return nil, err
		}
		defer values.Release()
		if v.complete, err = d.attach(v.values, values); err != nil {
			return nil, err
		}
		if v.values.encoded {
			if err := checkArray(v.complete, d.options.Validation); err != nil {
				return nil, err
			}
		}
	}
	complete, ok := v.complete.(*array.Data)
	if !ok {
		return nil, errors.New("it is not made of array data")
	}
	return complete, nil
}

// join puts the parts of a dictionary together. The caller releases what it returns.
func (d *Decoder) join(v *dictionary) (arrow.ArrayData, error) {
	switch len(v.parts) {
	case 0:
		return emptyArray(v.values), nil
	case 1:
		v.parts[0].Retain()
		return v.parts[0], nil
	}
	arrays := make([]arrow.Array, len(v.parts))
	for i, part := range v.parts {
		arrays[i] = array.MakeFromData(part)
		defer arrays[i].Release()
	}
	joined, err := array.Concatenate(arrays, d.quota)
	if quota := (*QuotaError)(nil); errors.As(err, &quota) {
		return nil, quota
	}
	if err != nil {
		return nil, readable(err)
	}
	defer joined.Release()
	v.release()
	joined.Data().Retain() // for the part
	v.parts, v.bytes = []arrow.ArrayData{joined.Data()}, int64(joined.Data().SizeInBytes())+partBytes
	joined.Data().Retain() // for the caller
	return joined.Data(), nil
}
