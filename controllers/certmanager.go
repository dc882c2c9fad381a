package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// certManager holds the operator's Certificates. cert-manager may be installed after the operator, or never: the cache of its objects is made
// when the first of them is needed and the API server knows them.
type certManager struct {
	mgr        ctrl.Manager
	controller controller.Controller
	namespaces map[string]cache.Config

	mu sync.Mutex
	// made is the cache that the manager runs, and cache the same once it also wakes FlightServers.
	made, cache cache.Cache
	// filled tells whether the cache holds the Certificates that there were when it was made.
	filled func() bool
	// patience is until when a reconciliation waits for that.
	patience time.Time
}

// fillTime is how long the cache of Certificates is waited for, once: listing takes a moment. What takes longer, a missing permission for instance,
// must not hold the workers that all FlightServers share.
const fillTime = 5 * time.Second

// errNoCertManager means that the API server does not know cert-manager's Certificates.
var errNoCertManager = errors.New("the cluster does not know cert-manager's Certificates")

// errNotFilled means that the Certificates could not be listed yet.
var errNotFilled = errors.New("cert-manager's Certificates could not be listed yet: check that the operator may list and watch them, and that the API server serves them")

// reader gives the cache of Certificates, or errNoCertManager.
func (c *certManager) reader(ctx context.Context) (client.Reader, error) {
	c.mu.Lock()
	if c.cache == nil {
		if err := c.start(ctx); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	reader, filled, patience := c.cache, c.filled, c.patience
	c.mu.Unlock()
	return reader, awaitFilled(ctx, filled, patience)
}

// awaitFilled waits until a cache is filled, or patience is over.
func awaitFilled(ctx context.Context, filled func() bool, patience time.Time) error {
	for !filled() {
		if !time.Now().Before(patience) {
			return errNotFilled
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(fillTime / 100):
		}
	}
	return nil
}

// start makes the cache, and has it wake the FlightServers whose Certificates change. c is locked.
func (c *certManager) start(ctx context.Context) error {
	kind := cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind)
	if _, err := c.mgr.GetRESTMapper().RESTMapping(kind.GroupKind(), kind.Version); err != nil {
		if meta.IsNoMatchError(err) {
			return errNoCertManager
		}
		return fmt.Errorf("ask for cert-manager's Certificates: %w", err)
	}
	if c.made == nil {
		if err := c.make(ctx); err != nil {
			return err
		}
	}
	owner := handler.TypedEnqueueRequestForOwner[*cmv1.Certificate](c.mgr.GetScheme(), c.mgr.GetRESTMapper(), &v1alpha1.FlightServer{}, handler.OnlyControllerOwner())
	if err := c.controller.Watch(source.Kind(c.made, &cmv1.Certificate{}, owner)); err != nil {
		return fmt.Errorf("watch Certificates: %w", err)
	}
	c.cache, c.patience = c.made, time.Now().Add(fillTime)
	return nil
}

// make makes the cache, and has the manager run it until its end: it cannot be taken back. c is locked.
func (c *certManager) make(ctx context.Context) error {
	made, err := cache.New(c.mgr.GetConfig(), cache.Options{
		Scheme:            c.mgr.GetScheme(),
		Mapper:            c.mgr.GetRESTMapper(),
		HTTPClient:        c.mgr.GetHTTPClient(),
		DefaultNamespaces: c.namespaces,
		ByObject: map[client.Object]cache.ByObject{&cmv1.Certificate{}: {
			Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.LabelManagedByValue}),
		}},
	})
	if err != nil {
		return fmt.Errorf("make a cache of Certificates: %w", err)
	}
	informer, err := made.GetInformer(ctx, &cmv1.Certificate{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch Certificates: %w", err)
	}
	if err := c.mgr.Add(made); err != nil {
		return fmt.Errorf("start the cache of Certificates: %w", err)
	}
	c.made, c.filled = made, informer.HasSynced
	return nil
}

// started gives the cache of Certificates if there is one already and it is filled, else nil: then the operator has asked for none since it started.
func (c *certManager) started() client.Reader {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cache == nil || !c.filled() {
		return nil // a read would wait
	}
	return c.cache
}
