package conn

import (
	"testing"

	"google.golang.org/grpc/mem"
)

// nowhere takes batches and forgets them.
type nowhere struct{}

func (nowhere) write([][]byte, bool) error { return nil }

// A message that is announced and written costs some allocations, however many frames grpc-go makes of it, and its data are not copied.
func TestAllocationsOfAMessageThatIsWritten(t *testing.T) {
	const most = 24 // it takes 8; the race detector has pools forget
	for _, frames := range []int{4, 64, 256} {
		c, _ := unwritten(t)
		c.out = nowhere{}
		c.in.maxFrame.Store(1 << 24)
		message := make([]byte, frames*minMaxFrame)
		head := frame(typeData, 0, 1, make([]byte, minMaxFrame))[:headBytes]
		pool := &counter{}
		allocs := testing.AllocsPerRun(100, func() {
			announced := c.Announce(mem.BufferSlice{pool.buffer(message)})
			for from := 0; from < len(message); from += minMaxFrame {
				for _, piece := range [][]byte{head, message[from : from+minMaxFrame]} {
					if _, err := c.Write(piece); err != nil {
						t.Fatal(err)
					}
				}
				if c.queue.bytes >= highWater/2 {
					c.mu.Lock()
					c.flush()
					c.mu.Unlock()
				}
			}
			announced.Free()
			c.mu.Lock()
			c.flush()
			c.mu.Unlock()
		})
		if t.Logf("FIGURE %d frames: %g allocations", frames, allocs); allocs > most {
			t.Errorf("%d frames take %g allocations, want %d at most", frames, allocs, most)
		}
		s := c.Stats()
		if s.Referenced < 100*int64(len(message)) || s.Copied > s.Referenced/100 || s.Outstanding != 0 || pool.freed < 100 {
			t.Errorf("%+v, and %d buffers were freed", s, pool.freed)
		}
	}
}
