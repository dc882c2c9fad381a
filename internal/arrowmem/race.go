//go:build race

package arrowmem

import "bytes"

// nonsense is copied, for the race detector looks at each byte that is set by itself.
var nonsense = bytes.Repeat([]byte{0xa5}, 64<<10)

// overwrite leaves nothing of what was freed.
func overwrite(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, nonsense):]
	}
}
