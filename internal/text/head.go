package text

// Head are the first eight bytes of a text as a number, with zeros where it is shorter: it is less for a text that is less, or equal. So most of
// many texts are compared without a look at the rest of them.
func Head[T ~string | ~[]byte](v T) (n uint64) {
	if len(v) >= 8 {
		return uint64(v[7]) | uint64(v[6])<<8 | uint64(v[5])<<16 | uint64(v[4])<<24 | uint64(v[3])<<32 | uint64(v[2])<<40 | uint64(v[1])<<48 | uint64(v[0])<<56
	}
	for i := range len(v) {
		n |= uint64(v[i]) << (56 - 8*i)
	}
	return n
}
