package ipcguard

import flatbuffers "github.com/google/flatbuffers/go"

// These read FlatBuffers as the flatbuffers package does: they panic where a table refers to bytes that there are not.

func rootTable(b []byte) flatbuffers.Table {
	return flatbuffers.Table{Bytes: b, Pos: flatbuffers.GetUOffsetT(b)}
}

// child is the table in a slot.
func child(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.Table, bool) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return flatbuffers.Table{}, false
	}
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + o)}, true
}

// tableAt is the i-th of the tables that a vector refers to.
func tableAt(t flatbuffers.Table, start flatbuffers.UOffsetT, i int) flatbuffers.Table {
	return flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(start + flatbuffers.UOffsetT(i*offsetSize))}
}

// vector is the start and the length of the vector in a slot, empty if there is none. It panics if its elements do not fit in the bytes.
func vector(t flatbuffers.Table, slot flatbuffers.VOffsetT, elementSize int) (flatbuffers.UOffsetT, int) {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return 0, 0
	}
	start, n := t.Vector(o), t.VectorLen(o)
	if n < 0 || int64(n) > (int64(len(t.Bytes))-int64(start))/int64(elementSize) {
		panic(ErrMetadata)
	}
	return start, n
}

// stringIn is the string in a slot, empty if there is none.
func stringIn(t flatbuffers.Table, slot flatbuffers.VOffsetT) string {
	start, n := vector(t, slot, 1)
	return string(t.Bytes[start : int(start)+n])
}

// recoverAs, deferred, turns a panic into the error that the function returns: a refusal of a Quota as it is, all else into ErrMetadata,
// for the texts of panics tell of Go slices, not of messages.
func recoverAs(err *error) {
	switch p := recover().(type) {
	case nil:
	case *QuotaError:
		*err = p
	default:
		*err = ErrMetadata
	}
}
