package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// subscriptionWindow is how many messages a subscriber may leave unacknowledged before it gets no more: enough to hide a round trip, few
// enough for a subscriber that falls behind to hold no more than some tens of megabytes of a server's memory.
const subscriptionWindow = 16

// notice is the app_metadata of what a subscriber gets, as JSON.
type notice struct {
	// Sequence numbers the messages from 1 on.
	Sequence int64 `json:"sequence"`
	// CaughtUp: all that the dataset holds has been sent. What comes next was appended later.
	CaughtUp bool `json:"caughtUp,omitempty"`
	// Reset: rows that were sent are gone or have changed. Forget them all; the dataset is sent anew.
	Reset bool `json:"reset,omitempty"`
}

// acknowledgement is the app_metadata of what a subscriber sends, as JSON.
type acknowledgement struct {
	// Acknowledged is the sequence of the last message that has been dealt with.
	Acknowledged int64 `json:"acknowledged"`
}

// subscribe sends a snapshot, then what is appended, until the subscriber has enough.
func (s *Service) subscribe(ctx context.Context, asked request, r *flightruntime.DataReader, w *flightruntime.DataWriter) error {
	if asked.query.Limit != nil {
		return flightruntime.Errorf(flightruntime.KindInvalid, "a subscription has no end, so it takes no limit: leave out \"limit\"")
	}
	if err := w.Begin(asked.plan.Schema(), flightruntime.WriteOptions{}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sub := &subscription{ctx: ctx, w: w, acknowledged: make(chan int64, 1)}
	go func() { cancel(sub.readAcknowledgements(r)) }()
	err := sub.follow(s, asked)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return asked.callError(ctx, err)
}

// errEnough is why a subscription ends whose subscriber has closed its half.
var errEnough = errors.New("the subscriber has enough")

// subscription is one subscriber's.
type subscription struct {
	ctx          context.Context
	w            *flightruntime.DataWriter
	acknowledged chan int64 // the newest, if there is a newer one
	sent, heard  int64      // sequences
}

// readAcknowledgements passes on what the subscriber acknowledges, and gives the reason why there will be no more.
func (s *subscription) readAcknowledgements(r *flightruntime.DataReader) error {
	for {
		c, err := r.Read()
		if errors.Is(err, io.EOF) {
			return errEnough
		}
		if err != nil {
			return err
		}
		var a acknowledgement
		if err := json.Unmarshal(c.AppMetadata, &a); c.Batch != nil || err != nil {
			return flightruntime.Errorf(flightruntime.KindInvalid, "expected messages of metadata alone, such as {\"acknowledged\": 3}")
		}
		select { // a newer one stands for an older
		case <-s.acknowledged:
		default:
		}
		s.acknowledged <- a.Acknowledged
	}
}

// follow sends the dataset's snapshots as they come.
func (s *subscription) follow(service *Service, asked request) error {
	var before *catalog.Snapshot
	for {
		snapshot, changed, err := service.catalog.Watch(asked.query.Dataset)
		if err != nil {
			return err
		}
		if snapshot != before {
			if err := s.send(asked, before, snapshot); err != nil {
				return err
			}
			before = snapshot
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// send sends what a snapshot has more than the one before, or all of it if it is none of that one's successors.
func (s *subscription) send(asked request, before, snapshot *catalog.Snapshot) error {
	now, err := asked.planned(s.ctx, asked.query, snapshot)
	if err != nil {
		return err
	}
	if !now.plan.Schema().Equal(asked.plan.Schema()) {
		return flightruntime.Errorf(flightruntime.KindUnavailable, "the schema of dataset %s has changed: subscribe again", asked.query.Dataset)
	}
	sent := s.sent
	selected := everything(snapshot.Layout)
	if before != nil {
		var appended bool
		if selected, appended = added(before.Layout, snapshot.Layout); !appended {
			if err := s.tell(notice{Reset: true}); err != nil {
				return err
			}
			selected = everything(snapshot.Layout)
		}
		if len(selected) == 0 {
			return nil // the same objects under a new description
		}
	}
	for chunk, err := range now.read(s.ctx, selected, 0) {
		var changed *catalog.ChangedError
		if errors.As(err, &changed) {
			return nil // a newer snapshot comes, which tells what is to be done
		}
		if err != nil {
			return err
		}
		asked.record.moved(chunk)
		if err := s.write(chunk); err != nil {
			return err
		}
	}
	if before != nil && s.sent == sent && now.view != nil && !now.view.AllRows() {
		return nil // what came is hidden from the subscriber, and so is that it came
	}
	return s.tell(notice{CaughtUp: true})
}

// write sends a chunk, each of whose messages is numbered, and counts in the window.
func (s *subscription) write(chunk flightruntime.Chunk) error {
	for piece := range s.w.Pieces(chunk.Batch) {
		metadata, err := s.next(notice{})
		if err != nil {
			return err
		}
		if err := s.w.Write(flightruntime.Chunk{Batch: piece, AppMetadata: metadata, Owner: chunk.Owner}); err != nil {
			return err
		}
	}
	return nil
}

// tell sends a notice alone.
func (s *subscription) tell(n notice) error {
	metadata, err := s.next(n)
	if err != nil {
		return err
	}
	return s.w.WriteMetadata(metadata)
}

// next waits until the window has room and numbers the next message.
func (s *subscription) next(n notice) ([]byte, error) {
	for s.sent-s.heard >= subscriptionWindow {
		select {
		case a := <-s.acknowledged:
			if a > s.sent || a < s.heard {
				return nil, flightruntime.Errorf(flightruntime.KindInvalid, "message %d was acknowledged: expected one from %d to %d", a, s.heard, s.sent)
			}
			s.heard = a
		case <-s.ctx.Done():
			return nil, s.ctx.Err()
		}
	}
	s.sent++
	n.Sequence = s.sent
	return json.Marshal(n)
}

// added are the parts of a layout that an earlier one does not have; false if the earlier one has parts that this one has not.
func added(before, now *format.Layout) ([]catalog.Selection, bool) {
	known := make(map[string]string, len(before.Parts))
	for _, p := range before.Parts {
		known[p.Object.Name()] = p.Object.Version()
	}
	var fresh []catalog.Selection
	for i, p := range now.Parts {
		version, ok := known[p.Object.Name()]
		switch {
		case !ok:
			fresh = append(fresh, catalog.Selection{Part: i})
		case version != p.Object.Version():
			return nil, false
		default:
			delete(known, p.Object.Name())
		}
	}
	return fresh, len(known) == 0
}
