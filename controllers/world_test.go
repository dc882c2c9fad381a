package controllers_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
)

const (
	runtimeImage = "example.test/flightruntime:v1"
	// patience bounds every wait. It is for machines under load; what is waited for takes well under a second.
	patience = 2 * time.Minute
)

// world is a namespace with an operator, and nodes that run what Deployments ask for.
type world struct {
	t         *testing.T
	ctx       context.Context
	client    client.WithWatch
	namespace string
	nodes     *nodes
	operator  *operator
	// caOverlap is how long CA certificates of before are trusted.
	caOverlap time.Duration
	// rotationOverdue is how long servers may take to present a new certificate; 0 is the operator's default.
	rotationOverdue time.Duration
}

// newWorld makes one, with its operator running.
func newWorld(t *testing.T, edits ...func(*world)) *world {
	t.Helper()
	t.Parallel()
	w := bareWorld(t)
	for _, edit := range edits {
		edit(w)
	}
	w.nodes = startNodes(w)
	w.operator = startOperator(w, runtimeImage)
	return w
}

// bareWorld is a namespace in which nothing runs.
func bareWorld(t *testing.T) *world {
	t.Helper()
	c, err := client.NewWithWatch(apiServer, client.Options{Scheme: scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, ctx: t.Context(), client: c, namespace: ns.Name, caOverlap: time.Hour}
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// operator is a manager as cmd/manager makes it, but for the servers' addresses.
type operator struct {
	// writes are the requests that may change something, reads those of the contents of a ConfigMap.
	writes, reads *atomic.Int64
	// forbidden is a resource that the operator may not read, "" if there is none.
	forbidden *atomic.Value
	stop      func()
}

func startOperator(w *world, image string) *operator {
	w.t.Helper()
	o := &operator{writes: &atomic.Int64{}, reads: &atomic.Int64{}, forbidden: &atomic.Value{}}
	o.forbidden.Store("")
	cfg := rest.CopyConfig(apiServer)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return &requestCounter{next: next, operator: o} })
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:     scheme(w.t),
		Cache:      controllers.CacheOptions([]string{w.namespace}),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	authority, err := pki.NewAuthority(pki.Options{
		Client: mgr.GetClient(), Reader: mgr.GetAPIReader(), Namespace: w.namespace, Policy: pki.Policy{Life: pki.DefaultPolicy.Life, Overlap: w.caOverlap},
		Servers: controllers.ServersWithTLS(mgr.GetClient()), Interval: 50 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	identity := pki.NewIdentity(authority)
	pool := probe.NewPool(func() (*tls.Certificate, error) { return identity.GetClientCertificate(nil) })
	reconciler := &controllers.FlightServerReconciler{
		RuntimeImage:            image,
		Prober:                  pool,
		Authority:               authority,
		Namespaces:              controllers.CacheNamespaces([]string{w.namespace}),
		ClusterDomain:           "cluster.local",
		CAOverlap:               w.caOverlap,
		MaxConcurrentReconciles: 4,
		RotationOverdue:         w.rotationOverdue,
		ServerAddress:           serverAddress,
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := errors.Join(mgr.Add(authority), mgr.Add(pool), reconciler.SetupWithManager(ctx, mgr)); err != nil {
		cancel()
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stopped := false
	o.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			w.t.Error("the operator ended with:", err)
		}
	}
	w.t.Cleanup(o.stop)
	return o
}

// requestCounter counts an operator's requests.
type requestCounter struct {
	next     http.RoundTripper
	operator *operator
}

func (c *requestCounter) RoundTrip(request *http.Request) (*http.Response, error) {
	if resource, _ := c.operator.forbidden.Load().(string); resource != "" && strings.HasSuffix(request.URL.Path, "/"+resource) {
		recorder := httptest.NewRecorder()
		recorder.WriteHeader(http.StatusForbidden)
		return recorder.Result(), nil
	}
	switch {
	case request.Method != http.MethodGet:
		c.operator.writes.Add(1)
	case strings.Contains(request.URL.Path, "/configmaps/"):
		c.operator.reads.Add(1)
	}
	return c.next.RoundTrip(request)
}

func (w *world) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: w.namespace, Name: name}
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.client.Create(w.ctx, o); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) delete(o client.Object) {
	w.t.Helper()
	if err := w.client.Delete(w.ctx, o); err != nil {
		w.t.Fatal(err)
	}
}

// get reads an object into o, which names it.
func (w *world) get(o client.Object) error {
	return w.client.Get(w.ctx, client.ObjectKeyFromObject(o), o)
}

// change edits an object as somebody else would, with another field owner than the operator's.
func change[T client.Object](w *world, o T, edit func(T)) {
	w.t.Helper()
	w.eventually("change "+o.GetName(), func() error {
		if err := w.get(o); err != nil {
			return err
		}
		edit(o)
		return w.client.Update(w.ctx, o, client.FieldOwner("somebody"))
	})
}

// eventually tries until there is no error.
func (w *world) eventually(what string, try func() error) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: still %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// flightServer is as a user would write it.
func (w *world) flightServer(name string, edits ...func(*v1alpha1.FlightServer)) *v1alpha1.FlightServer {
	fs := &v1alpha1.FlightServer{
		ObjectMeta: w.meta(name),
		Spec:       v1alpha1.FlightServerSpec{Datasets: []v1alpha1.Dataset{inline("words", "a,b\n1,2\n")}},
	}
	for _, edit := range edits {
		edit(fs)
	}
	return fs
}

func inline(name, data string) v1alpha1.Dataset {
	return v1alpha1.Dataset{Name: name, Format: v1alpha1.FormatCSV, Source: v1alpha1.DatasetSource{Inline: &v1alpha1.InlineSource{Data: data}}}
}

func replicas(n int32) func(*v1alpha1.FlightServer) {
	return func(fs *v1alpha1.FlightServer) { fs.Spec.Replicas = &n }
}

func datasets(d ...v1alpha1.Dataset) func(*v1alpha1.FlightServer) {
	return func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets = d }
}

// awaitCondition waits until a condition of a FlightServer has a status and a reason, for its current generation, and gives the
// FlightServer as it was then. At each look kstatus has to agree with the Ready condition.
func (w *world) awaitCondition(name, condition string, want metav1.ConditionStatus, reason string) *v1alpha1.FlightServer {
	w.t.Helper()
	fs := &v1alpha1.FlightServer{ObjectMeta: w.meta(name)}
	w.eventually(fmt.Sprintf("%s to be %s=%s for %s", name, condition, want, reason), func() error {
		fs = &v1alpha1.FlightServer{ObjectMeta: w.meta(name)}
		if err := w.get(fs); err != nil {
			return err
		}
		w.checkKstatus(name)
		c := meta.FindStatusCondition(fs.Status.Conditions, condition)
		switch {
		case fs.Status.ObservedGeneration != fs.Generation:
			return fmt.Errorf("generation %d observed, expected %d", fs.Status.ObservedGeneration, fs.Generation)
		case c == nil:
			return fmt.Errorf("without that condition: %+v", fs.Status.Conditions)
		case c.Status != want || c.Reason != reason:
			return fmt.Errorf("%s for %s: %s", c.Status, c.Reason, c.Message)
		}
		return nil
	})
	return fs
}

func (w *world) awaitReady(name string) *v1alpha1.FlightServer {
	w.t.Helper()
	return w.awaitCondition(name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// checkKstatus holds the FlightServer against what tools like Flux make of it.
func (w *world) checkKstatus(name string) {
	w.t.Helper()
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.Kind))
	if err := w.client.Get(w.ctx, w.key(name), u); err != nil {
		w.t.Fatal(err)
	}
	computed, err := status.Compute(u)
	if err != nil {
		w.t.Fatal(err)
	}
	var fs v1alpha1.FlightServer
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &fs); err != nil {
		w.t.Fatal(err)
	}
	want := status.InProgressStatus
	switch {
	case fs.Status.ObservedGeneration != fs.Generation:
	case meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionStalled):
		want = status.FailedStatus
	case meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionReady):
		want = status.CurrentStatus
	}
	if computed.Status != want {
		w.t.Errorf("kstatus says %s, expected %s for %+v", computed.Status, want, fs.Status)
	}
}
