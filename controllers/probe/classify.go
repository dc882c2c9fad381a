package probe

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// classify tells the troubles of a probe apart. The messages are our own: those of the network carry port numbers that differ from
// probe to probe, and would make each failure look like a new one. Encrypted is whether TLS was spoken.
func classify(err error, address string, encrypted bool, timeout time.Duration) (reason, message string) {
	var invalid *flightruntime.InvalidAnswerError
	if errors.As(err, &invalid) {
		return v1alpha1.ReasonInvalidAnswer, fmt.Sprintf("%s at %s; check that spec.image is a flightruntime, or built on it", invalid.Error(), address)
	}
	s := status.Convert(err)
	if s.Code() == codes.ResourceExhausted && strings.Contains(s.Message(), "larger than max") {
		return v1alpha1.ReasonInvalidAnswer, fmt.Sprintf("the answer of %s to HealthCheck is larger than %d MiB; check that spec.image is a flightruntime, or built on it", address, maxAnswer>>20)
	}
	switch s.Code() {
	case codes.DeadlineExceeded:
		return v1alpha1.ReasonProbeTimeout, timedOut(address, timeout)
	case codes.Unavailable:
		return classifyUnavailable(s.Message(), address, encrypted, timeout)
	case codes.ResourceExhausted, codes.Canceled, codes.Aborted:
		return v1alpha1.ReasonNotServing, fmt.Sprintf("the server at %s refused HealthCheck with %s: %s", address, s.Code(), s.Message())
	case codes.Unauthenticated, codes.PermissionDenied:
		return v1alpha1.ReasonNotServing, fmt.Sprintf("the server at %s takes the operator for somebody else: %s; check that the container's log names no trouble with the signing keys or the operator's CA, "+
			"that the clocks of the nodes agree, and that spec.image is a flightruntime of this release", address, s.Message())
	case codes.Unimplemented:
		return v1alpha1.ReasonInvalidAnswer, fmt.Sprintf("what listens at %s speaks gRPC and knows no HealthCheck action (%s); check that spec.image is a flightruntime, or built on it", address, s.Message())
	default:
		return v1alpha1.ReasonInvalidAnswer, fmt.Sprintf("expected an answer to HealthCheck at %s, got %s: %s; check that spec.image is a flightruntime, and the server's log", address, s.Code(), s.Message())
	}
}

// classifyUnavailable reads the one code that grpc-go has for all troubles of a connection.
func classifyUnavailable(message, address string, encrypted bool, timeout time.Duration) (reason, text string) {
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(message, part) {
				return true
			}
		}
		return false
	}
	switch {
	case has("authentication handshake failed", "remote error: tls: "): // TLS 1.3 tells the client after its handshake
		return v1alpha1.ReasonHandshakeFailed, fmt.Sprintf("%s %s", address, handshakeTrouble(message))
	case has("connection refused"):
		return v1alpha1.ReasonConnectionFailed, fmt.Sprintf("%s refused the connection: nothing listens there; check the container's log", address)
	case has("no route to host", "network is unreachable", "host is down"):
		return v1alpha1.ReasonConnectionFailed, fmt.Sprintf("no route to %s; check the pod network and the NetworkPolicies between the operator and the pod", address)
	case has("i/o timeout", "deadline exceeded"):
		return v1alpha1.ReasonProbeTimeout, timedOut(address, timeout)
	case has("frame too large", "HTTP/1", "http2: ", "PROTOCOL_ERROR"):
		return v1alpha1.ReasonInvalidAnswer, fmt.Sprintf("what listens at %s does not speak gRPC over HTTP/2; check that spec.image is a flightruntime, or built on it", address)
	case encrypted && has("connection reset", "EOF", "broken pipe"):
		// The alert with which a server of TLS 1.3 refuses a client's certificate is lost as often as not, for the client has begun to talk by then.
		return v1alpha1.ReasonHandshakeFailed, fmt.Sprintf("%s %s", address, identityRefused)
	case has("connection reset", "EOF", "broken pipe", "closing", "closed"):
		return v1alpha1.ReasonConnectionFailed, fmt.Sprintf("%s accepted the connection and closed it without an answer; check the container's log", address)
	default:
		return v1alpha1.ReasonConnectionFailed, fmt.Sprintf("cannot talk to %s; check the container's log and the NetworkPolicies between the operator and the pod", address)
	}
}

func timedOut(address string, timeout time.Duration) string {
	return fmt.Sprintf("no answer to HealthCheck from %s within %s: the server hangs, or the network drops the packets; check that no NetworkPolicy keeps the operator from this port, and the container's log", address, timeout)
}

// identityRefused is one text for all ways in which that comes out, so that it is one trouble.
const identityRefused = "ended the connection after the handshake: most likely it does not take the operator's own certificate; check the container's log, and that the clocks of the nodes agree"

// handshakeTrouble says what kept a server and the operator from agreeing on TLS.
func handshakeTrouble(message string) string {
	has := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case has("first record does not look like a TLS handshake"):
		return "speaks plain text where TLS is specified; check that spec.image is a flightruntime, or built on it"
	case has("internal error"):
		return "has no certificate to present yet; check the Secret and the container's log"
	case has("unknown certificate authority"), has("bad certificate"), has("certificate required"), has("unknown certificate"):
		return identityRefused
	case has("deadline exceeded"), has("i/o timeout"):
		return "began no TLS handshake in time: the server hangs, or speaks plain text"
	case has("protocol version"), has("no supported versions"):
		return "speaks no version of TLS that the operator does"
	default:
		return "broke off the TLS handshake; check the container's log"
	}
}
