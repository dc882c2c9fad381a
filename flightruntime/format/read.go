package format

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// batchReader decodes one object, batch by batch.
type batchReader interface {
	// next is the next batch, which the caller releases, or io.EOF.
	next(ctx context.Context) (arrow.RecordBatch, error)
	// close releases what the reader holds; not the object.
	close()
}

// batches is the sequence that Format.Read promises, of the batch reader that open makes: exactly the part's number of rows, or an error.
// Panics of the decoder end it with an error; those of whoever consumes it are none of its business.
func batches(ctx context.Context, p Part, open func(source.Reader) (batchReader, error)) iter.Seq2[arrow.RecordBatch, error] {
	o := p.Object
	return func(yield func(arrow.RecordBatch, error) bool) {
		left := p.Rows
		err := withObject(ctx, o, func(r source.Reader) error {
			var decoder batchReader
			err := protect(o, func() (err error) {
				decoder, err = open(r)
				return err
			})
			if err != nil {
				return err
			}
			defer func() { _ = protect(o, func() error { decoder.close(); return nil }) }()
			for {
				if err := ctx.Err(); err != nil {
					return err
				}
				var batch arrow.RecordBatch
				err := protect(o, func() (err error) {
					batch, err = decoder.next(ctx)
					return err
				})
				if errors.Is(err, io.EOF) && left > 0 {
					return changed(o, fmt.Errorf("it has %d rows, it had %d", p.Rows-left, p.Rows))
				}
				if err != nil {
					return err
				}
				if left -= batch.NumRows(); left < 0 {
					batch.Release()
					return changed(o, fmt.Errorf("it has more than the %d rows it had", p.Rows))
				}
				if !emit(yield, batch) {
					return io.EOF
				}
			}
		})
		if err != nil && !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

// emit hands a batch over for one iteration step.
func emit(yield func(arrow.RecordBatch, error) bool, batch arrow.RecordBatch) bool {
	defer batch.Release()
	return yield(batch, nil)
}

// changed is the error for an object that does not read as it did when it was inspected, because of what err says.
func changed(o source.Object, err error) error {
	return fmt.Errorf("%s %w: %w", o.Name(), source.ErrChanged, err)
}

// withObject opens an object for the duration of f.
func withObject(ctx context.Context, o source.Object, f func(source.Reader) error) error {
	r, err := o.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return f(r)
}

// examine calls f with each opened object in turn. Its errors name the object.
func examine(ctx context.Context, objects []source.Object, f func(i int, r source.Reader) error) error {
	if len(objects) == 0 {
		return errors.New("a dataset needs at least one file")
	}
	for i, o := range objects {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := withObject(ctx, o, func(r source.Reader) error {
			return protect(o, func() error { return f(i, r) })
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// protect calls f, and turns its panics into errors and gives its errors the object's name. io.EOF and the context's errors stay as they are.
func protect(o source.Object, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = recovered(p)
		}
		err = named(o, err)
	}()
	return f()
}

// recovered is the error that stands for a decoder's panic.
func recovered(p any) error {
	if err, ok := p.(error); ok {
		return undecodable(err)
	}
	return errDamaged
}

// errDamaged stands for whatever the decoders of arrow-go panic with: their texts tell of Go slices, not of files.
var errDamaged = errors.New("the file is damaged: its content contradicts its own description")

// undecodable is an error of arrow-go's in words for users.
func undecodable(err error) error {
	var q *ipcguard.QuotaError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, source.ErrChanged):
		return err
	case errors.As(err, &q):
		return fmt.Errorf("%w: the file is damaged, or its row groups or batches are too large to be served; write smaller ones", q)
	case strings.Contains(err.Error(), "runtime error"): // a panic that arrow-go recovered, some of which it wraps and some it prints
		return errDamaged
	default:
		return errors.New(packageNames.Replace(err.Error()))
	}
}

// packageNames are what arrow-go puts before its messages.
var packageNames = strings.NewReplacer("arrow/ipc: ", "", "arrow/array: ", "", "parquet: ", "", "column chunk: ", "")

// named is the error with the object's name, unless it has it already or is none about it.
func named(o source.Object, err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, source.ErrChanged):
		return err
	default:
		return fmt.Errorf("%s: %w", o.Name(), err)
	}
}

// addRows counts rows that files claim, which need not be true, nor even add up.
func addRows(sum, n int64) (int64, error) {
	if n < 0 || sum > math.MaxInt64-n {
		return 0, fmt.Errorf("it claims %d rows: the file is damaged", n)
	}
	return sum + n, nil
}

// section is an object's bytes as a reader that can seek, as arrow-go's file readers want them.
func section(o source.Object, r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, 0, o.Size())
}

func (o ReadOptions) maxRows() int {
	if o.MaxRows <= 0 {
		return DefaultMaxRows
	}
	return o.MaxRows
}
