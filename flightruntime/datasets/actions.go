package datasets

import (
	"context"
	"encoding/json"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/session"
)

// action is one of the actions that the service knows.
type action struct {
	name        string
	description string
	// run gives the bodies of the results.
	run func(s *Service, ctx context.Context, body []byte) ([][]byte, error)
}

var actions = append(ownActions, sessionActions()...)

// sessionActions are those of session options, which any replica answers: the session is in the client's cookie.
func sessionActions() []action {
	var of []action
	for _, a := range session.Actions() {
		of = append(of, action{a.Name, a.Description, func(_ *Service, ctx context.Context, body []byte) ([][]byte, error) {
			result, err := a.Run(ctx, body)
			return [][]byte{result}, err
		}})
	}
	return of
}

var ownActions = []action{
	{
		flightruntime.ActionHealthCheck, "How this server fares: one JSON object with status, version, configHash, activeStreams, certificate and datasets.",
		func(s *Service, ctx context.Context, _ []byte) ([][]byte, error) {
			h := s.Health()
			if !flightruntime.CallOf(ctx).IsOperator() {
				h.ActiveStreams-- // this very call
			}
			return jsonResults(h)
		},
	},
	{
		flightruntime.ActionStatus, "How the datasets fare: a JSON object each. The body is a dataset's name, or empty for all.",
		func(s *Service, _ context.Context, name []byte) ([][]byte, error) {
			return s.datasetStatus(string(name))
		},
	},
	{
		flightruntime.ActionRefresh, "Read again what has changed and tell how it fares: a JSON object for each dataset. The body is a dataset's name, or empty for all.",
		func(s *Service, ctx context.Context, name []byte) ([][]byte, error) {
			statuses, err := s.catalog.Refresh(ctx, string(name))
			if err != nil {
				return nil, err
			}
			return statusResults(statuses)
		},
	},
	{
		actionDelete, "Remove files of a dataset that has access: ReadWrite, all that are named or none, and tell which are gone. The body is JSON, {\"dataset\": \"trips\", \"files\": [...]} or {\"dataset\": \"trips\", \"all\": true}.",
		(*Service).delete,
	},
	{
		flight.CancelFlightInfoActionType, "End the calls that read from a FlightInfo's endpoints on this server, and refuse those to come. The body is a CancelFlightInfoRequest, the result a CancelFlightInfoResult (Flight.proto).",
		(*Service).cancelFlightInfo,
	},
	{
		flight.RenewFlightEndpointActionType, "An endpoint with a ticket that expires later. The body is a RenewFlightEndpointRequest, the result a FlightEndpoint (Flight.proto).",
		(*Service).renewFlightEndpoint,
	},
}

// ListActions tells of each action.
func (s *Service) ListActions(context.Context) ([]*flightruntime.ActionType, error) {
	types := make([]*flightruntime.ActionType, len(actions))
	for i, a := range actions {
		types[i] = &flightruntime.ActionType{Type: a.name, Description: a.description}
	}
	return types, nil
}

// DoAction runs an action, before its answer begins: what it says in headers, such as a session's cookie, comes with these.
func (s *Service) DoAction(ctx context.Context, asked *flightruntime.Action) iter.Seq2[[]byte, error] {
	answers, err := s.act(ctx, asked)
	return func(yield func([]byte, error) bool) {
		if err != nil {
			yield(nil, callError(err))
			return
		}
		for _, body := range answers {
			if !yield(body, nil) {
				return
			}
		}
	}
}

func (s *Service) act(ctx context.Context, asked *flightruntime.Action) ([][]byte, error) {
	for _, a := range actions {
		if a.name == asked.GetType() {
			return a.run(s, ctx, asked.GetBody())
		}
	}
	return nil, flightruntime.Errorf(flightruntime.KindInvalid, "unknown action %q: expected one of %s", asked.GetType(), actionNames())
}

func actionNames() string {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.name
	}
	return strings.Join(names, ", ")
}

func (s *Service) datasetStatus(name string) ([][]byte, error) {
	statuses := s.catalog.Statuses()
	if name == "" {
		return statusResults(statuses)
	}
	for _, d := range statuses {
		if d.Name == name {
			return statusResults([]catalog.Status{d})
		}
	}
	_, err := s.catalog.Snapshot(name) // for the error that names what may have been meant
	return nil, err
}

func statusResults(statuses []catalog.Status) ([][]byte, error) {
	answers := make([]any, len(statuses))
	for i, d := range statuses {
		answers[i] = datasetHealth(d)
	}
	return jsonResults(answers...)
}

func jsonResults(answers ...any) ([][]byte, error) {
	bodies := make([][]byte, len(answers))
	for i, answer := range answers {
		var err error
		if bodies[i], err = json.Marshal(answer); err != nil {
			return nil, err
		}
	}
	return bodies, nil
}
