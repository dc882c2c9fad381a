package main

import (
	"context"
	"errors"
	"time"
)

// pollInterval is how often something is asked that takes a moment.
const pollInterval = 50 * time.Millisecond

// errNotInTime is the error of a condition that did not come true in the time given to it.
var errNotInTime = errors.New("not in time")

// poll asks at each pollInterval whether something is done, until it is, fails, or took longer than limit.
func poll(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errNotInTime)
	defer cancel()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pollInterval):
		}
	}
}
