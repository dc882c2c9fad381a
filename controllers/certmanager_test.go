package controllers

import (
	"errors"
	"testing"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// addingManager is a manager that counts what it is to run. It is not started.
type addingManager struct {
	ctrl.Manager

	added int
}

func (m *addingManager) Add(r manager.Runnable) error {
	m.added++
	return m.Manager.Add(r)
}

func (m *addingManager) GetRESTMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(cmv1.SchemeGroupVersion.WithKind(cmv1.CertificateKind), meta.RESTScopeNamespace)
	mapper.Add(v1alpha1.GroupVersion.WithKind(v1alpha1.Kind), meta.RESTScopeNamespace)
	return mapper
}

// refusingController watches nothing as long as it refuses to.
type refusingController struct {
	controller.Controller

	refuses error
}

func (c *refusingController) Watch(s source.TypedSource[reconcile.Request]) error {
	if c.refuses != nil {
		return c.refuses
	}
	return c.Controller.Watch(s)
}

// What cannot be watched is tried again, and each try is of the one cache that runs.
func TestTheCacheOfCertificatesIsMadeOnce(t *testing.T) {
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	made, err := ctrl.NewManager(&rest.Config{Host: "127.0.0.1:1"}, ctrl.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	unstarted, err := controller.NewUnmanaged("certificates", controller.Options{Reconciler: &FlightServerReconciler{}})
	if err != nil {
		t.Fatal(err)
	}
	mgr, watcher := &addingManager{Manager: made}, &refusingController{Controller: unstarted, refuses: errors.New("not now")}
	c := &certManager{mgr: mgr, controller: watcher}
	for range 3 {
		if err := c.start(t.Context()); !errors.Is(err, watcher.refuses) {
			t.Fatal(err)
		}
		if c.started() != nil {
			t.Error("what wakes nobody is read from")
		}
	}
	watcher.refuses = nil
	if err := c.start(t.Context()); err != nil || c.cache == nil {
		t.Errorf("it is not tried again: %v", err)
	}
	if mgr.added != 1 {
		t.Errorf("the manager runs %d caches, want 1", mgr.added)
	}
}
