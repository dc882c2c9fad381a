package flightruntime

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/flight-operator/flight-operator/internal/text"
)

// ErrorKind is the kind of a Flight error: one for each of pyarrow's exception classes.
type ErrorKind string

// Values of ErrorKind, each with its class in pyarrow and its gRPC code.
const (
	KindServer          ErrorKind = "server"          // FlightServerError, UNKNOWN
	KindInternal        ErrorKind = "internal"        // FlightInternalError, INTERNAL
	KindTimedOut        ErrorKind = "timed out"       // FlightTimedOutError, DEADLINE_EXCEEDED
	KindCancelled       ErrorKind = "cancelled"       // FlightCancelledError, CANCELLED
	KindUnauthenticated ErrorKind = "unauthenticated" // FlightUnauthenticatedError, UNAUTHENTICATED
	KindUnauthorized    ErrorKind = "unauthorized"    // FlightUnauthorizedError, PERMISSION_DENIED
	KindUnavailable     ErrorKind = "unavailable"     // FlightUnavailableError, UNAVAILABLE
	KindInvalid         ErrorKind = "invalid"         // ArrowInvalid, INVALID_ARGUMENT
	KindNotFound        ErrorKind = "not found"       // ArrowKeyError, NOT_FOUND
	KindAlreadyExists   ErrorKind = "already exists"  // ArrowException, ALREADY_EXISTS
	KindNotImplemented  ErrorKind = "not implemented" // ArrowNotImplementedError, UNIMPLEMENTED
	KindOverLimit       ErrorKind = "over a limit"    // ArrowInvalid, RESOURCE_EXHAUSTED
	KindPrecondition    ErrorKind = "wrong state"     // ArrowInvalid, FAILED_PRECONDITION
	KindWriteSize       ErrorKind = "write too large" // FlightWriteSizeExceededError: a client's own, it never crosses the wire
)

// WriteSizeError is what an Error of KindWriteSize wraps: a batch was larger than ClientOptions.WriteSizeLimit lets it be. Nothing of it
// was sent: the caller may split it and go on.
type WriteSizeError struct {
	Limit  int // bytes
	Actual int // bytes that the batch would have taken
}

// Error names both sizes.
func (e *WriteSizeError) Error() string {
	return fmt.Sprintf("the batch takes %d bytes: expected at most WriteSizeLimit, %d: split it and write the parts", e.Actual, e.Limit)
}

// kinds are the kinds that cross the wire: how gRPC and how Arrow number them (arrow::StatusCode, in the trailer x-arrow-status). Those
// without a number of Arrow's are Arrow errors in pyarrow, and no Flight errors.
var kinds = []struct {
	kind  ErrorKind
	code  codes.Code
	arrow int
}{
	{KindServer, codes.Unknown, 9},
	{KindInternal, codes.Internal, 5},
	{KindTimedOut, codes.DeadlineExceeded, 5},
	{KindCancelled, codes.Canceled, 8},
	{KindUnauthenticated, codes.Unauthenticated, 5},
	{KindUnauthorized, codes.PermissionDenied, 5},
	{KindUnavailable, codes.Unavailable, 5},
	{KindInvalid, codes.InvalidArgument, 0},
	{KindNotFound, codes.NotFound, 0},
	{KindAlreadyExists, codes.AlreadyExists, 0},
	{KindNotImplemented, codes.Unimplemented, 0},
	{KindOverLimit, codes.ResourceExhausted, 0},
	{KindPrecondition, codes.FailedPrecondition, 0},
}

// Error is an error of a Flight call. What a service returns reaches pyarrow as the exception of its kind, and the client as an Error
// again.
type Error struct {
	Kind    ErrorKind
	Message string
	// ExtraInfo is binary, and means something to the service and its clients alone. At most MaxExtraInfo bytes. pyarrow's Flight errors
	// have it as extra_info; its Arrow errors, such as ArrowInvalid, have no place for it.
	ExtraInfo []byte

	cause error
}

// MaxExtraInfo bounds Error.ExtraInfo: gRPC clients take 8 KiB of trailers, in which three bytes take four and the message up to 6 KiB.
const MaxExtraInfo = 1 << 10

// Errors to compare with: errors.Is(err, ErrUnavailable) holds for every Error of that kind.
var (
	ErrServer          = &Error{Kind: KindServer}
	ErrInternal        = &Error{Kind: KindInternal}
	ErrTimedOut        = &Error{Kind: KindTimedOut}
	ErrCancelled       = &Error{Kind: KindCancelled}
	ErrUnauthenticated = &Error{Kind: KindUnauthenticated}
	ErrUnauthorized    = &Error{Kind: KindUnauthorized}
	ErrUnavailable     = &Error{Kind: KindUnavailable}
	ErrInvalid         = &Error{Kind: KindInvalid}
	ErrNotFound        = &Error{Kind: KindNotFound}
	ErrAlreadyExists   = &Error{Kind: KindAlreadyExists}
	ErrNotImplemented  = &Error{Kind: KindNotImplemented}
	ErrOverLimit       = &Error{Kind: KindOverLimit}
	ErrPrecondition    = &Error{Kind: KindPrecondition}
	ErrWriteSize       = &Error{Kind: KindWriteSize}
)

// Errorf makes an Error. Arguments for the verb %w are what it wraps.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: kind, Message: err.Error()}
	switch wrapping := err.(type) { //nolint:errorlint // what fmt.Errorf has just made is not wrapped
	case interface{ Unwrap() error }:
		e.cause = wrapping.Unwrap()
	case interface{ Unwrap() []error }:
		e.cause = errors.Join(wrapping.Unwrap()...)
	}
	return e
}

// WithExtraInfo is the error with extra info.
func (e *Error) WithExtraInfo(info []byte) *Error {
	with := *e
	with.ExtraInfo = info
	return &with
}

// Error is the kind and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return "flight: " + string(e.Kind)
	}
	return fmt.Sprintf("flight: %s: %s", e.Kind, e.Message)
}

// Unwrap is what was given to Errorf with %w; of a client's Error, the gRPC status.
func (e *Error) Unwrap() error { return e.cause }

// Is is true for the bare error of the same kind, such as ErrUnavailable.
func (e *Error) Is(target error) bool {
	bare, ok := target.(*Error)
	return ok && bare.Kind == e.Kind && bare.Message == "" && bare.ExtraInfo == nil
}

// GRPCStatus is the error's gRPC status. It makes status.Code(err) work.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.code(), e.Message) }

// fitting is the error with what fits in a trailer.
func (e *Error) fitting() *Error {
	fits := *e
	if n := len(e.ExtraInfo); n > MaxExtraInfo {
		fits.ExtraInfo = nil
		fits.Message += fmt.Sprintf(" (extra info of %d bytes is left out: at most %d fit)", n, MaxExtraInfo)
	}
	longest := maxRefusal
	if fits.readsAsStatus() {
		longest /= 2 // for the message goes twice
	}
	fits.Message = text.Cut(fits.Message, longest)
	return &fits
}

func (e *Error) code() codes.Code {
	for _, k := range kinds {
		if k.kind == e.Kind {
			return k.code
		}
	}
	return codes.Unknown
}

// Trailers of Arrow's C++ implementation (cpp/src/arrow/flight/transport/grpc/util_internal.cc): the first says which Arrow status an
// error is, and has to be there for extra info to be read; the second, if there, is read in place of gRPC's message. grpc-go sends the
// third as it is, unless a status has details of its own.
const (
	trailerArrowStatus  = "x-arrow-status"
	trailerArrowMessage = "x-arrow-status-message-bin"
	trailerExtraInfo    = "grpc-status-details-bin"
	// trailerOwnExtraInfo carries the extra info of Arrow errors to our own client: C++ makes a FlightInternalError of all that comes with
	// the others.
	trailerOwnExtraInfo = "x-flight-extra-info-bin"
)

// extraInfoTrailers carry an error's extra info; none if it has none.
func extraInfoTrailers(err error) metadata.MD {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) || len(e.ExtraInfo) == 0 || len(e.ExtraInfo) > MaxExtraInfo {
		return nil
	}
	for _, k := range kinds {
		if k.kind != e.Kind || k.arrow == 0 {
			continue
		}
		trailers := metadata.Pairs(trailerArrowStatus, strconv.Itoa(k.arrow), trailerExtraInfo, string(e.ExtraInfo))
		if e.readsAsStatus() {
			trailers.Set(trailerArrowMessage, e.Message)
		}
		return trailers
	}
	return metadata.Pairs(trailerOwnExtraInfo, string(e.ExtraInfo))
}

// readsAsStatus is true where the extra info happens to be a google.rpc.Status of the same code, as two bytes can be: grpc-go's clients
// then take the message from there, and lose ours.
func (e *Error) readsAsStatus() bool {
	s := status.New(codes.OK, "").Proto()
	return len(e.ExtraInfo) > 0 && proto.Unmarshal(e.ExtraInfo, s) == nil && codes.Code(s.GetCode()) == e.code()
}

// callError is the Error that a client's call ended with, given the trailers that came with it; nil and io.EOF stay as they are.
func callError(err error, trailer metadata.MD) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	s, ok := status.FromError(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		s = status.New(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		s = status.New(codes.Canceled, err.Error())
	case !ok:
		return err
	}
	e := &Error{Message: s.Message(), cause: err}
	code := s.Code()
	if info := trailer.Get(trailerExtraInfo); len(info) > 0 && len(trailer.Get(trailerArrowStatus)) > 0 {
		e.ExtraInfo = []byte(info[0])
		code, e.Message = beforeDetails(code, e.Message)
		if message := trailer.Get(trailerArrowMessage); len(message) > 0 {
			e.Message = message[0]
		}
	} else if info := trailer.Get(trailerOwnExtraInfo); len(info) > 0 {
		e.ExtraInfo = []byte(info[0])
	}
	e.Kind = kindOf(code)
	return e
}

// kindOf is the kind of an error that came with a code. Codes that are no kind's own are taken as C++ takes them.
func kindOf(code codes.Code) ErrorKind {
	for _, k := range kinds {
		if k.code == code {
			return k.kind
		}
	}
	switch code {
	case codes.Aborted, codes.DataLoss:
		return KindInternal
	case codes.OutOfRange:
		return KindInvalid
	default:
		return KindServer
	}
}

// mismatch is what grpc-go makes of a status whose raw details happen to parse as a google.rpc.Status of another code: extra info need
// not be one.
var mismatch = regexp.MustCompile(`(?s)^grpc-status-details-bin mismatch: grpc-status=(\w+), grpc-message=("(?:[^"\\]|\\.)*"), grpc-status-details-bin=`)

// beforeDetails is the code and the message that the server sent.
func beforeDetails(code codes.Code, message string) (codes.Code, string) {
	m := mismatch.FindStringSubmatch(message)
	if code != codes.Internal || m == nil {
		return code, message
	}
	sent, err := strconv.Unquote(m[2])
	if err != nil {
		return code, message
	}
	for _, k := range kinds {
		if k.code.String() == m[1] {
			return k.code, sent
		}
	}
	return code, message
}
