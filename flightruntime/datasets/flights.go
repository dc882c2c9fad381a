package datasets

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
)

// ListFlights tells of each dataset that can be served. Criteria are a glob of names, such as "trips-*"; empty means all.
func (s *Service) ListFlights(criteria *flight.Criteria, stream flight.FlightService_ListFlightsServer) error {
	glob := string(criteria.GetExpression())
	if _, err := path.Match(glob, ""); err != nil {
		return status.Errorf(codes.InvalidArgument, "criteria %q: expected a glob of dataset names, such as \"trips-*\", or nothing for all", glob)
	}
	for _, d := range s.catalog.Statuses() {
		if matched, _ := path.Match(glob, d.Name); d.Snapshot == nil || (glob != "" && !matched) {
			continue
		}
		info, err := flightInfo(d.Snapshot, &flight.FlightDescriptor{Type: flight.DescriptorPATH, Path: []string{d.Name}})
		if err != nil {
			return err
		}
		if err := stream.Send(info); err != nil {
			return err
		}
	}
	return nil
}

// GetFlightInfo tells of one dataset: its schema, how much it holds, and the ticket to read it with.
func (s *Service) GetFlightInfo(_ context.Context, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	snapshot, err := s.described(d)
	if err != nil {
		return nil, err
	}
	return flightInfo(snapshot, d)
}

// GetSchema tells the schema of one dataset.
func (s *Service) GetSchema(_ context.Context, d *flight.FlightDescriptor) (*flight.SchemaResult, error) {
	snapshot, err := s.described(d)
	if err != nil {
		return nil, err
	}
	return &flight.SchemaResult{Schema: snapshot.SchemaIPC}, nil
}

// infoMetadata is the app_metadata of a FlightInfo, as JSON.
type infoMetadata struct {
	Description string    `json:"description,omitempty"`
	Format      string    `json:"format"`
	RefreshedAt time.Time `json:"refreshedAt"`
}

func flightInfo(s *catalog.Snapshot, d *flight.FlightDescriptor) (*flight.FlightInfo, error) {
	about, err := json.Marshal(infoMetadata{Description: s.Description, Format: s.FormatName, RefreshedAt: s.ReadAt.UTC()})
	if err != nil {
		return nil, err
	}
	return &flight.FlightInfo{
		Schema:           s.SchemaIPC,
		FlightDescriptor: d,
		// No location: the ticket is good where it was got.
		Endpoint:     []*flight.FlightEndpoint{{Ticket: &flight.Ticket{Ticket: []byte(s.Name)}}},
		TotalRecords: s.Layout.Rows(),
		TotalBytes:   s.Layout.Bytes(),
		Ordered:      true,
		AppMetadata:  about,
	}, nil
}

// described is the snapshot that a descriptor names.
func (s *Service) described(d *flight.FlightDescriptor) (*catalog.Snapshot, error) {
	if d.GetType() != flight.DescriptorPATH || len(d.GetPath()) != 1 {
		return nil, status.Errorf(codes.InvalidArgument, "descriptor %s: expected a path of one part, the name of a dataset", describe(d))
	}
	return s.named(d.GetPath()[0])
}

func describe(d *flight.FlightDescriptor) string {
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
func (s *Service) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	snapshot, err := s.named(string(ticket.GetTicket()))
	if err != nil {
		return err
	}
	w, err := wire.NewWriter(stream, snapshot.Layout.Schema, s.maxMessageBytes())
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // it sends nothing
	for batch, err := range snapshot.Read(stream.Context(), format.ReadOptions{}) {
		if err != nil {
			return callError(err)
		}
		if err := w.Write(batch); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) maxMessageBytes() int {
	loaded := s.loaded.Load()
	if loaded == nil || loaded.Config == nil { // Load is about to tell; its datasets are there already
		return config.DefaultMaxMessageBytes
	}
	return int(loaded.Limits.MaxMessageBytes)
}
