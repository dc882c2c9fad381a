package datasets

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"path"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// ListFlights tells of each dataset that can be served. Criteria are a glob of names, such as "trips-*"; empty means all.
func (s *Service) ListFlights(_ context.Context, criteria []byte) iter.Seq2[*flightruntime.FlightInfo, error] {
	return func(yield func(*flightruntime.FlightInfo, error) bool) {
		glob := string(criteria)
		if _, err := path.Match(glob, ""); err != nil {
			yield(nil, flightruntime.Errorf(flightruntime.KindInvalid, "criteria %q: expected a glob of dataset names, such as \"trips-*\", or nothing for all", glob))
			return
		}
		for _, d := range s.catalog.Statuses() {
			if matched, _ := path.Match(glob, d.Name); d.Snapshot == nil || (glob != "" && !matched) {
				continue
			}
			info, err := flightInfo(d.Snapshot, flightruntime.DescriptorForPath(d.Name))
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// GetFlightInfo tells of one dataset: its schema, how much it holds, and the ticket to read it with.
func (s *Service) GetFlightInfo(_ context.Context, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	snapshot, err := s.described(d)
	if err != nil {
		return nil, err
	}
	return flightInfo(snapshot, d)
}

// GetSchema tells the schema of one dataset.
func (s *Service) GetSchema(_ context.Context, d *flightruntime.FlightDescriptor) (*arrow.Schema, error) {
	snapshot, err := s.described(d)
	if err != nil {
		return nil, err
	}
	return snapshot.Layout.Schema, nil
}

// infoMetadata is the app_metadata of a FlightInfo, as JSON.
type infoMetadata struct {
	Description string    `json:"description,omitempty"`
	Format      string    `json:"format"`
	RefreshedAt time.Time `json:"refreshedAt"`
}

func flightInfo(s *catalog.Snapshot, d *flightruntime.FlightDescriptor) (*flightruntime.FlightInfo, error) {
	about, err := json.Marshal(infoMetadata{Description: s.Description, Format: s.FormatName, RefreshedAt: s.ReadAt.UTC()})
	if err != nil {
		return nil, err
	}
	return &flightruntime.FlightInfo{
		Schema:           s.SchemaIPC,
		FlightDescriptor: d,
		// No location: the ticket is good where it was got.
		Endpoint:     []*flightruntime.FlightEndpoint{{Ticket: &flightruntime.Ticket{Ticket: []byte(s.Name)}}},
		TotalRecords: s.Layout.Rows(),
		TotalBytes:   s.Layout.Bytes(),
		Ordered:      true,
		AppMetadata:  about,
	}, nil
}

// described is the snapshot that a descriptor names.
func (s *Service) described(d *flightruntime.FlightDescriptor) (*catalog.Snapshot, error) {
	if d.GetType() != flight.DescriptorPATH || len(d.GetPath()) != 1 {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "descriptor %s: expected a path of one part, the name of a dataset", describe(d))
	}
	return s.named(d.GetPath()[0])
}

func describe(d *flightruntime.FlightDescriptor) string {
	if d.GetType() == flight.DescriptorCMD {
		return fmt.Sprintf("with a command of %d bytes", len(d.GetCmd()))
	}
	return fmt.Sprintf("%q", d.GetPath())
}

func (s *Service) named(name string) (*catalog.Snapshot, error) {
	snapshot, err := s.catalog.Snapshot(name)
	return snapshot, callError(err)
}

// DoGet sends the dataset that the ticket names.
func (s *Service) DoGet(ctx context.Context, ticket *flightruntime.Ticket) (*flightruntime.DataStream, error) {
	snapshot, err := s.named(string(ticket.GetTicket()))
	if err != nil {
		return nil, err
	}
	return &flightruntime.DataStream{
		Schema:          snapshot.Layout.Schema,
		MaxMessageBytes: s.maxMessageBytes(),
		Chunks: func(yield func(flightruntime.Chunk, error) bool) {
			for batch, err := range snapshot.Read(ctx, format.ReadOptions{}) {
				if !yield(flightruntime.Chunk{Batch: batch}, callError(err)) || err != nil {
					return
				}
			}
		},
	}, nil
}

func (s *Service) maxMessageBytes() int {
	loaded := s.loaded.Load()
	if loaded == nil || loaded.Config == nil { // Load is about to tell; its datasets are there already
		return config.DefaultMaxMessageBytes
	}
	return int(loaded.Limits.MaxMessageBytes)
}
