package datasets

import (
	"context"
	"encoding/json"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/flight"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/session"
)

// action is one of the actions that the service knows.
type action struct {
	name        string
	description string
	// open says that everybody may run it, and that it finds out by itself what it may tell.
	open bool
	// run gives the bodies of the results. The caller may run the action at all; on which datasets is for run to ask.
	run func(s *Service, ctx context.Context, c caller, body []byte) ([][]byte, error)
}

var actions = append(ownActions, sessionActions()...)

// sessionActions are those of session options, which any replica answers: the session is in the client's cookie.
func sessionActions() []action {
	var of []action
	for _, a := range session.Actions() {
		of = append(of, action{name: a.Name, description: a.Description, run: func(_ *Service, ctx context.Context, _ caller, body []byte) ([][]byte, error) {
			result, err := a.Run(ctx, body)
			return [][]byte{result}, err
		}})
	}
	return of
}

var ownActions = []action{
	{
		name:        flightruntime.ActionHealthCheck,
		description: "How this server fares: one JSON object with status, version, configHash, activeStreams, certificate and datasets; to those who may not run it, status alone.",
		open:        true,
		run: func(s *Service, ctx context.Context, c caller, _ []byte) ([][]byte, error) {
			return s.healthFor(ctx, c)
		},
	},
	{
		name:        flightruntime.ActionStatus,
		description: "How the datasets fare: a JSON object each. The body is a dataset's name, or empty for all.",
		run:         (*Service).datasetStatus,
	},
	{
		name:        flightruntime.ActionRefresh,
		description: "Read again what has changed and tell how it fares: a JSON object for each dataset. The body is a dataset's name, or empty for all.",
		run:         (*Service).refresh,
	},
	{
		name:        actionDelete,
		description: "Remove files of a dataset that has access: ReadWrite, all that are named or none, and tell which are gone. The body is JSON, {\"dataset\": \"trips\", \"files\": [...]} or {\"dataset\": \"trips\", \"all\": true}.",
		run:         (*Service).delete,
	},
	{
		name:        flight.CancelFlightInfoActionType,
		description: "End the calls that read from a FlightInfo's endpoints on this server, and refuse those to come. The body is a CancelFlightInfoRequest, the result a CancelFlightInfoResult (Flight.proto).",
		run:         (*Service).cancelFlightInfo,
	},
	{
		name:        flight.RenewFlightEndpointActionType,
		description: "An endpoint with a ticket that expires later. The body is a RenewFlightEndpointRequest, the result a FlightEndpoint (Flight.proto).",
		run:         (*Service).renewFlightEndpoint,
	},
}

// ListActions tells of each action that the caller may run.
func (s *Service) ListActions(ctx context.Context) ([]*flightruntime.ActionType, error) {
	c := s.caller(ctx)
	types := make([]*flightruntime.ActionType, 0, len(actions))
	for _, a := range actions {
		if !a.open && !c.unbound() {
			if _, ok := c.policy.AllowsSomeAction(c.id, a.name); !ok {
				continue
			}
		}
		types = append(types, &flightruntime.ActionType{Type: a.name, Description: a.description})
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
		if a.name != asked.GetType() {
			continue
		}
		c := s.caller(ctx)
		if !a.open {
			if err := c.mayAct(a.name); err != nil {
				return nil, err
			}
		}
		return a.run(s, ctx, c, asked.GetBody())
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

// datasetStatus tells how datasets fare: the one of the name, or all that the caller may ask about.
func (s *Service) datasetStatus(ctx context.Context, c caller, name []byte) ([][]byte, error) {
	return c.statuses(ctx, flightruntime.ActionStatus, string(name), s.catalog.Statuses)
}

// refresh reads datasets again, and tells how they fare.
func (s *Service) refresh(ctx context.Context, c caller, name []byte) ([][]byte, error) {
	var failed error
	answers, err := c.statuses(ctx, flightruntime.ActionRefresh, string(name), func() []catalog.Status {
		statuses, err := s.catalog.RefreshEach(ctx, func(other string) bool {
			p := permit{caller: c, verb: authz.Action, action: flightruntime.ActionRefresh, dataset: other}
			_, ok := p.allowed()
			return ok && (len(name) == 0 || other == string(name))
		})
		failed = err
		return statuses
	})
	if failed != nil {
		return nil, failed
	}
	return answers, err
}

// statuses are what an action tells of the dataset of a name, or of all that the caller may run it on if the name is empty.
func (c caller) statuses(ctx context.Context, action, name string, all func() []catalog.Status) ([][]byte, error) {
	if name != "" {
		if _, err := c.mayActOn(action, name); err != nil {
			return nil, err
		}
	}
	answers := []any{}
	for _, d := range all() {
		p := permit{caller: c, verb: authz.Action, action: action, dataset: d.Name}
		var ok bool
		if p.grant, ok = p.allowed(); ok && (name == "" || d.Name == name) {
			answers = append(answers, p.health(d))
		}
	}
	if name != "" && len(answers) == 0 {
		_, err := c.service.catalog.Snapshot(name) // for the error that names what may have been meant
		return nil, permit{caller: c, dataset: name}.callError(ctx, err)
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
