package flightruntime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestRefusal(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	stalled, endStalled := context.WithCancelCause(t.Context())
	endStalled(Errorf(KindTimedOut, "the client has read nothing"))
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		err     error
		code    codes.Code
		message string
	}{
		{"a status stays what it is", t.Context(), status.Error(codes.NotFound, "no such dataset"), codes.NotFound, "no such dataset"},
		{"a wrapped status keeps its code", t.Context(), fmt.Errorf("read: %w", status.Error(codes.Unavailable, "changed")), codes.Unavailable, "changed"},
		{"any other error is INTERNAL", t.Context(), errors.New("disk on fire"), codes.Internal, "disk on fire"},
		{"a cancelled read is CANCELLED", t.Context(), fmt.Errorf("read: %w", context.Canceled), codes.Canceled, "context canceled"},
		{"a late read is DEADLINE_EXCEEDED", t.Context(), fmt.Errorf("read: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "deadline exceeded"},
		{"an error of a cancelled call is CANCELLED", ended, errors.New("broken pipe"), codes.Canceled, "context canceled"},
		{"an error of a late call is DEADLINE_EXCEEDED", late, errors.New("broken pipe"), codes.DeadlineExceeded, "deadline exceeded"},
		{"a wrapped Flight error keeps its kind", t.Context(), fmt.Errorf("read: %w", Errorf(KindUnauthorized, "not you")), codes.PermissionDenied, "read: flight: unauthorized: not you"},
		{"a Flight error outweighs the context", ended, Errorf(KindNotFound, "no such dataset"), codes.NotFound, "no such dataset"},
		{"why we ended a call ourselves outweighs all", stalled, Errorf(KindNotFound, "no such dataset"), codes.DeadlineExceeded, "the client has read nothing"},
		{"a status outweighs the context", ended, status.Error(codes.NotFound, "no such dataset"), codes.NotFound, "no such dataset"},
		{"bytes that are no text are replaced", t.Context(), status.Error(codes.InvalidArgument, "ticket \xff\xfe"), codes.InvalidArgument, "ticket \uFFFD"},
		{"a long message is cut", t.Context(), status.Error(codes.NotFound, strings.Repeat("ü", 5000)), codes.NotFound, "ü…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, ok := status.FromError(refusal(tt.ctx, tt.err))
			if !ok || s.Code() != tt.code || !strings.Contains(s.Message(), tt.message) {
				t.Errorf("refused with %v, want %v and %q", s, tt.code, tt.message)
			}
			if len(s.Message()) > maxRefusal || !utf8.ValidString(s.Message()) {
				t.Errorf("the message has %d bytes, valid UTF-8: %t", len(s.Message()), utf8.ValidString(s.Message()))
			}
		})
	}
	if err := refusal(ended, nil); err != nil {
		t.Errorf("a call that went well is refused with %v", err)
	}
}

func TestFailedCallsAreLogged(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		level slog.Level
		want  []string // nothing: no record
	}{
		"one that goes well":                     {nil, slog.LevelDebug, nil},
		"the server's fault":                     {errors.New("disk on fire"), slog.LevelInfo, []string{"ERROR", "call failed", "GetFlightInfo", "127.0.0.1:", "disk on fire"}},
		"the client's fault, for all":            {Errorf(KindNotFound, "no such dataset"), slog.LevelInfo, nil},
		"the client's fault, for those who look": {Errorf(KindNotFound, "no such dataset"), slog.LevelDebug, []string{"DEBUG", "call failed", "no such dataset"}},
	} {
		t.Run(name, func(t *testing.T) {
			var logs syncBuffer
			server := start(t, everyService{do: func(context.Context) error { return test.err }}, ServerOptions{
				Logger: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: test.level})),
			})
			if _, err := connect(t, server, ClientOptions{}).GetFlightInfo(t.Context(), DescriptorForPath("a")); (err == nil) != (test.err == nil) {
				t.Errorf("ended with %v", err)
			}
			got := logs.String()
			if lines := strings.Count(got, "\n"); lines > 1 || (lines == 1) != (test.want != nil) {
				t.Errorf("logged %q", got)
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("logged %q, want %q in it", got, want)
				}
			}
		})
	}
}

func TestAPanicOfAnObserverEndsNothing(t *testing.T) {
	var logs syncBuffer
	server := start(t, allWell, ServerOptions{
		Logger:   slog.New(slog.NewTextHandler(&logs, nil)),
		Observer: func(string, error, time.Duration) { panic("the observer's own fault") },
	})
	client := connect(t, server, ClientOptions{})
	for range 2 {
		if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	eventually(t, "the log has both", func() bool { return strings.Count(logs.String(), "the observer's own fault") == 2 })
}
