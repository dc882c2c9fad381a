package flightruntime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// statusOf is a google.rpc.Status.
func statusOf(t *testing.T, code codes.Code, message string) []byte {
	t.Helper()
	b, err := proto.Marshal(status.New(code, message).Proto())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachKindArrivesOnEachCallAsItWasReturned(t *testing.T) {
	info := []byte{0, 1, 0xfe, 0xff}
	server := start(t, everyService{do: func(ctx context.Context) error {
		return Errorf(ErrorKind(CallOf(ctx).Headers().Get("kind")[0]), "no flight %q, über all", "a").WithExtraInfo(info)
	}}, ServerOptions{})
	client := connect(t, server, ClientOptions{})
	for _, want := range []struct {
		is   *Error
		code codes.Code
	}{
		{ErrServer, codes.Unknown},
		{ErrInternal, codes.Internal},
		{ErrTimedOut, codes.DeadlineExceeded},
		{ErrCancelled, codes.Canceled},
		{ErrUnauthenticated, codes.Unauthenticated},
		{ErrUnauthorized, codes.PermissionDenied},
		{ErrUnavailable, codes.Unavailable},
		{ErrInvalid, codes.InvalidArgument},
		{ErrNotFound, codes.NotFound},
		{ErrAlreadyExists, codes.AlreadyExists},
		{ErrNotImplemented, codes.Unimplemented},
		{ErrOverLimit, codes.ResourceExhausted},
		{ErrPrecondition, codes.FailedPrecondition},
	} {
		t.Run(string(want.is.Kind), func(t *testing.T) {
			onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
				err := call(t.Context(), client, WithHeader("kind", string(want.is.Kind)))
				var got *Error
				if !errors.As(err, &got) {
					t.Fatalf("ended with %v, want an *Error", err)
				}
				if got.Kind != want.is.Kind || got.Message != `no flight "a", über all` || !bytes.Equal(got.ExtraInfo, info) {
					t.Errorf("got %q with extra info %x, want the kind %q and %x", got, got.ExtraInfo, want.is.Kind, info)
				}
				if !errors.Is(err, want.is) || status.Code(err) != want.code {
					t.Errorf("errors.Is: %t, code %s, want %s", errors.Is(err, want.is), status.Code(err), want.code)
				}
			})
		})
	}
}

func TestExtraInfoIsAnyBytes(t *testing.T) {
	var sent *Error
	server := start(t, everyService{do: func(context.Context) error { return sent }}, ServerOptions{})
	client := connect(t, server, ClientOptions{})
	for name, info := range map[string][]byte{
		"none":                             nil,
		"text":                             []byte("no more than text"),
		"a zero":                           {0},
		"as much as fits":                  bytes.Repeat([]byte{0xa5}, MaxExtraInfo),
		"a status of the same code":        statusOf(t, codes.NotFound, "something else"),
		"the same code and no more":        {0x08, byte(codes.NotFound)},
		"a status of another code":         statusOf(t, codes.Aborted, "something else"),
		"a status of another code, quoted": statusOf(t, codes.Aborted, `"quoted" \ grpc-status-details-bin=`),
		"an unknown field":                 {0x78, 0x01},
	} {
		t.Run(name, func(t *testing.T) {
			for _, message := range []string{"gone", `a "quoted" \ message`, "two\nlines", "", strings.Repeat("ü", 300)} {
				sent = Errorf(KindNotFound, "%s", message).WithExtraInfo(info)
				_, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"))
				var got *Error
				if !errors.As(err, &got) || got.Kind != KindNotFound || got.Message != message || !bytes.Equal(got.ExtraInfo, info) {
					t.Errorf("got %#v, want the message %q and extra info %x", err, message, info)
				}
			}
		})
	}
}

// clientHeaders is what clients in C++ take of headers and trailers, and what clients in Go can be told to.
const clientHeaders = 8 << 10

func TestAnErrorFitsInATrailer(t *testing.T) {
	var sent *Error
	server := start(t, everyService{do: func(context.Context) error { return sent }}, ServerOptions{})
	client := connect(t, server, ClientOptions{Dial: []grpc.DialOption{grpc.WithMaxHeaderListSize(clientHeaders)}})
	for name, test := range map[string]struct {
		info     []byte
		message  string
		keepInfo bool
	}{
		"much extra info":                  {bytes.Repeat([]byte{0xff}, MaxExtraInfo), "no flight üü", true},
		"much extra info that is a status": {append([]byte{0x08, byte(codes.NotFound), 0x12, 0xfb, 0x07}, bytes.Repeat([]byte{'x'}, MaxExtraInfo-5)...), "no flight üü", true},
		"too much extra info":              {bytes.Repeat([]byte{0xff}, MaxExtraInfo+1), "no flight üü", false},
	} {
		t.Run(name, func(t *testing.T) {
			sent = Errorf(KindNotFound, "no flight %s", strings.Repeat("ü", 1<<20)).WithExtraInfo(test.info)
			_, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"))
			var got *Error
			if !errors.As(err, &got) || got.Kind != KindNotFound || !strings.HasPrefix(got.Message, test.message) {
				t.Fatalf("ended with %.200v, want NOT_FOUND and the beginning of its message", err)
			}
			if kept := bytes.Equal(got.ExtraInfo, test.info); kept != test.keepInfo || (!kept && got.ExtraInfo != nil) {
				t.Errorf("got extra info of %d bytes, of %d sent", len(got.ExtraInfo), len(test.info))
			}
		})
	}
	t.Run("says what is left out", func(t *testing.T) {
		sent = Errorf(KindNotFound, "no flight").WithExtraInfo(make([]byte, 2*MaxExtraInfo))
		if _, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a")); err == nil || !strings.Contains(err.Error(), "extra info of 2048 bytes is left out: at most 1024 fit") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestWhatServicesReturnThatIsNoFlightError(t *testing.T) {
	inner := Errorf(KindNotFound, "no flight").WithExtraInfo([]byte("x"))
	for name, test := range map[string]struct {
		returned error
		kind     ErrorKind
		message  string
		info     string
	}{
		"any error":              {errors.New("disk on fire"), KindInternal, "disk on fire", ""},
		"a gRPC status":          {status.Error(codes.PermissionDenied, "not you"), KindUnauthorized, "not you", ""},
		"a wrapped Flight error": {fmt.Errorf("part 3: %w", inner), KindNotFound, "part 3: flight: not found: no flight", "x"},
		"one beside others":      {errors.Join(errors.New("first"), inner), KindNotFound, "first\nflight: not found: no flight", "x"},
		"wrapped by another":     {Errorf(KindInvalid, "part 3: %w", inner), KindInvalid, "part 3: flight: not found: no flight", ""},
		"io.EOF":                 {io.EOF, KindInternal, "EOF", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := connect(t, start(t, everyService{do: func(context.Context) error { return test.returned }}, ServerOptions{}), ClientOptions{})
			_, err := client.GetFlightInfo(t.Context(), DescriptorForPath("a"))
			var got *Error
			if !errors.As(err, &got) || got.Kind != test.kind || got.Message != test.message || string(got.ExtraInfo) != test.info {
				t.Errorf("got %#v, want %q: %q with extra info %q", err, test.kind, test.message, test.info)
			}
		})
	}
}

func TestErrorfWraps(t *testing.T) {
	if err := Errorf(KindInvalid, "no %s", "flight"); errors.Unwrap(err) != nil || err.Error() != "flight: invalid: no flight" {
		t.Errorf("without %%w: %q wraps %v", err, errors.Unwrap(err))
	}
	if err := Errorf(KindInvalid, "read: %w", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, ErrInvalid) || errors.Is(err, ErrNotFound) {
		t.Errorf("one %%w: %q", err)
	}
	if err := Errorf(KindInvalid, "%w and %w", fs.ErrNotExist, io.ErrUnexpectedEOF); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("two %%w: %q", err)
	}
	if err := Errorf(KindInvalid, "read: %w", fs.ErrNotExist).WithExtraInfo([]byte("x")); !errors.Is(err, fs.ErrNotExist) || string(err.ExtraInfo) != "x" {
		t.Errorf("with extra info: %q", err)
	}
	if errors.Is(Errorf(KindInvalid, "a"), Errorf(KindInvalid, "b")) {
		t.Error("errors.Is holds for errors of one kind that say different things")
	}
	if got := (&Error{Kind: KindInvalid}).Error(); got != "flight: invalid" {
		t.Errorf("without a message: %q", got)
	}
}

func TestCallErrorKnowsEveryCode(t *testing.T) {
	for code, want := range map[codes.Code]ErrorKind{
		codes.Aborted:    KindInternal,
		codes.DataLoss:   KindInternal,
		codes.OutOfRange: KindInvalid,
		codes.Code(77):   KindServer,
	} {
		err := callError(status.Error(code, "why"), nil)
		if got := (&Error{}); !errors.As(err, &got) || got.Kind != want || status.Code(errors.Unwrap(err)) != code {
			t.Errorf("%s became %#v, want the kind %q and the status wrapped", code, err, want)
		}
	}
	if err := callError(io.EOF, nil); err != io.EOF { //nolint:errorlint // it is to stay the very error
		t.Errorf("io.EOF became %v", err)
	}
	trailer := metadata.Pairs(trailerExtraInfo, "details of a server that is not Arrow's")
	if got := (&Error{}); !errors.As(callError(status.Error(codes.NotFound, "gone"), trailer), &got) || got.ExtraInfo != nil {
		t.Errorf("details without an Arrow status became extra info %q", got.ExtraInfo)
	}
}

// blocked is a service whose calls do not end before their contexts.
var blocked = everyService{do: func(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}}

func TestACallThatTakesTooLongIsTimedOut(t *testing.T) {
	client := connect(t, start(t, blocked, ServerOptions{}), ClientOptions{})
	onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
		if err := call(t.Context(), client, WithTimeout(timeoutOfTests)); !errors.Is(err, ErrTimedOut) {
			t.Errorf("with a timeout: ended with %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), timeoutOfTests)
		defer cancel()
		if err := call(ctx, client); !errors.Is(err, ErrTimedOut) {
			t.Errorf("with a deadline: ended with %v", err)
		}
	})
}

func TestACallThatIsCancelledSaysSo(t *testing.T) {
	client := connect(t, start(t, blocked, ServerOptions{}), ClientOptions{})
	onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(timeoutOfTests, cancel)
		if err := call(ctx, client); !errors.Is(err, ErrCancelled) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	gone, err := NewServer("grpc://127.0.0.1:0", blocked, ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := connect(t, gone, ClientOptions{})
	onEachCall(t, func(t *testing.T, _ Method, call func(context.Context, *Client, ...CallOption) error) {
		if err := call(t.Context(), client); !errors.Is(err, ErrUnavailable) {
			t.Errorf("ended with %v", err)
		}
	})
}
