package format

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/semaphore"
)

// helpers are the goroutines of the process that may decode columns beside the goroutines of the streams: as many as keep all processors busy
// for one stream. Of many streams, hardly one gets any, and none waits for one.
var helpers = semaphore.NewWeighted(int64(max(0, runtime.GOMAXPROCS(0)-1)))

// helpedFrom bytes of the last batch on, or of a row group, what comes next is worth being divided.
const helpedFrom = 256 << 10

// decodeColumns makes arrays of the next rows of some columns, which ascend, with the help of other goroutines where there is much to do, which end
// before it does. If it fails, with the error of the first column that does, the arrays are those that were made before.
func (p *parquetReader) decodeColumns(ctx context.Context, places []int, arrays []arrow.Array, rows int64) error {
	errs := make([]error, len(places))
	var begun atomic.Int64
	work := func() {
		for {
			// Columns are begun in order: when one fails, those before it have been begun, and one of them may be the first to fail.
			i := int(begun.Add(1)) - 1
			if i >= len(places) {
				return
			}
			if arrays[places[i]], errs[i] = p.decodeColumn(ctx, places[i], rows); errs[i] != nil {
				begun.Store(int64(len(places)))
				return
			}
		}
	}
	var helping sync.WaitGroup
	if p.taken >= helpedFrom && !p.alone {
		for helper := 1; helper < len(places) && helpers.TryAcquire(1); helper++ {
			helping.Go(func() {
				defer helpers.Release(1)
				work()
			})
		}
	}
	work()
	helping.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// decodeColumn makes an array of a column's next rows. A panic of the decoder is an error, in whichever goroutine.
func (p *parquetReader) decodeColumn(ctx context.Context, i int, rows int64) (a arrow.Array, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			a, err = nil, recovered(caught)
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a, err = p.columns[i].next(ctx, rows); err != nil {
		return nil, p.columnError(i, err)
	}
	return a, nil
}

func (p *parquetReader) columnError(i int, err error) error {
	return fmt.Errorf("column %s of row group %d: %w", quoted(p.schema.Field(i).Name), p.group, err)
}
