// Package datasets is the bundled server: the Flight service over a catalog of datasets. It is written on package flightruntime, as any
// other server would be.
package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/wire"
	"github.com/flight-operator/flight-operator/internal/text"
	"github.com/flight-operator/flight-operator/internal/version"
)

// Service serves the datasets of a configuration. Load gives it one; until then it answers that it does not serve.
type Service struct {
	flight.BaseFlightServer

	catalog     *catalog.Catalog
	activeCalls func() int

	loaded   atomic.Pointer[loadedConfig]
	draining atomic.Bool
}

// loadedConfig is the configuration that is served.
type loadedConfig struct {
	*config.Config
	hash string
	// newerErr says why a newer configuration is not served.
	newerErr error
}

// New makes a service over a catalog, which stays the caller's to close. activeCalls counts the calls that are running, that of the
// caller of HealthCheck among them.
func New(c *catalog.Catalog, activeCalls func() int) *Service {
	return &Service{catalog: c, activeCalls: activeCalls}
}

// Load makes the service serve a configuration, given with the bytes that it was parsed from, and tells whether that is another than
// before.
func (s *Service) Load(c *config.Config, raw []byte) (changed bool) {
	next := &loadedConfig{Config: c, hash: config.Hash(raw)}
	s.catalog.Apply(c.Datasets)
	before := s.loaded.Swap(next)
	return before == nil || before.hash != next.hash
}

// Reject tells HealthCheck's callers why a newer configuration is not served. The one before goes on being served.
func (s *Service) Reject(err error) {
	rejected := loadedConfig{newerErr: err}
	if current := s.loaded.Load(); current != nil {
		rejected.Config, rejected.hash = current.Config, current.hash
	}
	s.loaded.Store(&rejected)
}

// Drain makes HealthCheck answer NOT_SERVING from now on.
func (s *Service) Drain() { s.draining.Store(true) }

// Health is what HealthCheck answers.
func (s *Service) Health() flightruntime.Health {
	h := flightruntime.Health{
		Status:        flightruntime.NotServing,
		Version:       version.Version,
		ActiveStreams: s.activeCalls(),
		Datasets:      []flightruntime.DatasetHealth{},
	}
	loaded := s.loaded.Load()
	if loaded == nil {
		return h
	}
	h.ConfigHash = loaded.hash
	if loaded.newerErr != nil {
		h.ConfigError = loaded.newerErr.Error()
	}
	if loaded.Config != nil && !s.draining.Load() {
		h.Status = flightruntime.Serving
	}
	for _, d := range s.catalog.Statuses() {
		h.Datasets = append(h.Datasets, datasetHealth(d))
	}
	return h
}

// maxMessage keeps the answer to HealthCheck for a thousand datasets well below the 4 MiB that clients take.
const maxMessage = 1 << 10

func datasetHealth(d catalog.Status) flightruntime.DatasetHealth {
	h := flightruntime.DatasetHealth{Name: d.Name, State: flightruntime.DatasetState(d.State), Message: text.Cut(d.Message, maxMessage)}
	if s := d.Snapshot; s != nil {
		h.Rows, h.Bytes, h.Files = s.Layout.Rows(), s.Layout.Bytes(), len(s.Layout.Parts)
		h.SchemaFingerprint, h.RefreshedAt = s.SchemaFingerprint, s.ReadAt
	}
	return h
}

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

// action is one of the actions that the service knows.
type action struct {
	name        string
	description string
	run         func(s *Service, ctx context.Context, body string) ([]any, error)
}

var actions = []action{
	{
		flightruntime.ActionHealthCheck, "How this server fares: one JSON object with status, version, configHash, activeStreams and datasets.",
		func(s *Service, _ context.Context, _ string) ([]any, error) {
			h := s.Health()
			h.ActiveStreams-- // this very call
			return []any{h}, nil
		},
	},
	{
		flightruntime.ActionStatus, "How the datasets fare: a JSON object each. The body is a dataset's name, or empty for all.",
		func(s *Service, _ context.Context, name string) ([]any, error) {
			return s.datasetStatus(name)
		},
	},
	{
		flightruntime.ActionRefresh, "Read again what has changed and tell how it fares: a JSON object for each dataset. The body is a dataset's name, or empty for all.",
		func(s *Service, ctx context.Context, name string) ([]any, error) {
			statuses, err := s.catalog.Refresh(ctx, name)
			return results(statuses), err
		},
	},
}

// ListActions tells of each action.
func (s *Service) ListActions(_ *flight.Empty, stream flight.FlightService_ListActionsServer) error {
	for _, a := range actions {
		if err := stream.Send(&flight.ActionType{Type: a.name, Description: a.description}); err != nil {
			return err
		}
	}
	return nil
}

// DoAction runs an action.
func (s *Service) DoAction(asked *flight.Action, stream flight.FlightService_DoActionServer) error {
	// C++ clients wait for the headers before they hand the call to their caller.
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for _, a := range actions {
		if a.name != asked.GetType() {
			continue
		}
		answers, err := a.run(s, stream.Context(), string(asked.GetBody()))
		if err != nil {
			return callError(err)
		}
		for _, answer := range answers {
			body, err := json.Marshal(answer)
			if err != nil {
				return err
			}
			if err := stream.Send(&flight.Result{Body: body}); err != nil {
				return err
			}
		}
		return nil
	}
	return status.Errorf(codes.InvalidArgument, "unknown action %q: expected one of %s", asked.GetType(), actionNames())
}

func actionNames() string {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.name
	}
	return strings.Join(names, ", ")
}

func (s *Service) datasetStatus(name string) ([]any, error) {
	statuses := s.catalog.Statuses()
	if name == "" {
		return results(statuses), nil
	}
	for _, d := range statuses {
		if d.Name == name {
			return results([]catalog.Status{d}), nil
		}
	}
	_, err := s.catalog.Snapshot(name) // for the error that names what may have been meant
	return nil, err
}

func results(statuses []catalog.Status) []any {
	answers := make([]any, len(statuses))
	for i, d := range statuses {
		answers[i] = datasetHealth(d)
	}
	return answers
}

// callError gives an error of the catalog its gRPC status.
func callError(err error) error {
	var notFound *catalog.NotFoundError
	var unavailable *catalog.UnavailableError
	var changed *catalog.ChangedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &notFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.As(err, &unavailable), errors.As(err, &changed):
		return status.Error(codes.Unavailable, err.Error())
	default:
		return err
	}
}
