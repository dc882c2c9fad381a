package format

import (
	"container/list"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// PageBudget bounds what those who read Parquet hold of pages together, in bytes: pages as they are uncompressed, the dictionaries by which they
// are decoded, and what is read ahead of the file. Where that exceeds the budget, those who have been waiting longest for their consumers let
// go of theirs, and read them again when they are asked for more. Nobody waits for anybody, and what is read is the same. Those who
// decode at the moment hold what they need, whatever the budget is, and so does the one that has done so last.
//
// Columns that pqarrow decodes (nested ones, decimals, booleans, integers of 8 and 16 bits, and encodings other than plain and dictionaries) keep
// what they hold, which is not counted: they can be read on only after all that comes before them in the row group. Neither is a dictionary
// that batches have as one, for it is theirs. Its methods are safe for use by several goroutines.
type PageBudget struct {
	limit int64

	mu    sync.Mutex
	held  int64
	letGo int64
	idle  list.List // of *pageHolder that hold something, the one that decoded last at the end
}

// PageStats tell how a PageBudget fares.
type PageStats struct {
	// Held are the bytes held by those who wait for their consumers, and, of those who decode now, what they held before.
	Held int64
	// LetGo counts the times that somebody has let go of pages.
	LetGo int64
}

const (
	// pageShare of the process's memory is for pages, as a divisor: batches, messages and garbage take the rest.
	pageShare = 4
	// unlimitedPages bytes are for pages where the memory has no limit: those of 80 readers of six columns as pyarrow writes them.
	unlimitedPages = 512 << 20
)

// PageBytes is how many bytes a budget has by default in a process whose memory is limited to so many bytes; math.MaxInt64 means no limit.
func PageBytes(memoryLimit int64) int64 {
	if memoryLimit == math.MaxInt64 {
		return unlimitedPages
	}
	return memoryLimit / pageShare
}

// processPages is the budget of all who are not given another one.
var processPages = sync.OnceValue(func() *PageBudget { return NewPageBudget(PageBytes(debug.SetMemoryLimit(-1))) })

// NewPageBudget makes a budget of so many bytes.
func NewPageBudget(bytes int64) *PageBudget { return &PageBudget{limit: bytes} }

// Stats tell how the budget fares.
func (b *PageBudget) Stats() PageStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return PageStats{Held: b.held, LetGo: b.letGo}
}

// pageHolder is one reader in a budget; one without a budget is never told to let go. Its lock is that of the reader's pages: the reader
// holds it while it decodes.
type pageHolder struct {
	sync.Mutex

	budget *PageBudget
	// letGo lets go of pages, and returns the bytes that are held nevertheless.
	letGo func() int64

	// The budget's lock guards these.
	noted int64
	place *list.Element // among those that are idle; nil if it holds nothing
}

// roomy is true while less than half of the budget is held, so that readers may take more than they need.
func (h *pageHolder) roomy() bool {
	b := h.budget
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held < b.limit/2
}

// settle notes what the holder holds now that it has decoded, and has others let go if that is too much. The holder's lock is held.
func (h *pageHolder) settle(held int64) {
	b := h.budget
	if b == nil {
		return
	}
	for _, other := range b.note(h, held) {
		other.giveUp()
	}
}

// giveUp lets go of pages that the budget has taken away already, and unlocks the holder.
func (h *pageHolder) giveUp() {
	defer h.Unlock()
	rest := h.letGo()
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held, h.noted = b.held+rest, rest
}

// note notes what a holder holds, and takes away from those that have been idle longest what exceeds the budget: they are locked, and their pages
// have yet to be let go of.
func (b *PageBudget) note(h *pageHolder, held int64) (takenFrom []*pageHolder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held += held - h.noted
	h.noted = held
	b.remove(h)
	for e := b.idle.Front(); e != nil && b.held > b.limit; {
		other := e.Value.(*pageHolder)
		e = e.Next()
		if !other.TryLock() {
			continue // it decodes
		}
		b.held -= other.noted
		b.letGo++
		b.remove(other)
		other.noted = 0
		takenFrom = append(takenFrom, other)
	}
	if held > 0 {
		h.place = b.idle.PushBack(h)
	}
	return takenFrom
}

// remove takes a holder out of those that are idle. The budget's lock is held.
func (b *PageBudget) remove(h *pageHolder) {
	if h.place != nil {
		b.idle.Remove(h.place)
		h.place = nil
	}
}

// end has the budget forget the holder, whose lock is held, and which holds nothing any more.
func (h *pageHolder) end() {
	b := h.budget
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= h.noted
	h.noted = 0
	b.remove(h)
}

// countedMemory counts the bytes that are lent by an allocator whose slices come back with the capacity that they had.
type countedMemory struct {
	memory.Allocator

	lent atomic.Int64
}

// Allocate lends size bytes.
func (m *countedMemory) Allocate(size int) []byte {
	b := m.Allocator.Allocate(size)
	m.lent.Add(int64(cap(b)))
	return b
}

// Reallocate lends size bytes that begin as b does.
func (m *countedMemory) Reallocate(size int, b []byte) []byte {
	before := cap(b)
	b = m.Allocator.Reallocate(size, b)
	m.lent.Add(int64(cap(b) - before))
	return b
}

// Free takes back what was lent.
func (m *countedMemory) Free(b []byte) {
	m.lent.Add(-int64(cap(b)))
	m.Allocator.Free(b)
}
