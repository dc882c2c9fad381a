package datasets

import (
	"context"
	"encoding/json"
	"iter"
	"strings"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
)

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
func (s *Service) ListActions(context.Context) ([]*flightruntime.ActionType, error) {
	types := make([]*flightruntime.ActionType, len(actions))
	for i, a := range actions {
		types[i] = &flightruntime.ActionType{Type: a.name, Description: a.description}
	}
	return types, nil
}

// DoAction runs an action.
func (s *Service) DoAction(ctx context.Context, asked *flightruntime.Action) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		answers, err := s.act(ctx, asked)
		if err != nil {
			yield(nil, callError(err))
			return
		}
		for _, answer := range answers {
			body, err := json.Marshal(answer)
			if !yield(body, err) || err != nil {
				return
			}
		}
	}
}

func (s *Service) act(ctx context.Context, asked *flightruntime.Action) ([]any, error) {
	for _, a := range actions {
		if a.name == asked.GetType() {
			return a.run(s, ctx, string(asked.GetBody()))
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
