package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/ipcguard"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// arrowFormat reads Arrow's IPC format: files, which end in a footer, or streams, whose end may be unmarked. Batches come as they were
// written, whatever ReadOptions.MaxRows says.
type arrowFormat struct{ file bool }

func (f arrowFormat) Inspect(ctx context.Context, objects []source.Object, before *Layout) (*Layout, error) {
	return inspectEach(ctx, objects, before, func(o source.Object, r source.Reader) (part Part, _ *arrow.Schema, err error) {
		if err := f.checkMagic(o, r); err != nil {
			return part, nil, err
		}
		part.Object = o
		if f.file {
			if part.Units, err = fileUnits(o, r, ctx.Err); err != nil {
				return part, nil, err
			}
			for _, u := range part.Units {
				if part.Rows, err = addRows(part.Rows, u.Rows); err != nil {
					return part, nil, err
				}
			}
		} else {
			if part.Rows, err = streamRows(o, r, ctx.Err); err != nil {
				return part, nil, err
			}
			part.Units = part.whole()
		}
		q := newQuota(nil, o.Size())
		messages, err := f.messages(o, r, q, nil)
		if err != nil {
			return part, nil, err
		}
		decoder, err := f.open(messages, q)
		if err != nil {
			return part, nil, err
		}
		defer decoder.Release()
		return part, decoder.Schema(), nil
	})
}

func (f arrowFormat) Read(ctx context.Context, layout *Layout, part int, opts ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return batches(ctx, layout, part, opts, func(req *request, r source.Reader) (*arrowReader, error) {
		o := req.part.Object
		q := newQuota(attentiveTo(ctx, opts.Allocator), o.Size())
		messages, err := f.messages(o, r, q, req)
		if err != nil {
			return nil, err
		}
		decoder, err := f.open(messages, q)
		if err != nil {
			return nil, err
		}
		if err := fits(req.schema, o, decoder.Schema()); err != nil {
			decoder.Release()
			return nil, err
		}
		return &arrowReader{schema: req.schema, quota: q, messages: messages, decoder: decoder}, nil
	})
}

// messages are those that a request asks for; nil asks for all of them.
func (f arrowFormat) messages(o source.Object, r io.ReaderAt, q *ipcguard.Quota, req *request) (messageReader, error) {
	messages := streamMessages(o, r, q)
	if f.file {
		blocks, err := readFooter(o, r)
		if err != nil {
			return nil, err
		}
		if req != nil {
			if blocks.Batches, err = batchesOf(o, blocks.Batches, req); err != nil {
				return nil, err
			}
		}
		messages.following = messagesOf(blocks, o, r)
	}
	if req == nil || req.all() {
		return messages, nil
	}
	return &projectedMessages{messages, ipcguard.NewProjection(req.columns, req.layout.Schema.NumFields())}, nil
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

// open makes a decoder of the first message, which is the schema. One batch, and all dictionaries together, may take as much as the quota.
func (f arrowFormat) open(messages messageReader, q *ipcguard.Quota) (*ipcguard.Decoder, error) {
	m, body, err := messages.next()
	if err == nil {
		defer body.Release()
		var decoder *ipcguard.Decoder
		if decoder, err = ipcguard.NewDecoder(m, ipcguard.Options{Allocator: q, MaxBatchBytes: q.Limit()}); err == nil {
			return decoder, nil
		}
	}
	what := "stream"
	if f.file {
		what = "file"
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it has no schema")
	}
	return nil, fmt.Errorf("it cannot be read as an Arrow %s: %w", what, undecodable(err))
}

type arrowReader struct {
	schema   *arrow.Schema
	quota    *ipcguard.Quota
	messages messageReader
	decoder  *ipcguard.Decoder
	read     int // batches
}

// next decodes dictionaries up to the next record batch, and that.
func (a *arrowReader) next(context.Context) (arrow.RecordBatch, error) {
	a.quota.Step()
	for {
		batch, err := a.decode()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, fmt.Errorf("record batch %d cannot be decoded: %w", a.read, undecodable(err))
		}
		if batch != nil {
			a.read++
			return under(a.schema, batch)
		}
	}
}

// decode takes in one message, which is a batch or brings none.
func (a *arrowReader) decode() (arrow.RecordBatch, error) {
	m, body, err := a.messages.next()
	if err != nil {
		return nil, err
	}
	defer body.Release()
	switch m.Kind {
	case ipcguard.KindRecordBatch:
		return a.decoder.Batch(m, body)
	case ipcguard.KindDictionaryBatch:
		return nil, a.decoder.Dictionary(m, body)
	default:
		return nil, fmt.Errorf("there is a %s before it: expected none but the first message", m.Kind)
	}
}

func (a *arrowReader) close() { a.decoder.Release() }
