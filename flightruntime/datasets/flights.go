package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"path"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// ListFlights tells of each dataset that can be served and that the caller may list. Criteria are a glob of names, such as "trips-*"; empty
// means all.
func (s *Service) ListFlights(ctx context.Context, criteria []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return func(yield func(*flightruntime.FlightInfo, error) bool) {
		glob := string(criteria)
		if _, err := path.Match(glob, ""); err != nil {
			yield(nil, flightruntime.Errorf(flightruntime.KindInvalid, "criteria %q: expected a glob of dataset names, such as \"trips-*\", or nothing for all", glob))
			return
		}
		c := s.caller(ctx)
		c.mayList()
		for _, d := range s.catalog.Statuses() {
			if matched, _ := path.Match(glob, d.Name); d.Snapshot == nil || (glob != "" && !matched) || !c.lists(d.Name) {
				continue
			}
			info, err := c.listed(ctx, d.Snapshot)
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// listed is the FlightInfo of a dataset that the caller may list: as GetFlightInfo gives it if they may get it, or else one that tells neither
// the schema nor how much there is.
func (c caller) listed(ctx context.Context, snapshot *catalog.Snapshot) (*flightruntime.FlightInfo, error) {
	d := flightruntime.DescriptorForPath(snapshot.Name)
	p := permit{caller: c, verb: authz.Get, dataset: snapshot.Name}
	p.record = nil // that a dataset cannot be read is no refusal to list it
	if grant, ok := p.allowed(); ok {
		p.grant = grant
		if r, err := p.planned(ctx, scan.Query{Dataset: snapshot.Name}, snapshot); err == nil {
			return c.service.flightInfo(ctx, r, d)
		}
	}
	about, err := aboutSnapshot(snapshot)
	if err != nil {
		return nil, err
	}
	return &flightruntime.FlightInfo{FlightDescriptor: d, TotalRecords: -1, TotalBytes: -1, AppMetadata: about}, nil
}

// GetFlightInfo tells of a dataset, or of the answer to a query: the schema, how much it holds, and the endpoints to read it from.
func (s *Service) GetFlightInfo(ctx context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	r, err := s.described(ctx, authz.Get, d)
	if err != nil {
		return nil, err
	}
	return s.flightInfo(ctx, r, d)
}

// PollFlightInfo tells of an answer that is complete at once: every query here can be read as soon as it is asked.
func (s *Service) PollFlightInfo(ctx context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.PollInfo, error) {
	info, err := s.GetFlightInfo(ctx, d)
	if err != nil {
		return nil, err
	}
	complete := 1.0
	return &flightruntime.PollInfo{Info: info, Progress: &complete}, nil
}

// GetSchema tells the schema of a dataset, or of the answer to a query.
func (s *Service) GetSchema(ctx context.Context, d *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	r, err := s.described(ctx, authz.Get, d)
	if err != nil {
		return nil, err
	}
	return r.plan.Schema(), nil
}

// infoMetadata is the app_metadata of a FlightInfo, as JSON.
type infoMetadata struct {
	Description string    `json:"description,omitempty"`
	Format      string    `json:"format"`
	RefreshedAt time.Time `json:"refreshedAt"`
}

// ofSnapshot is what all answers about a snapshot have in common.
type ofSnapshot struct {
	about    []byte // app_metadata of a FlightInfo
	aboutErr error
	whole    *scan.Plan // of all rows and columns
	wholeErr error
}

func derive(s *catalog.Snapshot) *ofSnapshot {
	return s.Derived(func(s *catalog.Snapshot) any {
		var d ofSnapshot
		d.about, d.aboutErr = json.Marshal(infoMetadata{Description: s.Description, Format: s.FormatName, RefreshedAt: s.ReadAt.UTC()})
		d.whole, d.wholeErr = scan.Compile(scan.Query{Dataset: s.Name}, s.Layout.Schema)
		return &d
	}).(*ofSnapshot)
}

func aboutSnapshot(s *catalog.Snapshot) ([]byte, error) {
	d := derive(s)
	return d.about, d.aboutErr
}

func (s *Service) flightInfo(ctx context.Context, r request, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	about, err := aboutSnapshot(r.snapshot)
	if err != nil {
		return nil, err
	}
	schema := r.snapshot.SchemaIPC
	if !r.whole() {
		schema = flightruntime.EncodeSchema(r.plan.Schema())
	}
	endpoints, err := s.endpoints(ctx, r)
	if err != nil {
		return nil, err
	}
	return &flightruntime.FlightInfo{
		Schema:           schema,
		FlightDescriptor: d,
		Endpoint:         endpoints,
		TotalRecords:     r.rows(),
		TotalBytes:       r.bytes(),
		Ordered:          true, // the endpoints' rows follow one another as the files do
		AppMetadata:      about,
	}, nil
}

// endpoints are the pieces of an answer that can be read side by side.
func (s *Service) endpoints(ctx context.Context, r request) ([]*flightruntime.FlightEndpoint, error) {
	t := ticket{ID: newTicketID(), Query: r.query, Identity: identityOf(ctx), Expires: s.now().Add(ticketLifetime).Unix()}
	var ranges []unitRange
	// A limit holds for all rows together, which one stream alone can count. What is too small to be divided needs no digests either.
	// Where something is hidden, how the files are divided would tell of it.
	if r.view == nil && r.query.Limit == nil && r.snapshot.Layout.Bytes() >= 2*endpointBytes {
		ranges = partition(r.snapshot.Layout, endpointBytes, maxEndpoints)
	}
	if len(ranges) < 2 {
		e, err := s.endpoint(t)
		return []*flightruntime.FlightEndpoint{e}, err
	}
	endpoints := make([]*flightruntime.FlightEndpoint, len(ranges))
	for i := range ranges {
		t.Range = &ranges[i]
		var err error
		if endpoints[i], err = s.endpoint(t); err != nil {
			return nil, err
		}
	}
	return endpoints, nil
}

func (s *Service) endpoint(t ticket) (*flightruntime.FlightEndpoint, error) {
	signed, err := t.sign(s.keys.Load())
	if err != nil {
		return nil, err
	}
	return &flightruntime.FlightEndpoint{
		Ticket:         &flightruntime.Ticket{Ticket: signed},
		Location:       s.locations(),
		ExpirationTime: timestamppb.New(time.Unix(t.Expires, 0)),
	}, nil
}

// reuseConnection is the location of where tickets were got.
var reuseConnection = &flight.Location{Uri: flightruntime.ReuseConnection.String()}

// locations are where tickets are good: where they were got, first, and at the address that the configuration names. All answers share them.
func (s *Service) locations() []*flight.Location {
	locations := []*flight.Location{reuseConnection}
	if loaded := s.loaded.Load(); loaded != nil && loaded.Config != nil && loaded.ExternalAddress != "" {
		locations = append(locations, &flight.Location{Uri: loaded.ExternalAddress})
	}
	return locations
}

// DoGet sends what the ticket stands for: a ticket of a FlightInfo, the name of a dataset, or a query as JSON.
func (s *Service) DoGet(ctx context.Context, t *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	raw := t.GetTicket()
	switch {
	case isSigned(raw):
		return s.redeem(ctx, raw)
	case len(raw) > 0 && raw[0] == '{':
		r, err := s.command(ctx, authz.Get, raw)
		if err != nil {
			return nil, err
		}
		return s.stream(ctx, r, nil)
	default:
		r, err := s.request(ctx, authz.Get, scan.Query{Dataset: string(raw)})
		if err != nil {
			return nil, err
		}
		return s.stream(ctx, r, nil)
	}
}

// redeem answers a ticket that this server or another replica has signed. It is no right by itself: what the caller may is asked anew.
func (s *Service) redeem(ctx context.Context, raw []byte) (*flightruntime.DataStream, error) {
	t, err := s.openTicket(ctx, raw)
	if err != nil {
		return nil, err
	}
	r, err := s.request(ctx, authz.Get, t.Query)
	if err != nil {
		return nil, err
	}
	var selected []catalog.Selection
	if t.Range != nil {
		var ok bool
		if selected, ok = t.Range.resolve(r.snapshot.Layout); !ok {
			return nil, flightruntime.Errorf(flightruntime.KindUnavailable,
				"dataset %s has changed since the ticket was given: ask for the FlightInfo again", t.Query.Dataset)
		}
	}
	ctx, err = s.running.begin(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	return s.stream(ctx, r, selected)
}

func (s *Service) openTicket(ctx context.Context, raw []byte) (ticket, error) {
	return openTicket(raw, s.keys.Load(), identityOf(ctx), s.now())
}

// identityOf is who calls; empty if nobody asked.
func identityOf(ctx context.Context) string {
	if call := flightruntime.CallOf(ctx); call != nil {
		return call.PeerIdentity()
	}
	return ""
}

// stream is the answer to a request, from some units of the dataset; nil means all of them, of the newest version.
func (s *Service) stream(ctx context.Context, r request, selected []catalog.Selection) (*flightruntime.DataStream, error) {
	if err := s.follow(ctx, r.permit); err != nil {
		return nil, err
	}
	return &flightruntime.DataStream{
		Schema:          r.plan.Schema(),
		EncodedSchema:   r.snapshot.EncodedSchema, // goes with the schema of all columns
		MaxMessageBytes: s.maxMessageBytes(),
		Chunks: func(yield func(flightruntime.Chunk, error) bool) {
			for chunk, err := range s.read(ctx, r, selected) {
				if err != nil && ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				r.record.moved(chunk)
				if !yield(chunk, r.callError(ctx, err)) || err != nil {
					return
				}
			}
		},
	}, nil
}

// maxReadAttempts of an answer that has not begun: versions may follow one another quickly.
const maxReadAttempts = 5

// read is r.read, of all units if there is no selection. In that case files that are gone before the first of them was read, for somebody has
// replaced them, are no error: those in their place are read.
func (s *Service) read(ctx context.Context, r request, selected []catalog.Selection) iter.Seq2[flightruntime.Chunk, error] {
	encoded := s.maxMessageBytes()
	if selected != nil {
		return r.read(ctx, selected, encoded)
	}
	return func(yield func(flightruntime.Chunk, error) bool) {
		for attempt := 1; ; attempt++ {
			begun, again := false, false
			for chunk, err := range r.read(ctx, everything(r.snapshot.Layout), encoded) {
				var changed *catalog.ChangedError
				if !begun && attempt < maxReadAttempts && errors.As(err, &changed) {
					if r, again = s.newer(ctx, r); again {
						break
					}
				}
				begun = true
				if !yield(chunk, err) || err != nil {
					return
				}
			}
			if !again {
				return
			}
		}
	}
}

// newer is a request on the newest version of its dataset; false if there is none that gives such an answer.
func (s *Service) newer(ctx context.Context, r request) (request, bool) {
	if _, err := s.catalog.Refresh(ctx, r.query.Dataset); err != nil {
		return r, false
	}
	next, err := r.request(ctx, r.query)
	if err != nil || next.snapshot == r.snapshot || !next.plan.Schema().Equal(r.plan.Schema()) {
		return r, false
	}
	return next, true
}

func (s *Service) maxMessageBytes() int {
	loaded := s.loaded.Load()
	if loaded == nil || loaded.Config == nil { // Load is about to tell; its datasets are there already
		return config.DefaultMaxMessageBytes
	}
	return int(loaded.Limits.MaxMessageBytes)
}
