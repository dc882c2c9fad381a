package format

import "github.com/apache/arrow-go/v18/arrow"

// pace says how many rows of a Parquet file go into the next batch, so that it takes about as much in memory as a Flight message does. What rows take there is known
// only when some were decoded: dictionaries and runs may make a thousandth of it in the file. So the first batch is small, and each one can
// be some times larger than the last.
type pace struct {
	most  int64 // rows in a batch
	best  int64 // bytes of a batch in memory
	group int64 // rows in a batch of the current row group
	next  int64 // rows in the next batch, going by what the last one took
	last  int64 // rows that would make a batch, going by that
	large bool  // whether a large batch has been made
}

const (
	// bestBatch bytes in memory are little less than a Flight message has at best, so that a batch is one of them, even if its rows are somewhat
	// longer than those before. All that is decoded of a stream and not yet sent is a few batches.
	bestBatch = 960 << 10
	// largeBatch bytes has one batch, early in what is read: it makes the large message that package wire tells of.
	largeBatch = 15 << 18
	// bestColumn bytes of each column are decoded at a time where there are many: with less, beginning costs more than decoding.
	bestColumn = 32 << 10
	// mostBatch: very wide rows make no batch of gigabytes.
	mostBatch = 16 << 20
	// firstBatch rows of 1 MiB each, the longest text that writers keep in dictionaries, are well within the quota.
	firstBatch = 64
	// fastest growth from one batch to the next: four batches until DefaultMaxRows.
	fastest = 8
)

func newPace(maxRows, columns int) *pace {
	most := int64(maxRows)
	return &pace{most: most, best: max(bestBatch, min(int64(columns)*bestColumn, mostBatch)), group: most, next: min(firstBatch, most)}
}

// enter begins a row group of so many rows, which its columns say have so many bytes in the file, uncompressed. Rows take that much at least,
// on the average, so that a row group whose long values come late is known for it.
func (p *pace) enter(rows, bytes int64) { p.group = p.fit(rows, bytes) }

// due is true when the next batch may be the large one: what rows take is known, and batches have grown to what they are to be.
func (p *pace) due() bool { return !p.large && p.last > 0 && p.next >= p.last && p.best < largeBatch }

// rows of the next batch, which may be large, if so many are left of the row group.
func (p *pace) rows(left int64, large bool) int64 {
	n := min(p.next, p.group)
	if large {
		n = min(p.most, largeBatch*n/p.best)
	}
	return min(n, left)
}

// took notes what a batch took in memory.
func (p *pace) took(rows, bytes int64) {
	p.large = p.large || bytes > largeBatch/2
	p.last = p.fit(rows, bytes)
	p.passed(rows)
}

// passed notes that so many rows were passed over, and took nothing.
func (p *pace) passed(rows int64) { p.next = min(p.last, fastest*rows) }

// fit is the number of rows, up to most, that make a batch if rows take so many bytes. One row always does.
func (p *pace) fit(rows, bytes int64) int64 {
	perRow := bytes / rows
	if perRow <= 0 {
		return p.most
	}
	return max(1, min(p.most, p.best/perRow))
}

// ArrayBytes is what an array takes in memory, in bytes: all buffers in full, also where it is a slice of them, but for dictionaries, which serve
// many batches.
func ArrayBytes(data arrow.ArrayData) (n int64) {
	for _, b := range data.Buffers() {
		if b != nil {
			n += int64(b.Len())
		}
	}
	for _, c := range data.Children() {
		n += ArrayBytes(c)
	}
	return n
}

// BatchBytes is what stays in memory with a batch, in bytes: all buffers of its columns in full, those of dictionaries too.
func BatchBytes(batch arrow.RecordBatch) (n int64) {
	for _, column := range batch.Columns() {
		n += int64(column.Data().SizeInBytes())
	}
	return n
}
