package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	jsonv2 "github.com/go-json-experiment/json"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// putWindow is how many batches of one put may be on their way to the disk: enough for the disk never to wait for the network.
const putWindow = 64

// putRequest is what a descriptor's command says of a put, as JSON.
type putRequest struct {
	Dataset string `json:"dataset"`
	// ID makes the put idempotent: batches that landed before under the same ID and number, by the same caller, are not written again.
	ID string `json:"id,omitempty"`
	// Mode is one of the modes below; append if left out.
	Mode string `json:"mode,omitempty"`
	// Rows are those of the whole put, if the client says so: one that overwrites with another number changes nothing. It guards against
	// clients that end a stream regularly where they fail in the middle of it.
	Rows *int64 `json:"rows,omitempty"`
}

// Modes of a put.
const (
	modeAppend    = "append"
	modeOverwrite = "overwrite"
)

// key is that of a put's n-th batch.
func (p putRequest) key(ctx context.Context, n uint64) landing.Key {
	if p.ID == "" {
		return landing.Key{}
	}
	return landing.Key{ID: fmt.Sprintf("%q %q", identityOf(ctx), p.ID), N: n}
}

// maxPutID bounds the ID of a put.
const maxPutID = 256

// receipt is what is answered for each batch, as JSON, once it would outlive a power failure and is served.
type receipt struct {
	// Batch counts the batches of the put from 1 on.
	Batch uint64 `json:"batch"`
	Rows  int64  `json:"rows"`
	// File is the one that it is in, below the root of the volume.
	File string `json:"file,omitempty"`
	// Already is true if an earlier put with the same ID landed it.
	Already bool `json:"already,omitempty"`
}

// bodies is memory of the batches of puts, each of which is released once it is on the disk.
var bodies wire.Pool

// DoPut lands record batches in a dataset. Each is acknowledged when it is on the disk and served; of a put that overwrites, all together.
func (s *Service) DoPut(ctx context.Context, r *flightruntime.DataReader, w *flightruntime.MetadataWriter) error {
	d, err := r.Descriptor()
	if err != nil {
		return err
	}
	asked, err := parsePut(d)
	if err != nil {
		return err
	}
	p, need, err := s.mayPut(ctx, asked)
	if err != nil {
		return err
	}
	if err := s.follow(ctx, p); err != nil {
		return err
	}
	place, err := s.landingOf(ctx, p, need)
	if err != nil {
		return err
	}
	defer place.leave()
	r.UsePool(&bodies)
	schema, err := r.Schema()
	if errors.Is(err, io.EOF) {
		return flightruntime.Errorf(flightruntime.KindInvalid, "the put ended without a schema: expected one, and then record batches")
	}
	if err != nil {
		return err
	}
	if err := place.admit(schema, s.schemaOf(asked.Dataset)); err != nil {
		return flightruntime.Errorf(flightruntime.KindInvalid, "dataset %s: %w", asked.Dataset, err)
	}
	if asked.Mode == modeOverwrite {
		return s.overwrite(ctx, place, asked, schema, r, w)
	}
	return s.land(ctx, place, asked, r, w)
}

// mayPut lets the caller put. Who overwrites, deletes.
func (s *Service) mayPut(ctx context.Context, asked putRequest) (permit, need, error) {
	c := s.caller(ctx)
	if asked.Mode == modeOverwrite {
		if _, err := c.mayDelete(asked.Dataset); err != nil {
			return permit{}, "", err
		}
		p, err := c.may(authz.Put, asked.Dataset)
		return p, overwriting, err
	}
	p, err := c.may(authz.Put, asked.Dataset)
	return p, appending, err
}

func parsePut(d *flightruntime.FlightDescriptor) (putRequest, error) {
	var asked putRequest
	switch {
	case d.GetType() == flight.DescriptorPATH && len(d.GetPath()) == 1:
		asked.Dataset = d.GetPath()[0]
	case d.GetType() == flight.DescriptorCMD:
		if err := jsonv2.Unmarshal(d.GetCmd(), &asked, jsonv2.RejectUnknownMembers(true)); err != nil || asked.Dataset == "" {
			return asked, flightruntime.Errorf(flightruntime.KindInvalid, "the command of %d bytes: expected JSON such as {\"dataset\": \"trips\", \"id\": \"load-7\"}", len(d.GetCmd()))
		}
	default:
		return asked, flightruntime.Errorf(flightruntime.KindInvalid, "descriptor %s: expected a path of one part, the name of a dataset, or a command such as {\"dataset\": \"trips\", \"id\": \"load-7\"}", describe(d))
	}
	switch {
	case len(asked.ID) > maxPutID:
		return asked, flightruntime.Errorf(flightruntime.KindInvalid, "the id has %d bytes: expected at most %d", len(asked.ID), maxPutID)
	case asked.Mode != "" && asked.Mode != modeAppend && asked.Mode != modeOverwrite:
		return asked, flightruntime.Errorf(flightruntime.KindInvalid, "the mode is %q: expected %q or %q", asked.Mode, modeAppend, modeOverwrite)
	case asked.Rows != nil && asked.Mode != modeOverwrite:
		return asked, flightruntime.Errorf(flightruntime.KindInvalid, "rows are announced for mode %q alone: leave them out, each batch is acknowledged by itself", modeOverwrite)
	}
	return asked, nil
}

// need is what a call is about to do to a dataset.
type need string

const (
	appending   need = "put into"
	overwriting need = "overwrite and delete"
)

// refused is an error, which names the mend, where a dataset's access does not allow what a call needs.
func (n need) refused(d config.Dataset) error {
	allowed := d.Allows()
	has, access := "is read-only", v1alpha1.AccessAppend
	switch n {
	case appending:
		if allowed.Append {
			return nil
		}
	case overwriting:
		if allowed.Overwrite {
			return nil
		}
		access = v1alpha1.AccessReadWrite
		if allowed.Append {
			has = "takes more batches and keeps all that it has"
		}
	}
	return flightruntime.Errorf(flightruntime.KindPrecondition, "dataset %s %s: whoever runs this server can let clients %s it, with access: %s", d.Name, has, n, access)
}

// landingOf is where files of a dataset land, if it allows what the call needs. The caller leaves it.
func (s *Service) landingOf(ctx context.Context, p permit, need need) (*landingPlace, error) {
	name := p.dataset
	if loaded := s.loaded.Load(); loaded != nil && loaded.Config != nil {
		for _, d := range loaded.Datasets {
			if d.Name != name {
				continue
			}
			if err := need.refused(d); err != nil {
				return nil, err
			}
			if d.Files == nil {
				return nil, p.callError(ctx, &catalog.UnavailableError{Name: name, Message: d.Missing})
			}
			place, err := s.landings.enter(ctx, d)
			if err != nil {
				return nil, flightruntime.Errorf(flightruntime.KindUnavailable, "dataset %s: %w", name, err)
			}
			return place, nil
		}
	}
	_, err := s.catalog.Snapshot(name) // for the error that names what may have been meant
	return nil, p.callError(ctx, err)
}

// schemaOf is that of the version that is served; nil if nothing is.
func (s *Service) schemaOf(name string) *arrow.Schema {
	snapshot, err := s.catalog.Snapshot(name)
	if err != nil {
		return nil
	}
	return snapshot.Layout.Schema
}

// onItsWay is a batch that has not been acknowledged.
type onItsWay struct {
	receipt receipt
	pending *landing.Pending // nil for a batch without rows, which lands nowhere
}

// land puts the batches in their place, while others of them are on their way, and acknowledges them in order.
func (s *Service) land(ctx context.Context, place *landingPlace, asked putRequest, r *flightruntime.DataReader, w *flightruntime.MetadataWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue, taken := make(chan onItsWay, putWindow), make(chan error, 1)
	go func() { // it may be waiting for the client when the call ends
		err := take(ctx, place, asked, r, queue)
		place.ended()
		taken <- err
		close(queue)
	}()
	if err := s.acknowledge(ctx, asked.Dataset, queue, w); err != nil {
		return putError(asked.Dataset, err)
	}
	return putError(asked.Dataset, <-taken)
}

// take hands what the client sends to the appender.
func take(ctx context.Context, place *landingPlace, asked putRequest, r *flightruntime.DataReader, queue chan<- onItsWay) error {
	n := uint64(0)
	for c, err := range r.Chunks() {
		if err != nil {
			return err
		}
		if c.Batch == nil {
			continue // metadata alone mean nothing here
		}
		n++
		recordOf(ctx).moved(c)
		next := onItsWay{receipt: receipt{Batch: n, Rows: c.Batch.NumRows()}}
		if c.Batch.NumRows() > 0 {
			place.landsSoon()
			if next.pending, err = place.appender.Enqueue(ctx, c.Batch, asked.key(ctx, n)); err != nil {
				return err
			}
		}
		select {
		case queue <- next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// acknowledge answers for batches as they land. All that have landed meanwhile are brought to be served in one go.
func (s *Service) acknowledge(ctx context.Context, dataset string, queue <-chan onItsWay, w *flightruntime.MetadataWriter) error {
	for first := range queue {
		landed := []onItsWay{first}
		if err := first.wait(ctx, &landed[0].receipt); err != nil {
			return err
		}
		var failed error
	gather:
		for len(landed) < putWindow {
			select {
			case next, ok := <-queue:
				if !ok {
					break gather
				}
				landed = append(landed, next)
				if failed = next.wait(ctx, &landed[len(landed)-1].receipt); failed != nil {
					landed = landed[:len(landed)-1]
					break gather
				}
			default:
				break gather
			}
		}
		if _, err := s.catalog.Refresh(ctx, dataset); err != nil {
			return err
		}
		for _, l := range landed {
			body, err := json.Marshal(l.receipt)
			if err != nil {
				return err
			}
			if err := w.Write(body); err != nil {
				return err
			}
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}

// wait completes the receipt when the batch has landed.
func (o onItsWay) wait(ctx context.Context, r *receipt) error {
	if o.pending == nil {
		return nil
	}
	landed, err := o.pending.Wait(ctx)
	r.File, r.Already = landed.Name, landed.Already
	return err
}

// putError gives an error of a landing its kind.
func putError(dataset string, err error) error {
	var known *flightruntime.Error
	var refused interface{ GRPCStatus() *status.Status } // by the reader of the stream
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, landing.ErrVolume), errors.Is(err, landing.ErrClosed):
		return flightruntime.Errorf(flightruntime.KindUnavailable, "dataset %s: %w", dataset, err)
	case errors.As(err, &refused):
		s := refused.GRPCStatus()
		return status.Errorf(s.Code(), "dataset %s: %s", dataset, s.Message())
	default:
		return callError(fmt.Errorf("dataset %s: %w", dataset, err))
	}
}
