package flightruntime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestRefusal(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
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
