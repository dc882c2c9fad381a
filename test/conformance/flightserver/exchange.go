package flightserver

import (
	"context"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Exchange has a DoExchange for each of the commands "echo", "get", "put", "sum", "winds" and "silence".
type Exchange struct {
	flightruntime.BaseService
	// Options say how batches are encoded.
	Options flightruntime.WriteOptions
}

// ExchangedRows are how many the command "get" sends.
const ExchangedRows = 10_000

// DoExchange runs the descriptor's command.
func (e Exchange) DoExchange(_ context.Context, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	switch string(d.GetCmd()) {
	case "echo":
		return e.echo(r, w)
	case "get":
		return e.send(w, counted("n", 0, ExchangedRows))
	case "put":
		return put(r, w)
	case "sum":
		return e.sum(r, w)
	case "winds":
		return e.winds(r, w)
	case "silence":
		return nil
	default:
		return flightruntime.Errorf(flightruntime.KindInvalid, "there is no exchange %s", d)
	}
}

// echo sends each chunk back as it came.
func (e Exchange) echo(r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	begun := false
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if c.Batch != nil && !begun {
			begun = true
			if err := w.Begin(c.Batch.Schema(), e.Options); err != nil {
				return err
			}
		}
		if err := w.Write(c); err != nil {
			return err
		}
	}
	return nil
}

func (e Exchange) send(w *flightruntime.DataWriter, batches ...arrow.RecordBatch) error {
	if err := w.Begin(batches[0].Schema(), e.Options); err != nil {
		return err
	}
	for _, b := range batches {
		if err := w.WriteBatch(b); err != nil {
			return err
		}
	}
	return nil
}

// put answers with how many batches came.
func put(r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	batches := 0
	for c, err := range r.Chunks() {
		switch {
		case err != nil:
			return err
		case c.Batch == nil:
			return flightruntime.Errorf(flightruntime.KindInvalid, "expected batches alone, got the metadata %q", c.AppMetadata)
		}
		batches++
	}
	return w.WriteMetadata(strconv.AppendInt(nil, int64(batches), 10))
}

// sum answers with the sum of each row.
func (e Exchange) sum(r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	schema, err := r.Schema()
	if err != nil {
		return err
	}
	for _, f := range schema.Fields() {
		if f.Type.ID() != arrow.INT64 {
			return flightruntime.Errorf(flightruntime.KindInvalid, "expected columns of int64 to add up, got %q of %s", f.Name, f.Type)
		}
	}
	var sums []int64
	for c, err := range r.Chunks() {
		switch {
		case err != nil:
			return err
		case c.Batch == nil:
			continue
		}
		for row := range int(c.Batch.NumRows()) {
			var sum int64
			for _, column := range c.Batch.Columns() {
				sum += column.(*array.Int64).Value(row)
			}
			sums = append(sums, sum)
		}
	}
	return e.send(w, integers("sum", sums...))
}

// winds takes the dictionary column of Winds and answers with it.
func (e Exchange) winds(r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	table, err := r.ReadAll()
	if err != nil {
		return err
	}
	expected := array.NewTableFromRecords(Winds()[0].Schema(), Winds())
	if !array.TableEqual(table, expected) {
		return flightruntime.Errorf(flightruntime.KindInvalid, "expected %v, got %v", expected, table)
	}
	return e.send(w, Winds()...)
}
