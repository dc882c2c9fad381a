package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
)

// overwritten is what is answered once for a put that overwrites, as JSON, when it would outlive a power failure and is served.
type overwritten struct {
	Batches uint64 `json:"batches"`
	Rows    int64  `json:"rows"`
	// Files that hold the rows, below the root of the volume.
	Files []string `json:"files"`
	// Removed is the number of files that these have replaced.
	Removed int `json:"removed"`
	// Already is true if an earlier put with the same ID has overwritten the dataset. Then this one has changed nothing.
	Already bool `json:"already,omitempty"`
}

// overwrite replaces all files of a dataset by what the client sends, once it has sent all of it. Before that nothing is changed.
func (s *Service) overwrite(
	ctx context.Context, place *landingPlace, asked putRequest, schema *arrow.Schema, r *flightruntime.DataReader, w *flightruntime.MetadataWriter,
) error {
	defer place.ended()
	replacement, err := place.landing.Replace(ctx, asked.replacementID(ctx))
	if err != nil {
		return putError(asked.Dataset, err)
	}
	defer replacement.Abort()
	f := replacementFiles{replacement: replacement, format: place.spec.Format, schema: schema, reader: r, record: recordOf(ctx)}
	if err := f.write(ctx); err != nil {
		return putError(asked.Dataset, err)
	}
	if asked.Rows != nil && *asked.Rows != f.rows {
		return flightruntime.Errorf(flightruntime.KindInvalid, "dataset %s: %d rows came, and the command announced %d: nothing was changed", asked.Dataset, f.rows, *asked.Rows)
	}
	place.landsSoon()
	done, err := replacement.Commit(ctx)
	if err != nil {
		return putError(asked.Dataset, err)
	}
	if _, err := s.catalog.Refresh(ctx, asked.Dataset); err != nil {
		return putError(asked.Dataset, err)
	}
	body, err := json.Marshal(overwritten{Batches: f.batches, Rows: f.rows, Files: done.Files, Removed: len(done.Removed), Already: done.Already})
	if err != nil {
		return err
	}
	return w.Write(body)
}

// replacementID makes a put that overwrites idempotent. It is unlike the keys of puts that append.
func (p putRequest) replacementID(ctx context.Context) string {
	if p.ID == "" {
		return ""
	}
	return fmt.Sprintf("overwrite %q %q", identityOf(ctx), p.ID)
}

// replacementFiles are the files of a replacement, written from a stream with no more than one batch in memory at a time.
type replacementFiles struct {
	replacement *landing.Replacement
	format      string
	schema      *arrow.Schema
	reader      *flightruntime.DataReader
	record      *record

	next    arrow.RecordBatch // that is not written yet, nil at the end of the stream
	batches uint64
	rows    int64
}

// write makes as many files as it takes, and one without rows of a stream without any: it says which columns the dataset has.
func (f *replacementFiles) write(ctx context.Context) error {
	if err := f.advance(); err != nil {
		return err
	}
	for {
		if err := f.replacement.Write(ctx, f.writeFile); err != nil {
			return err
		}
		if f.next == nil {
			return nil
		}
	}
}

// writeFile writes batches until there is enough of them for a file, or one that another file has to hold.
func (f *replacementFiles) writeFile(w io.Writer) error {
	writer, err := format.NewWriter(f.format, w, f.schema)
	if err != nil {
		return err
	}
	for size := int64(0); err == nil && f.next != nil && size < landing.DefaultMaxFileBytes; {
		n := format.BatchBytes(f.next)
		err = writer.Write(f.next)
		if errors.Is(err, format.ErrDictionary) && size > 0 {
			err = nil
			break
		}
		if err == nil {
			size += max(1, n)
			err = f.advance()
		}
	}
	if closeErr := writer.Close(); err == nil {
		err = closeErr
	}
	return err
}

// advance reads the next batch that has rows.
func (f *replacementFiles) advance() error {
	for {
		c, err := f.reader.Read()
		f.record.moved(c)
		if errors.Is(err, io.EOF) {
			f.next = nil
			return nil
		}
		if err != nil {
			return err
		}
		if c.Batch == nil {
			continue // metadata alone mean nothing here
		}
		f.batches++
		f.rows += c.Batch.NumRows()
		if c.Batch.NumRows() > 0 {
			f.next = c.Batch
			return nil
		}
	}
}
