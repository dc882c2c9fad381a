package format

import "github.com/apache/arrow-go/v18/arrow"

// dictionaryPageOf encodes columns that have a dictionary in memory too; nil if it is not one of text or bytes.
func dictionaryPageOf(t *arrow.DictionaryType) pageValues {
	if t.ValueType.ID() != arrow.STRING && t.ValueType.ID() != arrow.BINARY {
		return nil
	}
	switch t.IndexType.ID() {
	case arrow.INT8:
		return &dictionaryPage[int8]{}
	case arrow.UINT8:
		return &dictionaryPage[uint8]{}
	case arrow.INT16:
		return &dictionaryPage[int16]{}
	case arrow.UINT16:
		return &dictionaryPage[uint16]{}
	case arrow.INT32:
		return &dictionaryPage[int32]{}
	case arrow.UINT32:
		return &dictionaryPage[uint32]{}
	case arrow.INT64:
		return &dictionaryPage[int64]{}
	case arrow.UINT64:
		return &dictionaryPage[uint64]{}
	default:
		return nil
	}
}

// dictionaryPage has text that is told by indices. A file has one dictionary for a column chunk, and batches have others: each of their values
// that is used is looked up once.
type dictionaryPage[I int8 | uint8 | int16 | uint16 | int32 | uint32 | int64 | uint64] struct {
	textPage[int32] // its current values are all of the dictionary's, and pages have indices alone

	rows    []I // the current ones
	scratch []I
	from    arrow.ArrayData // the dictionary of the places
	places  []uint32        // for each value, where it is in the file's dictionary, and 1 more; 0 if it is not known to be there
}

func (p *dictionaryPage[I]) take(data arrow.ArrayData, from, most int, valid []byte) (rows, size int) {
	rows = min(most, data.Len()-from)
	at := data.Offset() + from
	p.rows = arrow.GetData[I](data.Buffers()[1].Bytes())[at : at+rows]
	if valid != nil {
		if p.scratch == nil {
			p.scratch = make([]I, pieceRows)
		}
		p.rows = compact(p.scratch, p.rows, valid, at)
	}
	if d := data.Dictionary(); d != p.from {
		p.from, p.offsets, p.text = d, []int32{0}, nil
		if d.Len() > 0 {
			p.open(d, 0)
			p.offsets = p.offsets[:d.Len()+1]
		}
		p.places = grow(p.places[:0], d.Len())[:d.Len()]
		clear(p.places)
	}
	return rows, len(p.rows)
}

func (p *dictionaryPage[I]) value(i I) []byte { return p.text[p.offsets[i]:p.offsets[i+1]] }

func (p *dictionaryPage[I]) index(indices []uint32) []uint32 {
	for _, i := range p.rows {
		place := p.places[i]
		if place == 0 {
			place = p.known.index(p.value(i)) + 1
			p.places[i] = place
		}
		indices = append(indices, place-1)
	}
	return indices
}

// repeat and full: a file's dictionary has no more than those of the batches together, while their rows could have any number of bytes.
func (p *dictionaryPage[I]) repeat(int) bool { return true }
func (p *dictionaryPage[I]) full() bool      { return false }

func (p *dictionaryPage[I]) endChunk() {
	p.textPage.endChunk()
	p.from = nil // and the places with it
}
