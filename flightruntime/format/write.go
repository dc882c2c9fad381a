package format

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// A Writer encodes record batches as one object.
//
// After an error of Write other than ErrDictionary, and after an error of Close, what was written is no object: throw it away.
type Writer interface {
	// Write adds a batch, which has to have the columns of the schema that the writer was made with; the metadata may be other. It keeps
	// nothing of the batch but dictionaries, which it releases when it is closed. An error that wraps ErrDictionary says that nothing of the
	// batch was written, and that another object can hold it. An error of what is written to is wrapped.
	Write(batch arrow.RecordBatch) error
	// Close writes what makes the object complete, and frees memory: it has to be called, after an error too. It does not close what is
	// written to.
	Close() error
}

// ErrDictionary is what Write's error wraps where a batch has dictionaries that one object cannot hold beside those of the batches
// before. Close the object and begin another one.
var ErrDictionary = errors.New("its dictionaries are other than those of the batches before, which one file cannot hold: begin another file")

// WritableNames are the formats that NewWriter can write: those that keep every type.
func WritableNames() []string { return []string{Parquet, ArrowFile, ArrowStream} }

// NewWriter begins an object of the format of that name. What is read from it later has exactly the schema's columns: a schema of which that
// would not be so, because the format has no such type, is an error that names the column and the mend. It may write to w at once.
func NewWriter(formatName string, w io.Writer, schema *arrow.Schema) (Writer, error) {
	if err := CheckWritable(formatName, schema); err != nil {
		return nil, err
	}
	out := &objectWriter{schema: schema, sink: &sink{w: w}}
	err := out.contained(func() (err error) {
		out.encoder, err = newEncoder(formatName, out.sink, schema)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CheckWritable tells whether an object of the format of that name can hold the schema's columns so that they are read as they were
// written. It writes an object without rows and reads the schema: what comes back has to be what went in, or a dataset's next file would have
// other columns than the one before.
func CheckWritable(formatName string, schema *arrow.Schema) error {
	if !slices.Contains(WritableNames(), formatName) {
		return fmt.Errorf("format %s cannot be written: expected one of %s, which keep the types", formatName, strings.Join(WritableNames(), ", "))
	}
	got, err := trip(formatName, schema)
	if err == nil {
		for i, f := range schema.Fields() {
			if back := got.Field(i); !sameType(f.Type, back.Type) {
				return fmt.Errorf("column %s would be read as %s from %s: put that type, or %s", describe(f), typeName(back.Type), formatName, otherwise(formatName))
			}
		}
		return nil
	}
	for _, f := range schema.Fields() { // one at a time, to tell which it is
		if _, err := trip(formatName, arrow.NewSchema([]arrow.Field{f}, nil)); err != nil {
			return fmt.Errorf("column %s cannot be written as %s (%w): put another type, or %s", describe(f), formatName, err, otherwise(formatName))
		}
	}
	return fmt.Errorf("the columns cannot be written as %s together: %w", formatName, err)
}

func otherwise(formatName string) string {
	if formatName == Parquet {
		return "set the dataset's format to ArrowFile or ArrowStream"
	}
	return "leave the column out"
}

// trip is the schema that is read where the given one was written.
func trip(formatName string, schema *arrow.Schema) (*arrow.Schema, error) {
	var b bytes.Buffer
	err := contained(func() error {
		e, err := newEncoder(formatName, &b, schema)
		if err != nil {
			return err
		}
		return e.close()
	})
	if err != nil {
		return nil, err
	}
	f, err := Lookup(formatName)
	if err != nil {
		return nil, err
	}
	objects, err := source.NewInline("what was written", b.Bytes()).List(context.Background())
	if err != nil {
		return nil, err
	}
	layout, err := f.Inspect(context.Background(), objects, nil)
	if err != nil {
		return nil, err
	}
	return layout.Schema, nil
}

// encoder is arrow-go's writer of one object.
type encoder interface {
	write(batch arrow.RecordBatch) error
	close() error
}

func newEncoder(formatName string, w io.Writer, schema *arrow.Schema) (encoder, error) {
	if formatName == Parquet {
		return newParquetEncoder(w, schema)
	}
	return newArrowEncoder(formatName == ArrowFile, w, schema)
}

// objectWriter gives an encoder what it expects, and turns its panics into errors.
type objectWriter struct {
	schema  *arrow.Schema
	encoder encoder
	sink    *sink
}

func (w *objectWriter) Write(batch arrow.RecordBatch) error {
	if d := difference("the batch", batch.Schema(), "the file", w.schema); d != "" {
		return fmt.Errorf("the batches of one file must have the same columns, but %s", d)
	}
	return w.contained(func() error {
		batch.Retain()
		batch, err := under(w.schema, batch)
		if err != nil {
			return err
		}
		defer batch.Release()
		return w.encoder.write(batch)
	})
}

func (w *objectWriter) Close() error { return w.contained(w.encoder.close) }

// contained calls f. Where it fails because of what is written to, that is the error, for encoders tell it in texts of their own.
func (w *objectWriter) contained(f func() error) error {
	err := contained(f)
	if w.sink.err != nil {
		return w.sink.err
	}
	return err
}

// contained calls f and turns its panics into errors.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errUnwritable
		}
	}()
	return f()
}

// errUnwritable stands for whatever the encoders of arrow-go panic with.
var errUnwritable = errors.New("the batch cannot be encoded: its content contradicts its own description")

// sink is what an encoder writes to. It remembers the first error, and hides that a file can be closed: its owner closes it.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	s.err = err
	return n, err
}
