package flightserver

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/flight-operator/flight-operator/flightruntime"
)

// Actions has actions that return in every way there is.
type Actions struct {
	flightruntime.BaseService

	appended atomic.Int64
	// Waiting counts calls of "wait" and "forever" that run.
	Waiting atomic.Int64
}

// ListActions tells of some of them.
func (a *Actions) ListActions(context.Context) ([]*flightruntime.ActionType, error) {
	return []*flightruntime.ActionType{
		{Type: "three", Description: "answers three times"},
		{Type: "echo"},
		{Type: "append", Description: "counts how often it was called, and answers nothing"},
	}, nil
}

// DoAction runs one.
func (a *Actions) DoAction(ctx context.Context, action *flightruntime.Action) iter.Seq2[[]byte, error] {
	switch action.GetType() {
	case "three":
		return results("eins", "twee", "trois")
	case "echo":
		return results(string(action.GetBody()))
	case "append":
		a.appended.Add(1)
		return results()
	case "appended":
		return results(strconv.FormatInt(a.appended.Load(), 10))
	case "peer":
		return results(flightruntime.CallOf(ctx).PeerIdentity(), flightruntime.CallOf(ctx).Peer())
	case "headers of":
		var values []string
		for key := range strings.SplitSeq(string(action.GetBody()), ",") {
			values = append(values, flightruntime.CallOf(ctx).Headers().Get(key)...)
		}
		return results(values...)
	case "forever":
		return a.forever(ctx)
	case "wait":
		a.Waiting.Add(1)
		defer a.Waiting.Add(-1)
		<-ctx.Done()
		return failing(context.Cause(ctx))
	case "own error":
		return failing(errors.New("the tide tables have run out"))
	case "server error":
		return failing(flightruntime.Errorf(flightruntime.KindServer, "the tide tables have run out"))
	case "panic":
		panic("a secret of the server")
	default:
		return failing(flightruntime.Errorf(flightruntime.KindNotImplemented, "there is no action %q", action.GetType()))
	}
}

// forever answers until the call is cancelled.
func (a *Actions) forever(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		a.Waiting.Add(1)
		defer a.Waiting.Add(-1)
		for !flightruntime.CallOf(ctx).IsCancelled() && yield([]byte("tick"), nil) {
		}
	}
}

// results are bodies.
func results(bodies ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range bodies {
			if !yield([]byte(b), nil) {
				return
			}
		}
	}
}

// failing is nothing but an error.
func failing(err error) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) { yield(nil, err) }
}
