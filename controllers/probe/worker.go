package probe

import (
	"context"
	"crypto/tls"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/internal/text"
)

const (
	// hurryInterval is the time between probes while a change is awaited: an edit is seen to be served within a fifth of a second.
	hurryInterval = 200 * time.Millisecond
	// hurryFor is how long that goes on. A kubelet that is told takes well under a second; what takes longer is seldom a matter of moments.
	hurryFor = 10 * time.Second
	// hurrySlowdown stretches the time between probes after that, until it is the interval again.
	hurrySlowdown = 1.5
	// jitter is the part of the interval by which probes spread, so that those of many servers do not fall together.
	jitter = 0.1
	// connectionBuffer is the size of a connection's buffers. An answer has a few KiB, and thousands of connections are kept.
	connectionBuffer = 4 << 10
	// maxDatasets is as many as a FlightServer can name; of an answer, no more is kept.
	maxDatasets = 1000
	// maxWord bounds versions, hashes, fingerprints and states in bytes. Ours have 64 at most.
	maxWord = 128
	// maxAnswer is room for the largest number of datasets with a long message each.
	maxAnswer = 16 << 20
)

// worker probes one server. All but client and the channels are guarded by the pool's lock.
type worker struct {
	key      types.NamespacedName
	target   Target
	settings Settings
	result   Result
	// hurry is since when a change is awaited, zero while none is; pace is the time between two probes once hurryFor has gone by.
	hurry time.Time
	pace  time.Duration

	stop context.CancelFunc
	// kick asks for a probe at once.
	kick chan struct{}
	// handshakes watches what the server presents, by the configuration tls, which is nil for plain text.
	handshakes handshakes
	tls        *tls.Config
	// client is the connection, nil when there is none, and connected when it was made; both belong to the worker's goroutine.
	client    *flightruntime.Client
	connected time.Time
}

// update takes over what may change of a server that is probed already. The pool is locked.
func (w *worker) update(t Target, settings Settings) {
	becameReady := t.Ready && !w.target.Ready
	if becameReady && !w.result.Answers() {
		// That a server was not there before it was ready says nothing of it now.
		w.result.State, w.result.Failures, w.result.Reason, w.result.Message = v1alpha1.ServerPending, 0, "", ""
	}
	changed := settings != w.settings
	w.target, w.settings = t, settings
	if !becameReady && !changed {
		return
	}
	w.hurry, w.pace = time.Now(), 0
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// next is the time from a probe's end to the next one. The pool is locked.
func (w *worker) next(now time.Time) time.Duration {
	interval := w.settings.Interval
	if settled(w.result, w.target.Ready, w.settings.Wanted) {
		w.hurry, w.pace = time.Time{}, 0
		return time.Duration(float64(interval) * (1 - jitter + 2*jitter*rand.Float64()))
	}
	if w.hurry.IsZero() {
		w.hurry = now
	}
	if now.Sub(w.hurry) < hurryFor {
		return min(hurryInterval, interval)
	}
	w.pace = min(time.Duration(float64(max(w.pace, hurryInterval))*hurrySlowdown), interval)
	return w.pace
}

// run probes a server until ctx ends.
func (p *Pool) run(ctx context.Context, w *worker) {
	defer w.disconnect()
	for {
		p.mu.Lock()
		settings, address := w.settings, w.target.Address
		p.mu.Unlock()

		next, more := p.record(ctx, w, w.probe(ctx, address, settings))
		if !more {
			return
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-w.kick:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// probe asks once.
func (w *worker) probe(ctx context.Context, address string, settings Settings) outcome {
	ctx, cancel := context.WithTimeout(ctx, settings.Timeout)
	defer cancel()
	o := outcome{begun: time.Now()}
	if w.isStale(o.begun, settings.Wanted.Fingerprint) {
		w.disconnect()
	}
	health, err := w.ask(ctx, address, settings.Tokens)
	o.took = time.Since(o.begun)
	if err != nil {
		// The next probe connects anew: a connection that failed would go on redialing by itself, and answer with its last error.
		w.disconnect()
		o.reason, o.message = classify(err, address, w.tls != nil, settings.Timeout)
		o.message = text.Cut(o.message, v1alpha1.MaxStatusMessage)
		return o
	}
	o.health, o.leaf = health, w.handshakes.leaf()
	return o
}

// isStale tells whether a connection is too old, or of the wrong certificate, to say what the server presents to new ones.
func (w *worker) isStale(now time.Time, wanted string) bool {
	if w.tls == nil || w.client == nil {
		return false
	}
	leaf := w.handshakes.leaf()
	return now.Sub(w.connected) >= handshakeEvery || leaf == nil || wanted != "" && leaf.Fingerprint != wanted
}

func (w *worker) ask(ctx context.Context, address string, tokens *flightruntime.OperatorTokens) (*flightruntime.Health, error) {
	if w.client == nil {
		// Pods are called directly, whatever proxy the operator's environment names.
		scheme := "grpc://"
		if w.tls != nil {
			scheme = "grpc+tls://"
		}
		client, err := flightruntime.Connect(scheme+address, flightruntime.ClientOptions{TLS: w.tls, MaxMessageBytes: maxAnswer, Dial: []grpc.DialOption{
			grpc.WithNoProxy(),
			grpc.WithReadBufferSize(connectionBuffer),
			grpc.WithWriteBufferSize(connectionBuffer),
			grpc.WithDisableServiceConfig(),
			grpc.WithUserAgent("flight-operator"),
		}})
		if err != nil {
			return nil, err
		}
		w.client, w.connected = client, time.Now()
	}
	var options []flightruntime.CallOption
	if tokens != nil && w.tls == nil {
		token, err := tokens.Show()
		if err != nil {
			return nil, err
		}
		options = append(options, token)
	}
	health, err := w.client.HealthCheck(ctx, options...)
	if err != nil {
		return nil, err
	}
	return bounded(health), nil
}

// bounded cuts an answer to what a status holds, whatever it is that answered: it is kept until the next one.
func bounded(h *flightruntime.Health) *flightruntime.Health {
	h.Version, h.ConfigHash = text.Cut(h.Version, maxWord), text.Cut(h.ConfigHash, maxWord)
	h.ConfigError = text.Cut(h.ConfigError, v1alpha1.MaxStatusMessage)
	h.ActiveStreams = counted(h.ActiveStreams)
	if a := h.Auth; a != nil {
		a.Digest, a.Message = text.Cut(a.Digest, maxWord), text.Cut(a.Message, v1alpha1.MaxStatusMessage)
	}
	if c := h.Certificate; c != nil {
		c.Fingerprint, c.Digest, c.ClientCADigest = text.Cut(c.Fingerprint, maxWord), text.Cut(c.Digest, maxWord), text.Cut(c.ClientCADigest, maxWord)
		c.Reason, c.Message = text.Cut(c.Reason, maxWord), text.Cut(c.Message, v1alpha1.MaxStatusMessage)
		c.NotAfter = c.NotAfter.UTC() // one instant is one value
	}
	h.Datasets = slices.Clone(h.Datasets[:min(len(h.Datasets), maxDatasets)])
	for i := range h.Datasets {
		d := &h.Datasets[i]
		d.Files = counted(d.Files)
		d.State = flightruntime.DatasetState(text.Cut(string(d.State), maxWord))
		d.SchemaFingerprint = text.Cut(d.SchemaFingerprint, maxWord)
		d.Message = text.Cut(d.Message, v1alpha1.MaxStatusMessage)
	}
	return h
}

// counted is a count as a status holds it.
func counted(n int) int { return min(max(n, 0), math.MaxInt32) }

func (w *worker) disconnect() {
	if w.client == nil {
		return
	}
	// Closing reports only that it was closed before.
	_ = w.client.Close()
	w.client = nil
}
