package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"

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

	mu    sync.Mutex
	cache cache.Cache
}

// errNoCertManager means that the API server does not know cert-manager's Certificates.
var errNoCertManager = errors.New("the cluster does not know cert-manager's Certificates")

// reader gives the cache of Certificates, or errNoCertManager.
func (c *certManager) reader(ctx context.Context) (client.Reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cache == nil {
		if err := c.start(ctx); err != nil {
			return nil, err
		}
	}
	if !c.cache.WaitForCacheSync(ctx) {
		return nil, errors.New("the cache of Certificates was not filled in time")
	}
	return c.cache, nil
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
	if _, err := made.GetInformer(ctx, &cmv1.Certificate{}, cache.BlockUntilSynced(false)); err != nil {
		return fmt.Errorf("watch Certificates: %w", err)
	}
	if err := c.mgr.Add(made); err != nil {
		return fmt.Errorf("start the cache of Certificates: %w", err)
	}
	owner := handler.TypedEnqueueRequestForOwner[*cmv1.Certificate](c.mgr.GetScheme(), c.mgr.GetRESTMapper(), &v1alpha1.FlightServer{}, handler.OnlyControllerOwner())
	if err := c.controller.Watch(source.Kind(made, &cmv1.Certificate{}, owner)); err != nil {
		return fmt.Errorf("watch Certificates: %w", err)
	}
	c.cache = made
	return nil
}

// started gives the cache of Certificates if there is one already, else nil: then the operator has asked for none since it started.
func (c *certManager) started() client.Reader {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cache == nil {
		return nil
	}
	return c.cache
}
