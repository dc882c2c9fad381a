package controllers_test

import (
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// caWorld is a namespace with the operator's CA, and a clock.
type caWorld struct {
	*world
	now     time.Time
	servers []types.NamespacedName
}

const day = 24 * time.Hour

var caPolicy = pki.Policy{Life: 300 * day, Overlap: 10 * day}

func newCAWorld(t *testing.T) *caWorld {
	t.Helper()
	t.Parallel()
	return &caWorld{world: bareWorld(t), now: time.Now()}
}

// authority is one as a new process has it.
func (w *caWorld) authority(edits ...func(*pki.Options)) *pki.Authority {
	w.t.Helper()
	o := pki.Options{
		Client:    w.client,
		Reader:    w.client,
		Namespace: w.namespace,
		Policy:    caPolicy,
		Servers:   func(context.Context) ([]types.NamespacedName, error) { return w.servers, nil },
		Now:       func() time.Time { return w.now },
	}
	for _, edit := range edits {
		edit(&o)
	}
	a, err := pki.NewAuthority(o)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *caWorld) sync(a *pki.Authority) pki.Snapshot {
	w.t.Helper()
	if _, err := a.Sync(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	return w.snapshot(a)
}

func (w *caWorld) snapshot(a *pki.Authority) pki.Snapshot {
	w.t.Helper()
	s, err := a.Snapshot()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *caWorld) secret() *corev1.Secret {
	w.t.Helper()
	s := &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	if err := w.get(s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// trusted is how many CAs a bundle has.
func trusted(s pki.Snapshot) int { return strings.Count(string(s.Bundle), "BEGIN CERTIFICATE") }

// changed tells whether an authority has told of a change since it was last asked.
func changed(a *pki.Authority) bool {
	select {
	case <-a.Changed():
		return true
	default:
		return false
	}
}

func TestAuthorityManyAtOnceMakeOneCA(t *testing.T) {
	w := newCAWorld(t)
	authorities := make([]*pki.Authority, 8)
	var wg sync.WaitGroup
	for i := range authorities {
		authorities[i] = w.authority()
		wg.Go(func() {
			if _, err := authorities[i].Sync(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := w.secret()
	for _, a := range authorities {
		s := w.snapshot(a)
		if diff := cmp.Diff(string(want.Data[pki.KeyBundle]), string(s.Bundle)); diff != "" || trusted(s) != 1 {
			t.Error(diff)
		}
	}
	if want.Type != corev1.SecretTypeTLS || want.Labels[v1alpha1.LabelManagedBy] != v1alpha1.LabelManagedByValue {
		t.Errorf("the Secret is of type %s and has labels %v", want.Type, want.Labels)
	}
}

func TestAuthorityReplacesItsCA(t *testing.T) {
	w := newCAWorld(t)
	taxi := types.NamespacedName{Namespace: "data", Name: "taxi"}
	w.servers = []types.NamespacedName{taxi}
	a := w.authority()
	first := w.sync(a)
	if !changed(a) {
		t.Error("nobody is told of the first CA")
	}
	leaf := issued(t, first, w.now)
	before := w.secret().ResourceVersion

	w.now = w.now.Add(day)
	w.sync(a)
	if after := w.secret().ResourceVersion; changed(a) || after != before {
		t.Errorf("nothing is due, but the Secret went from version %s to %s", before, after)
	}

	w.now = w.now.Add(200 * day)
	announced := w.sync(a)
	if !changed(a) || trusted(announced) != 2 || announced.Active.ID() != first.Active.ID() {
		t.Fatalf("%d trusted, %s issues, want a second one to be trusted, and %s to issue", trusted(announced), announced.Active, first.Active)
	}
	// Before the controller has told that the bundle is out, the overlap does not begin.
	w.now = w.now.Add(11 * day)
	if s := w.sync(a); s.Digest != announced.Digest || s.Active.ID() != first.Active.ID() {
		t.Fatalf("%s issues before anybody knows it", s.Active)
	}
	a.Report(taxi, pki.Report{Bundle: announced.Digest, Leaves: []*x509.Certificate{leaf}})
	w.sync(a)

	// Another process goes on.
	a = w.authority()
	w.now = w.now.Add(10 * day)
	second := w.sync(a)
	if !changed(a) || trusted(second) != 2 || second.Active.ID() == first.Active.ID() {
		t.Fatalf("%d trusted, %s issues, want both to be trusted, and the second to issue", trusted(second), second.Active)
	}
	if diff := cmp.Diff(string(second.Bundle), string(w.secret().Data[pki.KeyBundle])); diff != "" {
		t.Error(diff)
	}

	// The old one stays as long as it is served, or as nobody knows.
	w.now = w.now.Add(11 * day)
	if s := w.sync(a); trusted(s) != 2 {
		t.Fatal("the old CA is dropped, and nobody has told what is served")
	}
	a.Report(taxi, pki.Report{Bundle: second.Digest, Leaves: []*x509.Certificate{leaf, issued(t, second, w.now)}})
	if s := w.sync(a); trusted(s) != 2 {
		t.Fatal("the old CA is dropped, and a certificate of it is served")
	}
	a.Report(taxi, pki.Report{Bundle: second.Digest, Leaves: []*x509.Certificate{issued(t, second, w.now)}})
	if s := w.sync(a); !changed(a) || trusted(s) != 1 || s.Active.ID() != second.Active.ID() {
		t.Fatalf("%d trusted, %s issues, want the second one alone", trusted(s), s.Active)
	}
}

// issued is a server's certificate.
func issued(t *testing.T, s pki.Snapshot, now time.Time) *x509.Certificate {
	t.Helper()
	certPEM, _, err := pki.Issue(s.Active, pki.Request{DNSNames: []string{"taxi"}, Usage: pki.UsageServer, Lifetime: 90 * day}, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := certs.ParseBundle(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	return leaf[0]
}

func TestAuthorityActsOnTheAnnotation(t *testing.T) {
	w := newCAWorld(t)
	a := w.authority()
	first := w.sync(a)
	change(w.world, &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}, func(s *corev1.Secret) {
		s.Annotations = map[string]string{pki.AnnotationRotate: "leaked"}
		s.Data["notes.txt"] = []byte("ours")
	})
	for range 2 {
		if s := w.sync(a); trusted(s) != 2 || s.Active.ID() != first.Active.ID() {
			t.Fatalf("%d trusted, %s issues", trusted(s), s.Active)
		}
	}
	for range 3 {
		w.now = w.now.Add(10*day + time.Minute)
		w.sync(a)
	}
	if s := w.snapshot(a); trusted(s) != 1 || s.Active.ID() == first.Active.ID() {
		t.Errorf("%d trusted, %s issues, want one that is not %s", trusted(s), s.Active, first.Active)
	}
	s := w.secret()
	if string(s.Data["notes.txt"]) != "ours" || s.Annotations[pki.AnnotationRotate] != "leaked" {
		t.Errorf("what others wrote is gone: %v", s.Annotations)
	}
	if _, there := s.Data["next.key"]; there {
		t.Error("the key of a next CA is left over")
	}
}

// interfering is a reader after which somebody else is faster.
type interfering struct {
	client.Reader
	once sync.Once
	act  func()
}

func (r *interfering) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, o, opts...)
	r.once.Do(r.act)
	return err
}

func TestAuthorityLosesNoWriteOfOthers(t *testing.T) {
	w := newCAWorld(t)
	first := w.sync(w.authority())
	w.now = w.now.Add(200 * day)
	var others pki.Snapshot
	reader := &interfering{Reader: w.client, act: func() { others = w.sync(w.authority()) }}
	a := w.authority(func(o *pki.Options) { o.Reader = reader })
	if s := w.sync(a); s.Digest != others.Digest || s.Digest == first.Digest {
		t.Errorf("two managers announce two CAs:\n%s%s", s.Bundle, others.Bundle)
	}
}

func TestAuthorityLeavesADamagedSecretAlone(t *testing.T) {
	w := newCAWorld(t)
	a := w.authority()
	first := w.sync(a)
	good := w.secret()
	secret := &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}
	change(w.world, secret, func(s *corev1.Secret) { s.Data["tls.key"] = []byte("oops") })
	damaged := w.secret()

	w.now = w.now.Add(200 * day)
	for name, a := range map[string]*pki.Authority{"the same": a, "another": w.authority()} {
		_, err := a.Sync(w.ctx)
		if err == nil || !strings.Contains(err.Error(), w.namespace+"/flight-operator-ca is damaged: tls.crt and tls.key") || !strings.Contains(err.Error(), "backup") {
			t.Errorf("%s process: %v, want an error that says what to do", name, err)
		}
		if !errors.Is(a.Problem(), err) {
			t.Errorf("%s process: the problem is %v, want %v", name, a.Problem(), err)
		}
	}
	if diff := cmp.Diff(damaged, w.secret()); diff != "" {
		t.Error("it is written:", diff)
	}
	if s := w.snapshot(a); s.Digest != first.Digest {
		t.Error("what was loaded does not go on")
	}
	fresh := w.authority()
	if _, err := fresh.Sync(w.ctx); err == nil {
		t.Error("a new process takes it")
	}
	if _, err := fresh.Snapshot(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a new process has a CA, or says %v", err)
	}

	change(w.world, secret, func(s *corev1.Secret) { s.Data = maps.Clone(good.Data) })
	if s := w.sync(fresh); s.Active.ID() != first.Active.ID() || fresh.Problem() != nil {
		t.Errorf("it is mended, but %s issues, and the problem is %v", s.Active, fresh.Problem())
	}
}

func TestAuthorityWritesADeletedSecretBack(t *testing.T) {
	w := newCAWorld(t)
	a := w.authority()
	first := w.sync(a)
	data := w.secret().Data
	w.delete(&corev1.Secret{ObjectMeta: w.meta(pki.SecretName)})
	if s := w.sync(a); s.Digest != first.Digest {
		t.Errorf("%s issues, want %s", s.Active, first.Active)
	}
	if diff := cmp.Diff(data, w.secret().Data); diff != "" {
		t.Error(diff)
	}
	w.delete(&corev1.Secret{ObjectMeta: w.meta(pki.SecretName)})
	if s := w.sync(w.authority()); s.Active.ID() == first.Active.ID() {
		t.Error("a process that did not know it has brought it back")
	}
}

// TestAuthorityInAManager runs it as cmd/manager does, with the operator's cache.
func TestAuthorityInAManager(t *testing.T) {
	w := newCAWorld(t)
	mgr, err := ctrl.NewManager(apiServer, ctrl.Options{
		Scheme:     scheme(t),
		Cache:      controllers.CacheOptions([]string{w.namespace}),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := w.authority(func(o *pki.Options) {
		o.Client, o.Reader, o.Now, o.Interval = mgr.GetClient(), mgr.GetAPIReader(), nil, 20*time.Millisecond
	})
	identity := pki.NewIdentity(a)
	if _, err := identity.GetClientCertificate(nil); err == nil || !strings.Contains(err.Error(), "not loaded yet") {
		t.Errorf("before it runs: %v", err)
	}
	if err := mgr.Add(a); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	<-a.Changed()
	first := w.snapshot(a)
	c, err := identity.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Leaf.CheckSignatureFrom(first.Active.Certificate); err != nil {
		t.Error(err)
	}
	change(w.world, &corev1.Secret{ObjectMeta: w.meta(pki.SecretName)}, func(s *corev1.Secret) {
		s.Annotations = map[string]string{pki.AnnotationRotate: "now"}
	})
	<-a.Changed()
	if s := w.snapshot(a); trusted(s) != 2 {
		t.Errorf("%d trusted, want 2", trusted(s))
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAuthorityRefusesOptions(t *testing.T) {
	for _, c := range []struct {
		o    pki.Options
		want string
	}{
		{pki.Options{Namespace: "ns", Policy: pki.Policy{Life: 10 * day, Overlap: 2 * day}}, "at most a tenth of its life, got 48h0m0s of 240h0m0s"},
		{pki.Options{Namespace: "ns", Policy: pki.Policy{Life: 10 * day}}, "more than 0"},
		{pki.Options{}, "namespace"},
	} {
		if _, err := pki.NewAuthority(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want an error with %q", err, c.want)
		}
	}
}
