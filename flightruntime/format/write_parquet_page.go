package format

import (
	"encoding/binary"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/parquet"
)

// pageHeader is what stands before a page, as parquet.thrift has it.
type pageHeader struct {
	dictionary               bool // it is a dictionary's page, and not one of data
	values                   int  // nulls among them
	encoding                 parquet.Encoding
	uncompressed, compressed int // bytes
}

// What the fields of a structure begin with in Thrift's compact protocol: how much larger their number is than that of the field before, and
// their type.
const (
	thriftInt          = 1<<4 | 5
	thriftFalse        = 1<<4 | 2
	thriftDataPage     = 2<<4 | 12
	thriftDictionary   = 4<<4 | 12
	thriftEnd          = 0
	typeDataPage       = 0
	typeDictionaryPage = 2
)

// appendPageHeader encodes a header in Thrift's compact protocol.
func appendPageHeader(out []byte, h pageHeader) []byte {
	integers := func(values ...int) {
		for _, v := range values {
			out = binary.AppendVarint(append(out, thriftInt), int64(v))
		}
	}
	if h.dictionary {
		integers(typeDictionaryPage, h.uncompressed, h.compressed)
		out = append(out, thriftDictionary)
		integers(h.values, int(h.encoding))
		return append(out, thriftFalse, thriftEnd, thriftEnd) // it is not sorted
	}
	integers(typeDataPage, h.uncompressed, h.compressed)
	out = append(out, thriftDataPage)
	integers(h.values, int(h.encoding), int(parquet.Encodings.RLE), int(parquet.Encodings.RLE)) // of definition and repetition levels
	return append(out, thriftEnd, thriftEnd)
}

// maxHeader bytes are the most that a header takes: five for each of its integers, and a type before each.
const maxHeader = 64

// appendLevels encodes the definition levels of a page's rows, which are 1 where the bitmap has a bit that is set; with their length before them.
func appendLevels(out, valid []byte, rows, nulls int) []byte {
	start := len(out)
	out = append(out, 0, 0, 0, 0)
	switch nulls {
	case 0:
		out = appendRun(out, 1, rows, 1)
	case rows:
		out = appendRun(out, 0, rows, 1)
	default:
		size := int(bitutil.BytesForBits(int64(rows)))
		out = append(binary.AppendUvarint(out, uint64(size)<<1|1), valid[:size]...)
		if past := rows & 7; past > 0 {
			out[len(out)-1] &= 1<<past - 1
		}
	}
	binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start-4))
	return out
}

// indexWidth is how many bits the indices of a dictionary of n values have; never none, which some readers do not expect.
func indexWidth(n int) int { return max(1, bits.Len(uint(max(0, n-1)))) }

// appendIndices encodes numbers of width bits in Parquet's hybrid encoding, the counterpart of runs.
func appendIndices(out []byte, numbers []uint32, width int) []byte {
	from := 0 // numbers before it are encoded
	for at := 0; at+8 <= len(numbers); {
		n := equalNumbers(numbers[at:])
		if n < 8 {
			at += 8
			continue
		}
		out = appendPacked(out, numbers[from:at], width)
		out = appendRun(out, numbers[at], n, width)
		at += n
		from = at
	}
	return appendPacked(out, numbers[from:], width)
}

// equalNumbers are as many as follow one another from the first on.
func equalNumbers(numbers []uint32) int {
	n := 1
	for n < len(numbers) && numbers[n] == numbers[0] {
		n++
	}
	return n
}

func appendRun(out []byte, number uint32, n, width int) []byte {
	out = binary.AppendUvarint(out, uint64(n)<<1)
	for range (width + 7) / 8 {
		out = append(out, byte(number))
		number >>= 8
	}
	return out
}

// appendPacked encodes numbers one after the other, in groups of eight, of which the last is filled up with zeros.
func appendPacked(out []byte, numbers []uint32, width int) []byte {
	if len(numbers) == 0 {
		return out
	}
	groups := (len(numbers) + 7) / 8
	out = binary.AppendUvarint(out, uint64(groups)<<1|1)
	end := len(out) + groups*width
	word, filled := uint64(0), 0 // bits
	for _, n := range numbers {
		word |= uint64(n) << filled
		if filled += width; filled >= 32 {
			out = binary.LittleEndian.AppendUint32(out, uint32(word))
			word >>= 32
			filled -= 32
		}
	}
	for len(out) < end {
		out = append(out, byte(word))
		word >>= 8
	}
	return out[:end]
}
