package probe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/internal/flighttest"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// patience bounds every wait, for machines under load.
const patience = 20 * time.Second

var taxi = types.NamespacedName{Namespace: "data", Name: "taxi"}

// brisk settings let a test see several probes.
var brisk = probe.Settings{Interval: 20 * time.Millisecond, Timeout: patience, FailureThreshold: 2}

// slow settings let a test see that probes come without waiting for the interval.
var slow = probe.Settings{Interval: time.Hour, Timeout: patience, FailureThreshold: 1}

func startPool(t *testing.T) *probe.Pool {
	t.Helper()
	return startPoolWith(t, nil)
}

func startPoolWith(t *testing.T, identity func() (*tls.Certificate, error)) *probe.Pool {
	t.Helper()
	pool := probe.NewPool(identity)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return pool
}

func target(pod, address string) probe.Target {
	return probe.Target{Pod: pod, UID: types.UID(pod), Address: address, Ready: true}
}

// await takes events until the result of a pod is as wanted.
func await(t *testing.T, pool *probe.Pool, pod string, what string, wanted func(probe.Result) bool) probe.Result {
	t.Helper()
	timeout := time.After(patience)
	for {
		r := pool.Results(taxi)[pod]
		if wanted(r) {
			return r
		}
		select {
		case e := <-pool.Events():
			if e.Object != taxi {
				t.Fatalf("an event of %s", e.Object)
			}
		case <-timeout:
			t.Fatalf("expected %s, still got %+v", what, r)
		}
	}
}

func inState(s v1alpha1.ServerState) func(probe.Result) bool {
	return func(r probe.Result) bool { return r.State == s }
}

// listen runs a TCP server that does with each connection whatever the test says.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return listener.Addr().String()
}

func TestTroublesAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name    string
		address func(*testing.T) string
		state   v1alpha1.ServerState
		reason  string
		message string
	}{
		{
			name:    "a server that serves",
			address: func(t *testing.T) string { return flighttest.Start(t).Address() },
			state:   v1alpha1.ServerServing,
		},
		{
			name: "a server that says it does not serve",
			address: func(t *testing.T) string {
				s := flighttest.Start(t)
				s.Answer(flightruntime.Health{Status: flightruntime.NotServing})
				return s.Address()
			},
			state:   v1alpha1.ServerNotServing,
			reason:  v1alpha1.ReasonNotServing,
			message: "answers NOT_SERVING",
		},
		{
			name: "a server that takes the call and never answers",
			address: func(t *testing.T) string {
				s := flighttest.Start(t)
				s.Hang()
				return s.Address()
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonProbeTimeout,
			message: "check that no NetworkPolicy",
		},
		{
			name: "a server that takes the connection and never says a word",
			address: func(t *testing.T) string {
				ended := t.Context()
				return listen(t, func(c net.Conn) {
					<-ended.Done()
					_ = c.Close()
				})
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonProbeTimeout,
			message: "no answer to HealthCheck",
		},
		{
			name: "nothing listens",
			address: func(t *testing.T) string {
				s := flighttest.Start(t)
				s.Stop()
				return s.Address()
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonConnectionFailed,
			message: "refused the connection",
		},
		{
			name: "a server that resets the connection",
			address: func(t *testing.T) string {
				return listen(t, func(c net.Conn) {
					_ = c.(*net.TCPConn).SetLinger(0)
					_ = c.Close()
				})
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonConnectionFailed,
			message: "closed it without an answer",
		},
		{
			name: "a server that closes the connection",
			address: func(t *testing.T) string {
				return listen(t, func(c net.Conn) { _ = c.Close() })
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonConnectionFailed,
			message: "closed it without an answer",
		},
		{
			name: "a web server",
			address: func(t *testing.T) string {
				s := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(s.Close)
				return strings.TrimPrefix(s.URL, "http://")
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonInvalidAnswer,
			message: "does not speak gRPC over HTTP/2",
		},
		{
			name: "a web server of HTTP/2",
			address: func(t *testing.T) string {
				s := httptest.NewUnstartedServer(http.NotFoundHandler())
				s.Config.Protocols = new(http.Protocols)
				s.Config.Protocols.SetUnencryptedHTTP2(true)
				s.Start()
				t.Cleanup(s.Close)
				return strings.TrimPrefix(s.URL, "http://")
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonInvalidAnswer,
			message: "check that spec.image is a flightruntime",
		},
		{
			name: "a gRPC server that is no Flight server",
			address: func(t *testing.T) string {
				s := grpc.NewServer()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				go func() { _ = s.Serve(listener) }()
				t.Cleanup(s.Stop)
				return listener.Addr().String()
			},
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonInvalidAnswer,
			message: "knows no HealthCheck action",
		},
		{
			name:    "an answer that is no JSON",
			address: func(t *testing.T) string { return answersRaw(t, "SERVING") },
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonInvalidAnswer,
			message: "expected a JSON object",
		},
		{
			name:    "an answer of an unknown status",
			address: func(t *testing.T) string { return answersRaw(t, `{"status": "FINE"}`) },
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonInvalidAnswer,
			message: `got "FINE"`,
		},
		{
			name:    "an answer beyond all measure",
			address: func(t *testing.T) string { return answersRaw(t, strings.Repeat("x", 17<<20)) },
			state:   v1alpha1.ServerUnreachable,
			reason:  v1alpha1.ReasonInvalidAnswer,
			message: "larger than 16 MiB",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool := startPool(t)
			settings := slow
			if c.reason == v1alpha1.ReasonProbeTimeout {
				settings.Timeout = time.Second
			}
			pool.Ensure(taxi, []probe.Target{target("a", c.address(t))}, settings)
			r := await(t, pool, "a", string(c.state), inState(c.state))
			if r.Reason != c.reason || !strings.Contains(r.Message, c.message) || (c.message == "") != (r.Message == "") {
				t.Errorf("reason %q, message %q; expected %q, %q", r.Reason, r.Message, c.reason, c.message)
			}
			if r.LastProbe.IsZero() || r.Latency <= 0 {
				t.Errorf("no time of the probe: %+v", r)
			}
		})
	}
}

func answersRaw(t *testing.T, body string) string {
	s := flighttest.Start(t)
	s.AnswerRaw(body)
	return s.Address()
}

// What a server of somebody else's says ends up in the status, which has to stay small.
func TestAnswersAreBounded(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	answer := flightruntime.Health{
		Status: flightruntime.Serving, Version: long, ConfigHash: long, ConfigError: long, ActiveStreams: math.MaxInt,
		Datasets: slices.Repeat([]flightruntime.DatasetHealth{{
			Name: "trips", State: flightruntime.DatasetState(long[:200]), Files: -1, SchemaFingerprint: long[:200], Message: long[:2000],
		}}, 1001),
	}
	pool, server := startPool(t), flighttest.Start(t)
	server.Answer(answer)
	pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, slow)
	h := await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing)).Health
	d := h.Datasets[len(h.Datasets)-1]
	if len(h.Version) > 128 || len(h.ConfigHash) > 128 || len(h.ConfigError) > v1alpha1.MaxStatusMessage || h.ActiveStreams != math.MaxInt32 {
		t.Errorf("the answer is kept with a version of %d bytes, a hash of %d, an error of %d and %d streams", len(h.Version), len(h.ConfigHash), len(h.ConfigError), h.ActiveStreams)
	}
	if len(h.Datasets) > 1000 || len(d.State) > 128 || len(d.SchemaFingerprint) > 128 || len(d.Message) > v1alpha1.MaxStatusMessage || d.Files != 0 {
		t.Errorf("%d datasets are kept, the last as %+v", len(h.Datasets), d)
	}
}

func TestThresholdAndRecovery(t *testing.T) {
	pool, server := startPool(t), flighttest.Start(t)
	settings := brisk
	settings.FailureThreshold = 3
	pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, settings)
	await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing))
	server.AnswerRaw("nonsense")
	r := await(t, pool, "a", "Unreachable", inState(v1alpha1.ServerUnreachable))
	if r.Failures < 3 {
		t.Errorf("unreachable after %d failures, expected 3", r.Failures)
	}
	if r.Answers() || r.Health == nil {
		t.Errorf("what an unreachable server said before is kept, and out of date: %+v", r)
	}
	server.Answer(flightruntime.Health{Status: flightruntime.Serving})
	if r := await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing)); r.Failures != 0 || r.Message != "" {
		t.Errorf("failures are left over: %+v", r)
	}
}

func TestOnlyWhatMattersIsAnEvent(t *testing.T) {
	pool, server := startPool(t), flighttest.Start(t)
	var mu sync.Mutex
	streams := 0
	health := func() flightruntime.Health {
		mu.Lock()
		defer mu.Unlock()
		streams++
		return flightruntime.Health{
			Status: flightruntime.Serving, ActiveStreams: streams,
			Datasets: []flightruntime.DatasetHealth{{Name: "trips", State: flightruntime.DatasetReady, Rows: 1, RefreshedAt: time.Unix(int64(streams), 0)}},
		}
	}
	server.AnswerWith(health)
	pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, brisk)
	await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing))
	for len(pool.Events()) > 0 {
		<-pool.Events()
	}
	for before := server.Calls(); server.Calls() < before+5; {
		time.Sleep(brisk.Interval)
	}
	if n := len(pool.Events()); n != 0 {
		t.Errorf("%d events for running calls and times alone", n)
	}
	server.AnswerWith(func() flightruntime.Health {
		h := health()
		h.Datasets[0].Rows = 2
		return h
	})
	await(t, pool, "a", "two rows", func(r probe.Result) bool { return r.Health.Datasets[0].Rows == 2 })
}

// With an interval of an hour, all that is seen here is seen because the pool is in a hurry.
func TestHurry(t *testing.T) {
	serving := func(hash string, state flightruntime.DatasetState) flightruntime.Health {
		return flightruntime.Health{Status: flightruntime.Serving, ConfigHash: hash, Datasets: []flightruntime.DatasetHealth{{Name: "trips", State: state}}}
	}
	t.Run("for another configuration", func(t *testing.T) {
		pool, server := startPool(t), flighttest.Start(t)
		server.Answer(serving("one", flightruntime.DatasetReady))
		settings := slow
		settings.Wanted.ConfigHash = "one"
		pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, settings)
		await(t, pool, "a", "one", inState(v1alpha1.ServerServing))
		settings.Wanted.ConfigHash = "two"
		pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, settings)
		for before := server.Calls(); server.Calls() < before+2; {
			time.Sleep(10 * time.Millisecond)
		}
		server.Answer(serving("two", flightruntime.DatasetReady))
		await(t, pool, "a", "two", func(r probe.Result) bool { return r.Health.ConfigHash == "two" })
	})
	t.Run("while a dataset is loading", func(t *testing.T) {
		pool, server := startPool(t), flighttest.Start(t)
		server.Answer(serving("", flightruntime.DatasetLoading))
		pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, slow)
		await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing))
		server.Answer(serving("", flightruntime.DatasetReady))
		await(t, pool, "a", "the dataset", func(r probe.Result) bool { return r.Health.Datasets[0].State == flightruntime.DatasetReady })
	})
	t.Run("when a server becomes ready", func(t *testing.T) {
		pool, server := startPool(t), flighttest.Start(t)
		server.AnswerRaw("starting")
		unready := target("a", server.Address())
		unready.Ready = false
		pool.Ensure(taxi, []probe.Target{unready}, slow)
		await(t, pool, "a", "Unreachable", inState(v1alpha1.ServerUnreachable))
		server.Answer(serving("", flightruntime.DatasetReady))
		pool.Ensure(taxi, []probe.Target{target("a", server.Address())}, slow)
		if r := pool.Results(taxi)["a"]; r.State == v1alpha1.ServerUnreachable {
			t.Error("that it did not answer before it was ready should be forgotten")
		}
		await(t, pool, "a", "Serving", inState(v1alpha1.ServerServing))
	})
}

func TestWhatIsGoneIsNotCalled(t *testing.T) {
	pool, gone, stays := startPool(t), flighttest.Start(t), flighttest.Start(t)
	pool.Ensure(taxi, []probe.Target{target("gone", gone.Address()), target("stays", stays.Address())}, brisk)
	await(t, pool, "gone", "Serving", inState(v1alpha1.ServerServing))
	await(t, pool, "stays", "Serving", inState(v1alpha1.ServerServing))

	pool.Ensure(taxi, []probe.Target{target("stays", stays.Address())}, brisk)
	if _, ok := pool.Results(taxi)["gone"]; ok {
		t.Error("the result of a server that is gone is still there")
	}
	// One call may have been under way.
	limit := gone.Calls() + 1
	for before := stays.Calls(); stays.Calls() < before+5; {
		time.Sleep(brisk.Interval)
	}
	if n := gone.Calls(); n > limit {
		t.Errorf("a server that is gone was called %d times more", n-limit)
	}
	pool.Forget(taxi)
	if n := len(pool.Results(taxi)); n != 0 {
		t.Errorf("%d results of a FlightServer that is gone", n)
	}
}

// A new pod of the same name, or one at another address, starts from nothing.
func TestAnotherPodOfTheSameName(t *testing.T) {
	pool, first, second := startPool(t), flighttest.Start(t), flighttest.Start(t)
	first.Answer(flightruntime.Health{Status: flightruntime.Serving, Version: "first"})
	second.Answer(flightruntime.Health{Status: flightruntime.Serving, Version: "second"})
	pool.Ensure(taxi, []probe.Target{target("a", first.Address())}, slow)
	await(t, pool, "a", "first", func(r probe.Result) bool { return r.Health != nil && r.Health.Version == "first" })
	again := target("a", second.Address())
	again.UID = "another"
	pool.Ensure(taxi, []probe.Target{again}, slow)
	if r := pool.Results(taxi)["a"]; r.Health != nil && r.Health.Version == "first" {
		t.Error("the result of an earlier pod was taken over")
	}
	await(t, pool, "a", "second", func(r probe.Result) bool { return r.Health != nil && r.Health.Version == "second" })
}

// A server that hangs must hold up neither the pool's end nor a caller.
func TestEndLeavesNothingBehind(t *testing.T) {
	var servers []*flighttest.Server
	for range 10 {
		s := flighttest.Start(t)
		s.Hang()
		servers = append(servers, s)
	}
	before := goroutines()
	pool := probe.NewPool(nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Start(ctx) }()
	var targets []probe.Target
	for i, s := range servers {
		targets = append(targets, target(fmt.Sprint(i), s.Address()))
	}
	settings := slow
	settings.Timeout = time.Minute
	pool.Ensure(taxi, targets, settings)
	for _, s := range servers {
		for s.Calls() == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the pool does not end")
	}
	pool.Ensure(taxi, targets, settings)
	if n := len(pool.Results(taxi)); n != 0 {
		t.Errorf("a pool that has ended probes %d servers", n)
	}
	deadline := time.Now().Add(patience)
	for {
		left := goroutines()
		if !strings.Contains(left, "controllers/probe.(*") && !strings.Contains(left, "grpc.(*ClientConn)") && !strings.Contains(left, "transport.NewHTTP2Client") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines are left behind:\n%s\nbefore:\n%s", left, before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// goroutines are the stacks of all of them.
func goroutines() string {
	buffer := make([]byte, 1<<22)
	return string(buffer[:runtime.Stack(buffer, true)])
}
