package conformance

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/test/conformance/flightserver"
)

// TestFlight has pyarrow judge the library: for what each test of pyarrow's own tests/test_flight.py asserts of a server, there is a check
// here, and a row in docs/conformance.md.
func TestFlight(t *testing.T) {
	clear(outcomes.passed) // of an earlier run, by -count
	for _, theme := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"constant", constant},
		{"streams", streams},
		{"numbered", numbered},
		{"echo", echo},
		{"exchange", exchange},
		{"actions", actions},
		{"errors", failures},
		{"flights", flights},
		{"headers", headers},
		{"auth", auth},
		{"tls", overTLS},
		{"endless", endless},
		{"large", large},
		{"location", locations},
	} {
		t.Run(theme.name, theme.run)
	}
	t.Run("table", everyRowIsTrue)
}

// outcomes are those of the checks of TestFlight, by name: "constant/do_get".
var outcomes = struct {
	sync.Mutex
	passed map[string]bool
}{passed: map[string]bool{}}

// check is a subtest whose outcome is known afterwards.
func check(t *testing.T, name string, run func(*testing.T)) {
	t.Helper()
	passed := t.Run(name, run)
	_, within, _ := strings.Cut(t.Name(), "/")
	outcomes.Lock()
	defer outcomes.Unlock()
	name = within + "/" + name
	if _, twice := outcomes.passed[name]; twice {
		t.Errorf("two checks have the name %s", name)
	}
	outcomes.passed[name] = passed
}

// serve serves until the test ends. Credentials may come in plain text.
func serve(t *testing.T, location string, service flightruntime.Service, options flightruntime.ServerOptions) *flightruntime.Server {
	t.Helper()
	s, err := serving(t, location, service, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serving is serve for any goroutine.
func serving(t *testing.T, location string, service flightruntime.Service, options flightruntime.ServerOptions) (*flightruntime.Server, error) {
	options.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	options.InsecureAuth = flightruntime.AllowInsecureAuth
	s, err := flightruntime.NewServer(location, service, options)
	if err != nil {
		return nil, err
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return s, nil
}

// judge has pyarrow check a service on a server of its own. The arguments of the checks are given the location.
func judge(t *testing.T, module string, service flightruntime.Service, options flightruntime.ServerOptions, args func(location string) []string) {
	t.Helper()
	location := "grpc://localhost:0"
	if options.TLS != nil {
		location = "grpc+tls://localhost:0"
	}
	location = serve(t, location, service, options).Location().String()
	var rest []string
	if args != nil {
		rest = args(location)
	}
	pyarrow(t, module, location, rest...)
}

// itself gives the location as an argument.
func itself(location string) []string { return []string{location} }

func with(args ...string) func(string) []string {
	return func(string) []string { return args }
}

// encodings are the ways in which batches can be written.
var encodings = []struct {
	name, version, codec string
	options              flightruntime.WriteOptions
}{
	{"default", "V5", "none", flightruntime.WriteOptions{}},
	{"v4", "V4", "none", writeV4},
	{"lz4", "V5", "lz4", writeLZ4},
	{"zstd", "V5", "zstd", writeZstd},
}

func constant(t *testing.T) {
	for _, e := range encodings {
		t.Run(e.name, func(t *testing.T) {
			service := flightserver.Constant{Options: e.options}
			judge(t, "constant", service, flightruntime.ServerOptions{}, nil)
			judge(t, "encoded", service, flightruntime.ServerOptions{}, func(location string) []string { return []string{location, e.version, e.codec} })
		})
	}
}

func streams(t *testing.T) {
	judge(t, "broken_streams", flightserver.Broken{}, flightruntime.ServerOptions{}, nil)
	judge(t, "empty_streams", flightserver.Empty{}, flightruntime.ServerOptions{}, nil)
	judge(t, "nothing", flightserver.Nothing{}, flightruntime.ServerOptions{}, nil)
}

func numbered(t *testing.T) {
	for _, e := range encodings {
		t.Run(e.name, func(t *testing.T) {
			judge(t, "numbered", flightserver.Numbered{Options: e.options}, flightruntime.ServerOptions{}, nil)
		})
	}
}

// manyBytes lets a message of 80 MiB in, and its head.
const manyBytes = 100 << 20

func echo(t *testing.T) {
	judge(t, "echo", &flightserver.Echo{}, flightruntime.ServerOptions{MaxMessageBytes: manyBytes}, nil)
	judge(t, "put_limit", &flightserver.Echo{}, flightruntime.ServerOptions{}, nil)
	judge(t, "compressed_calls", &flightserver.Echo{}, flightruntime.ServerOptions{}, nil)
}

func exchange(t *testing.T) {
	for _, e := range encodings {
		t.Run(e.name, func(t *testing.T) {
			judge(t, "exchange", flightserver.Exchange{Options: e.options}, flightruntime.ServerOptions{}, nil)
		})
	}
	t.Run("server_sends_deltas", func(t *testing.T) {
		judge(t, "exchange_dictionaries", flightserver.Exchange{Options: writeDeltas}, flightruntime.ServerOptions{}, with("deltas"))
	})
	t.Run("server_sends_replacements", func(t *testing.T) {
		judge(t, "exchange_dictionaries", flightserver.Exchange{}, flightruntime.ServerOptions{}, with("replacements"))
	})
}

func actions(t *testing.T) {
	service := &flightserver.Actions{}
	judge(t, "actions", service, flightruntime.ServerOptions{}, nil)
	check(t, "all_calls_have_ended", func(t *testing.T) {
		eventually(t, func() error { return none("actions", service.Waiting.Load()) })
	})
}

func none(what string, n int64) error {
	if n != 0 {
		return fmt.Errorf("%d %s are still running", n, what)
	}
	return nil
}

func failures(t *testing.T) {
	info := hex.EncodeToString(flightserver.ExtraInfo)
	judge(t, "errors", flightserver.Failing{}, flightruntime.ServerOptions{}, with(flightserver.FailingMessage, info))
	judge(t, "raw_errors", flightserver.Failing{}, flightruntime.ServerOptions{}, func(location string) []string {
		return []string{location, flightserver.FailingMessage, info}
	})
}

func flights(t *testing.T) {
	judge(t, "flights", flightserver.Flights{}, flightruntime.ServerOptions{}, with(strconv.FormatInt(flightserver.Expires.UnixNano(), 10), flightserver.Criteria))
}

func named(name string, f flightruntime.ServerMiddlewareFactory) []flightruntime.NamedServerMiddleware {
	return []flightruntime.NamedServerMiddleware{{Name: name, Factory: f}}
}

func headers(t *testing.T) {
	sent := metadata.MD{"x-text": {"ebb", "flow"}, "x-binary-bin": {"\x00", "\xff\x01"}, "X-Mixed-Case": {"tide"}, "x-Other-MIXED": {"neap"}}
	judge(t, "headers", flightserver.Revealing{}, flightruntime.ServerOptions{Middleware: named(flightserver.Greeting, flightserver.Sending(sent, "moin"))}, itself)
	judge(t, "returned_headers", flightserver.Revealing{}, flightruntime.ServerOptions{Middleware: named(flightserver.Headers, flightserver.Returning())}, itself)
	judge(t, "selective", flightserver.Revealing{}, flightruntime.ServerOptions{Middleware: named(flightserver.Greeting, flightserver.Selective())}, itself)
	judge(t, "tracing", flightserver.Revealing{}, flightruntime.ServerOptions{Middleware: named("trace", flightruntime.ServerTraceContext())}, nil)
	t.Run("unimplemented", func(t *testing.T) {
		recorder := &flightserver.Recorder{}
		judge(t, "unimplemented", flightruntime.BaseService{}, flightruntime.ServerOptions{Middleware: named("recorder", recorder)}, itself)
		check(t, "server_middleware_saw_every_method", func(t *testing.T) {
			expected := []flightruntime.Method{
				flightruntime.MethodListFlights, flightruntime.MethodGetFlightInfo, flightruntime.MethodGetSchema, flightruntime.MethodDoGet,
				flightruntime.MethodDoPut, flightruntime.MethodDoAction, flightruntime.MethodListActions, flightruntime.MethodDoExchange,
			}
			methods, errs := recorder.Methods()
			if !reflect.DeepEqual(methods, expected) {
				t.Errorf("expected %v, got %v", expected, methods)
			}
			if len(errs) != len(expected) {
				t.Errorf("expected the end of each call, got %v", errs)
			}
		})
	})
}

func auth(t *testing.T) {
	t.Run("handler", func(t *testing.T) {
		judge(t, "auth_proto", &flightserver.Actions{}, flightruntime.ServerOptions{Auth: flightserver.ByProto{}}, with("wrong password"))
	})
	t.Run("questions", func(t *testing.T) {
		judge(t, "auth_questions", &flightserver.Actions{}, flightruntime.ServerOptions{Auth: flightserver.ByQuestions{}}, nil)
	})
	t.Run("middleware", func(t *testing.T) {
		judge(t, "auth_headers", &flightserver.Actions{}, flightruntime.ServerOptions{Middleware: named("auth", flightserver.Bearer())}, itself)
	})
	t.Run("handler_and_middleware", func(t *testing.T) {
		judge(t, "auth_headers", &flightserver.Actions{}, flightruntime.ServerOptions{Auth: flightserver.Anybody{}, Middleware: named("auth", flightserver.Bearer())}, itself)
	})
	basic := flightruntime.NewBasicAuth(flightserver.Validate, nil)
	t.Run("basic_auth_as_handler", func(t *testing.T) {
		judge(t, "auth_proto", &flightserver.Actions{}, flightruntime.ServerOptions{Auth: basic}, with("wrong"))
	})
	t.Run("basic_auth_as_middleware", func(t *testing.T) {
		judge(t, "auth_headers", &flightserver.Actions{}, flightruntime.ServerOptions{Middleware: named("auth", basic)}, itself)
	})
}

func overTLS(t *testing.T) {
	dir := certificates(t)
	tls := func(clientCAs []byte) flightruntime.ServerOptions {
		c, err := flightruntime.ServerTLS(readPEM(t, dir, "server"), readPEM(t, dir, "server-key"), clientCAs)
		if err != nil {
			t.Fatal(err)
		}
		return flightruntime.ServerOptions{TLS: c}
	}
	judge(t, "tls", flightserver.Constant{}, tls(nil), func(location string) []string { return []string{location, dir} })
	judge(t, "mtls", flightserver.Revealing{}, tls(readPEM(t, dir, "ca")), func(location string) []string { return []string{location, dir} })
}

func endless(t *testing.T) {
	service := &flightserver.Endless{}
	s := serve(t, "grpc://localhost:0", service, flightruntime.ServerOptions{})
	pyarrow(t, "endless", s.Location().String())
	ended := func(t *testing.T) {
		eventually(t, func() error { return none("streams", service.Running.Load()+int64(s.ActiveCalls())) })
	}
	check(t, "all_calls_have_ended", ended)
	check(t, "interpreter_that_ends_with_calls_open", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "../../hack/pyarrow", "checks/leave.py", s.Location().String()).Output()
		if err != nil || string(out) != "leaving\n" {
			t.Errorf("leave.py: %v, %s", err, out)
		}
		ended(t)
	})
}

func large(t *testing.T) {
	const limit = 1 << 20
	judge(t, "large", flightserver.Large{Metadata: make([]byte, 2*limit)}, flightruntime.ServerOptions{MaxMessageBytes: limit}, itself)
}

func locations(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]", "0.0.0.0"} {
		t.Run(host, func(t *testing.T) {
			s := serve(t, "grpc://"+host+":0", flightserver.Constant{}, flightruntime.ServerOptions{})
			check(t, "port", func(t *testing.T) {
				if s.Location().Port() == 0 {
					t.Errorf("expected the port that the server got, got %s", s.Location())
				}
			})
			location := s.Location().String()
			pyarrow(t, "location", location, location)
		})
	}
	t.Run("unix", func(t *testing.T) {
		location := flightruntime.ForGRPCUnix(filepath.Join(t.TempDir(), "flight.sock")).String()
		serve(t, location, flightserver.Constant{}, flightruntime.ServerOptions{})
		pyarrow(t, "location", location, location)
	})
	t.Run("chosen_port", func(t *testing.T) {
		location := flightruntime.ForGRPCTCP("localhost", freePort(t)).String()
		serve(t, location, flightserver.Constant{}, flightruntime.ServerOptions{})
		pyarrow(t, "location", location, location)
	})
	check(t, "what_is_no_location_is_refused", func(t *testing.T) {
		for location, want := range map[string]string{
			"%":                  "expected SCHEME://HOST:PORT",
			"s3://foo":           `unknown scheme "s3"`,
			"https://host:1":     `unknown scheme "https"`,
			"grpc://host":        "expected a port",
			"grpc://host:1/path": "expected nothing but a host and a port",
		} {
			if _, err := flightruntime.NewServer(location, flightserver.Constant{}, flightruntime.ServerOptions{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("server at %q: expected an error with %q, got %v", location, want, err)
			}
			if _, err := flightruntime.Connect(location, flightruntime.ClientOptions{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("client of %q: expected an error with %q, got %v", location, want, err)
			}
		}
	})
	t.Run("later", func(t *testing.T) {
		later := flightruntime.ForGRPCTCP("localhost", freePort(t)).String()
		judge(t, "wait_for_available", harbour{t: t, location: later}, flightruntime.ServerOptions{}, with(later))
	})
}

// harbour starts a server when it is asked to.
type harbour struct {
	flightruntime.BaseService
	t        *testing.T
	location string
}

func (h harbour) DoAction(context.Context, *flightruntime.Action) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if _, err := serving(h.t, h.location, flightserver.Constant{}, flightruntime.ServerOptions{}); err != nil {
			yield(nil, err)
		}
	}
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}
