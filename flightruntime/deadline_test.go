package flightruntime

import (
	"context"
	"testing"
	"time"
)

func TestCallsEndBeforeGRPCResetsThem(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout, longest time.Duration
		// lead is the least and the most by which the call's deadline is earlier than the client's.
		least, most time.Duration
	}{
		"a long timeout":      {time.Minute, 0, deadlineLead, deadlineLead},
		"a short timeout":     {time.Second / 20, 0, time.Millisecond, deadlineLead},
		"the server's is due": {time.Minute, time.Second, time.Minute / 2, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
			defer cancel()
			bound, err := boundCalls(tt.longest)(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			clients, _ := ctx.Deadline()
			calls, ok := bound.Deadline()
			if lead := clients.Sub(calls); !ok || lead < tt.least || lead > tt.most {
				t.Errorf("the call ends %s before the client's deadline, want between %s and %s", lead, tt.least, tt.most)
			}
		})
	}
}

func TestCallsWithoutDeadlineHaveNone(t *testing.T) {
	bound, err := boundCalls(0)(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if deadline, ok := bound.Deadline(); ok {
		t.Errorf("the call ends at %s", deadline)
	}
}
