package pki

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// world is a cluster with servers that get certificates of the operator's CA, and with clients, in simulated time. The operator, the controller, the
// kubelets and the clients all take their time, and the operator is not always there.
type world struct {
	t      *testing.T
	random *rand.Rand
	policy Policy
	// now is the true time. The operator's clock is behind it by behind.
	now    time.Time
	behind time.Duration

	state   State
	trigger string
	servers []*server
	reports map[types.NamespacedName]report

	verified map[[2]string]error
	checks   int
}

type server struct {
	key    types.NamespacedName
	secret *x509.Certificate
	// served is what its pods present: the last is that of the Secret, as far as the kubelet has brought it.
	served []*x509.Certificate
	// published are the bundles that its clients could fetch, and since when.
	published []publication
}

type publication struct {
	since  time.Time
	bundle []byte
}

func (w *world) clock() time.Time { return w.now.Add(-w.behind) }

// authority is what the Authority does.
func (w *world) authority() {
	var keys []types.NamespacedName
	for _, s := range w.servers {
		keys = append(keys, s.key)
	}
	seen := seen(keys, w.reports, certs.Digest(w.state.Bundle()))
	seen.Trigger = w.trigger
	w.state, _, _ = advance(w.t, restart(w.t, w.state), seen, w.clock(), w.policy)
}

// controller publishes, issues and reports for one server.
func (w *world) controller(s *server) {
	bundle := w.state.Bundle()
	if n := len(s.published); n == 0 || !bytes.Equal(s.published[n-1].bundle, bundle) {
		s.published = append(s.published, publication{w.now, bundle})
	}
	if s.secret == nil {
		s.secret = issueLeaf(w.t, w.state.Active, taxi, w.clock())
		s.served = []*x509.Certificate{s.secret}
	} else if _, due := Due(s.secret, w.state.Active, taxi, w.clock(), s.key.Name); due {
		s.secret = issueLeaf(w.t, w.state.Active, taxi, w.clock())
	}
	r := report{bundle: certs.Digest(bundle), issuers: []string{IssuerID(s.secret)}}
	for _, leaf := range s.served {
		r.issuers = append(r.issuers, IssuerID(leaf))
	}
	w.reports[s.key] = r
}

// kubelet brings the Secret to one or both of a server's two pods.
func (w *world) kubelet(s *server) {
	if w.random.IntN(2) == 0 && len(s.served) == 1 && s.served[0] != s.secret {
		s.served = append(s.served, s.secret)
		return
	}
	s.served = []*x509.Certificate{s.secret}
}

// check lets a client of each bundle that could be fetched within the last Overlap verify each certificate that is served.
func (w *world) check() {
	w.t.Helper()
	for _, s := range w.servers {
		for i := len(s.published) - 1; i >= 0; i-- {
			p := s.published[i]
			for _, leaf := range s.served {
				if err := w.verify(leaf, p.bundle); err != nil {
					w.t.Fatalf("at %s, with a bundle that could be fetched from %s on: %s presents what %q has issued, and %v",
						w.now, p.since, s.key, leaf.Issuer.CommonName, err)
				}
				w.checks++
			}
			if !p.since.After(w.now.Add(-w.policy.Overlap)) {
				break
			}
		}
	}
}

func (w *world) verify(leaf *x509.Certificate, bundle []byte) error {
	if w.now.Before(leaf.NotBefore) || !w.now.Before(leaf.NotAfter) {
		return fmt.Errorf("it is valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
	}
	key := [2]string{leaf.SerialNumber.String(), certs.Digest(bundle)}
	err, known := w.verified[key]
	if !known {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(bundle)
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "taxi.data.svc", CurrentTime: w.now})
		w.verified[key] = err
	}
	return err
}

// TestNoClientIsLeftOut simulates decades: at each moment, whoever has fetched the bundle within the last Overlap verifies all that is served.
func TestNoClientIsLeftOut(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &world{
				t:        t,
				random:   rand.New(rand.NewPCG(seed, 1)),
				policy:   Policy{Life: year, Overlap: 7 * day},
				now:      start,
				reports:  map[types.NamespacedName]report{},
				verified: map[[2]string]error{},
			}
			w.authority()
			replaced, active := 0, ""
			for w.now.Before(start.Add(20 * year)) {
				w.live(seed)
				if id := w.state.Active.ID(); id != active {
					active = id
					replaced++
				}
			}
			t.Logf("%d CAs, %d servers, %d certificates verified", replaced, len(w.servers), w.checks)
			if replaced < 20 || w.checks < 1000 {
				t.Errorf("%d CAs were active and %d certificates verified in 20 years: that proves nothing", replaced, w.checks)
			}
		})
	}
}

// live lets some time pass, in which each part may act or not.
func (w *world) live(seed uint64) {
	w.now = w.now.Add(time.Duration(w.random.Int64N(int64(day))))
	switch w.random.IntN(200) {
	case 0: // nobody acts for some days, but for the clients
		w.now = w.now.Add(time.Duration(w.random.IntN(20)) * day)
	case 1: // somebody wants another CA, perhaps while one is replaced
		w.trigger = w.now.String()
	case 2: // the operator's clock jumps back
		if seed%2 == 1 {
			w.behind += time.Duration(w.random.Int64N(int64(time.Hour)))
		}
	case 3:
		if len(w.servers) < 3 {
			w.servers = append(w.servers, &server{key: types.NamespacedName{Namespace: "data", Name: fmt.Sprint("taxi-", len(w.servers))}})
			w.controller(w.servers[len(w.servers)-1])
		}
	case 4: // the operator starts anew
		clear(w.reports)
	}
	if w.random.IntN(3) > 0 {
		w.authority()
	}
	for _, s := range w.servers {
		if w.random.IntN(3) == 0 {
			w.controller(s)
		}
		if w.random.IntN(3) == 0 {
			w.kubelet(s)
		}
	}
	w.check()
}
