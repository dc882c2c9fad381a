package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// arrowFormat reads Arrow's IPC format: files, which end in a footer, or streams, whose end may be unmarked. Batches come as they were
// written, whatever ReadOptions.MaxRows says.
type arrowFormat struct{ file bool }

func (f arrowFormat) Inspect(ctx context.Context, objects []source.Object) (*Layout, error) {
	schemas := make([]*arrow.Schema, len(objects))
	layout := &Layout{Parts: make([]Part, len(objects))}
	err := examine(ctx, objects, func(i int, r source.Reader) error {
		o := objects[i]
		if err := f.checkMagic(o, r); err != nil {
			return err
		}
		count := streamRows
		if f.file {
			count = fileRows
		}
		rows, err := count(o, r, ctx.Err)
		if err != nil {
			return err
		}
		layout.Parts[i] = Part{Object: o, Rows: rows}
		decoder, err := f.open(o, r, newQuota(nil, o.Size()))
		if err != nil {
			return err
		}
		defer decoder.Release()
		schemas[i] = decoder.Schema()
		return nil
	})
	if err != nil {
		return nil, err
	}
	layout.Schema, err = unify(objects, schemas)
	if err != nil {
		return nil, err
	}
	return layout, nil
}

func (f arrowFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	p := layout.Parts[part]
	o := p.Object
	return batches(ctx, p, func(r source.Reader) (batchReader, error) {
		q := newQuota(opts.Allocator, o.Size())
		decoder, err := f.open(o, r, q)
		if err != nil {
			return nil, err
		}
		if err := fits(layout, o, decoder.Schema()); err != nil {
			decoder.Release()
			return nil, err
		}
		return &arrowReader{layout: layout, quota: q, decoder: decoder}, nil
	})
}

func (f arrowFormat) checkMagic(o source.Object, r io.ReaderAt) error {
	if !f.file {
		return checkStreamStart(o, r)
	}
	head, err := headOf(o, r, "an Arrow file")
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, magicArrowFile) {
		return notA("an Arrow file", head)
	}
	magic := int64(len(magicArrowFile))
	if o.Size() < firstMessage+fileTail {
		return errTruncatedArrow
	}
	tail, err := readAt(o, r, o.Size()-magic, magic)
	if err != nil {
		return err
	}
	if !bytes.Equal(tail, magicArrowFile) {
		return errTruncatedArrow
	}
	return nil
}

// checkStreamStart refuses what is known to be something else. A stream has no magic: before Arrow 0.15 it began with a length.
func checkStreamStart(o source.Object, r io.ReaderAt) error {
	head, err := headOf(o, r, "an Arrow stream")
	if err != nil {
		return err
	}
	if !startsStream(head) && looksLike(head) != "" {
		return notA("an Arrow stream", head)
	}
	return nil
}

var errTruncatedArrow = errors.New("it begins as an Arrow file but has no footer: it is cut, or still being written; write to another name and rename it when done")

func (f arrowFormat) open(o source.Object, r io.ReaderAt, q *ipcguard.Quota) (*ipc.Reader, error) {
	messages, what := streamMessages(o, r, q), "stream"
	if f.file {
		var err error
		if messages, err = fileMessages(o, r, q); err != nil {
			return nil, err
		}
		what = "file"
	}
	decoder, err := ipc.NewReaderFromMessageReader(messages, ipc.WithAllocator(q))
	if err != nil {
		return nil, fmt.Errorf("it cannot be read as an Arrow %s: %w", what, undecodable(err))
	}
	return decoder, nil
}

type arrowReader struct {
	layout    *Layout
	quota     *ipcguard.Quota
	decoder   *ipc.Reader
	validator ipcguard.Validator
	read      int // batches
}

func (a *arrowReader) next(context.Context) (arrow.RecordBatch, error) {
	a.quota.Step()
	if !a.decoder.Next() {
		if err := a.decoder.Err(); err != nil {
			return nil, fmt.Errorf("record batch %d cannot be decoded: %w", a.read, undecodable(err))
		}
		return nil, io.EOF
	}
	batch := a.decoder.RecordBatch()
	batch.Retain() // the decoder keeps its own reference until the next
	a.read++
	if err := a.validator.Validate(batch); err != nil {
		batch.Release()
		return nil, fmt.Errorf("record batch %d is damaged: %w", a.read-1, undecodable(err))
	}
	return under(a.layout, batch)
}

func (a *arrowReader) close() { a.decoder.Release() }
