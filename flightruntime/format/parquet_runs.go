package format

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// runs are numbers in Parquet's hybrid encoding: runs of one number, and groups of eight that are packed bit by bit. Levels and the indices of
// dictionaries are encoded so. The zero value has none.
type runs struct {
	data  []byte // what follows the current run
	width int    // bits of a number
	left  int    // numbers of the current run

	value uint32 // of the current run, unless it is packed
	// packed are the bytes of the current run if it is packed; at is the bit where its next number begins.
	packed []byte
	at     int
}

// maxIndexWidth bits have the numbers of dictionaries.
const maxIndexWidth = 32

func newRuns(data []byte, width int) (runs, error) {
	if width > maxIndexWidth {
		return runs{}, errDamaged
	}
	return runs{data: data, width: width}, nil
}

// next begins the next run.
func (r *runs) next() error {
	header, n := binary.Uvarint(r.data)
	if n <= 0 {
		return errDamaged
	}
	r.data = r.data[n:]
	if header&1 != 0 {
		groups := min(header>>1, math.MaxInt32/8)
		size := min(int(groups)*r.width, len(r.data)) // the last run of a page may be cut where its numbers end
		r.packed, r.data, r.at = r.data[:size], r.data[size:], 0
		if r.left = int(groups) * 8; r.width > 0 {
			r.left = min(r.left, size*8/r.width)
		}
		return nil
	}
	size := (r.width + 7) / 8
	if size > len(r.data) {
		return errDamaged
	}
	r.packed, r.value = nil, 0
	for i, b := range r.data[:size] {
		r.value |= uint32(b) << (8 * i)
	}
	r.data, r.left = r.data[size:], int(min(header>>1, math.MaxInt32))
	return nil
}

// take is how many numbers, n at most, can be read of the current run, or of the next where it has ended.
func (r *runs) take(n int) (int, error) {
	for r.left == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n = min(n, r.left)
	r.left -= n
	return n, nil
}

// read fills out with the next numbers.
func (r *runs) read(out []uint32) error {
	for len(out) > 0 {
		n, err := r.take(len(out))
		if err != nil {
			return err
		}
		if r.packed == nil {
			for i := range out[:n] {
				out[i] = r.value
			}
		} else {
			unpack(out[:n], r.packed, r.at, r.width)
			r.at += n * r.width
		}
		out = out[n:]
	}
	return nil
}

// pass passes over the next n numbers.
func (r *runs) pass(n int) error {
	for n > 0 {
		some, err := r.take(n)
		if err != nil {
			return err
		}
		if r.packed != nil {
			r.at += some * r.width
		}
		n -= some
	}
	return nil
}

// readBits writes the next n numbers, which have one bit each, into a bitmap from a position on, and counts those that are set.
func (r *runs) readBits(bitmap []byte, from, n int) (set int, err error) {
	for end := from + n; from < end; {
		n, err := r.take(end - from)
		if err != nil {
			return 0, err
		}
		switch {
		case r.packed != nil:
			bitutil.CopyBitmap(r.packed, r.at, n, bitmap, from)
			r.at += n
			set += bitutil.CountSetBits(bitmap, from, n)
		case r.value > 1:
			return 0, errDamaged
		default:
			bitutil.SetBitsTo(bitmap, int64(from), int64(n), r.value == 1)
			set += n * int(r.value)
		}
		from += n
	}
	return set, nil
}

// unpack reads numbers of width bits each that follow one another from a bit on, the lowest bit first. They are all there.
func unpack(out []uint32, data []byte, at, width int) {
	mask := uint64(1)<<width - 1
	if w := uint(width); w <= widthOfFour {
		for len(out) >= 4 && at>>3+8 <= len(data) {
			word := binary.LittleEndian.Uint64(data[at>>3:]) >> (at & 7)
			four := (*[4]uint32)(out)
			four[0] = uint32(word & mask)
			word >>= w & 63
			four[1] = uint32(word & mask)
			word >>= w & 63
			four[2] = uint32(word & mask)
			word >>= w & 63
			four[3] = uint32(word & mask)
			out, at = out[4:], at+4*width
		}
	}
	for i := range out {
		from := at >> 3
		if from+8 > len(data) {
			unpackLast(out[i:], data, at, width)
			return
		}
		out[i] = uint32(binary.LittleEndian.Uint64(data[from:]) >> (at & 7) & mask)
		at += width
	}
}

// widthOfFour bits, four times, are in a word that begins up to seven bits before them.
const widthOfFour = (64 - 7) / 4

// unpackLast is unpack near the end of the data, where a word is not there as a whole.
func unpackLast(out []uint32, data []byte, at, width int) {
	mask := uint64(1)<<width - 1
	for i := range out {
		var word [8]byte
		copy(word[:], data[min(at>>3, len(data)):])
		out[i] = uint32(binary.LittleEndian.Uint64(word[:]) >> (at & 7) & mask)
		at += width
	}
}
