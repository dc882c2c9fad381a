// Package controllers brings clusters to what FlightServers specify. flightserver_controller.go wires the controller up,
// flightserver_phases.go does, flightserver_status.go tells. What to do is decided in package desired, what to tell in package status.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// +kubebuilder:rbac:groups=flightoperator.dev,resources=flightservers,verbs=get;list;watch
// +kubebuilder:rbac:groups=flightoperator.dev,resources=flightservers/status,verbs=patch
// +kubebuilder:rbac:groups=flightoperator.dev,resources=flightservers/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=services;configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=cert-manager.io,resources=certificates,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Indexes of the cache.
const (
	indexConfigMap = "spec.configMap.name"
	indexClaim     = "spec.datasets.source.volume.claimName"
	indexInstance  = "metadata.labels.instance"
)

// Prober is the pool of probes, as the controller uses it. None of its methods waits for a server.
type Prober interface {
	// Ensure makes the servers that are probed for a FlightServer exactly these.
	Ensure(key types.NamespacedName, targets []probe.Target, settings probe.Settings)
	// Forget ends the probes of a FlightServer.
	Forget(key types.NamespacedName)
	// Results are those of each server by the name of its pod.
	Results(key types.NamespacedName) map[string]probe.Result
	// Events tells which FlightServers have new results.
	Events() <-chan event.TypedGenericEvent[types.NamespacedName]
}

// FlightServerReconciler brings the cluster to what FlightServers specify.
type FlightServerReconciler struct {
	// RuntimeImage is the image of servers whose FlightServer names none.
	RuntimeImage string
	// Prober probes the servers. It has to be started apart.
	Prober Prober
	// Namespaces are those that the manager's cache watches, nil for all.
	Namespaces map[string]cache.Config
	// MaxConcurrentReconciles is how many FlightServers are worked on at a time.
	MaxConcurrentReconciles int
	// Authority is the operator's own CA. It has to be started apart.
	Authority *pki.Authority
	// ClusterDomain ends the full names of Services, usually cluster.local.
	ClusterDomain string
	// CAOverlap is how long clients trust CA certificates of before beside those of now.
	CAOverlap time.Duration
	// RotationOverdue is how long servers may take to present a new certificate before their FlightServer says so, status.RotationOverdue if it is 0.
	RotationOverdue time.Duration
	// ServerAddress is the host and port of a pod's Flight server, that of the pod's address and v1alpha1.PortFlight if it is nil.
	ServerAddress func(*corev1.Pod) string

	client     client.Client
	live       client.Reader
	events     events.EventRecorder
	references *references
	applier    *applier
	nudger     *nudger
	configMaps *verified
	// signingSecrets are those that are known to hold keys.
	signingSecrets *verified
	operatorKeys   *operatorKeys
	clients        *clientConfigMaps
	materials      *materials
	rotations      *rotations
	certManager    *certManager
	clusterKeys    *clusterKeys
	// known holds the keys of the FlightServers whose servers this operator has probed.
	known sync.Map
}

// SetupWithManager registers the controller and its indexes with a manager, whose cache has to be made with CacheOptions.
func (r *FlightServerReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager) error {
	r.client, r.live = mgr.GetClient(), mgr.GetAPIReader()
	r.events = mgr.GetEventRecorder("flight-operator")
	r.references = newReferences(r.client, r.live)
	r.applier = newApplier(r.client, r.live)
	r.nudger = newNudger(r.client)
	r.configMaps = newVerified()
	r.signingSecrets = newVerified()
	r.operatorKeys = newOperatorKeys()
	r.clients = newClientConfigMaps()
	r.rotations = newRotations()
	metadataClient, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make a client of metadata: %w", err)
	}
	discoveryClient, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make a client of discovery: %w", err)
	}
	r.clusterKeys = &clusterKeys{client: discoveryClient.RESTClient(), now: time.Now}
	secrets := newSecretWatch(metadataClient)
	if err := mgr.Add(secrets); err != nil {
		return err
	}
	r.materials = newMaterials(r.client, r.live, secrets)
	if r.RotationOverdue == 0 {
		r.RotationOverdue = status.RotationOverdue
	}
	if r.ServerAddress == nil {
		r.ServerAddress = serverAddress
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	r.certManager = &certManager{mgr: mgr, namespaces: r.Namespaces}
	r.certManager.controller, err = ctrl.NewControllerManagedBy(mgr).
		Named("flightserver").
		For(&v1alpha1.FlightServer{}).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Owns(&corev1.Secret{}, builder.OnlyMetadata).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(instanceOf)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.EnqueueRequestsFromMapFunc(r.concernedBy(indexConfigMap))).
		WatchesMetadata(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(r.concernedBy(indexClaim))).
		WatchesRawSource(source.Channel(r.Prober.Events(), concerned)).
		WatchesRawSource(source.Channel(secrets.events, concerned)).
		WatchesRawSource(source.Channel(r.Authority.Changed(), handler.TypedFuncs[struct{}, reconcile.Request]{GenericFunc: r.authorityChanged})).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.MaxConcurrentReconciles}).
		Build(r)
	return err
}

// authorityChanged enqueues all FlightServers with TLS: each knows the operator by its CA.
func (r *FlightServerReconciler) authorityChanged(ctx context.Context, _ event.TypedGenericEvent[struct{}], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	servers, err := ServersWithTLS(r.client)(ctx)
	if err != nil {
		log.FromContext(ctx).Error(err, "cannot tell which FlightServers have to be told of a change of the operator's CA")
	}
	for _, key := range servers {
		queue.Add(reconcile.Request{NamespacedName: key})
	}
}

// ServersWithTLS lists the FlightServers that have TLS, from a cache: what pki.Options.Servers is for.
func ServersWithTLS(cache client.Reader) func(context.Context) ([]types.NamespacedName, error) {
	return func(ctx context.Context) ([]types.NamespacedName, error) {
		var list v1alpha1.FlightServerList
		if err := cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list FlightServers: %w", err)
		}
		var keys []types.NamespacedName
		for i := range list.Items {
			if fs := &list.Items[i]; fs.Spec.TLS != nil && fs.DeletionTimestamp.IsZero() {
				keys = append(keys, client.ObjectKeyFromObject(fs))
			}
		}
		return keys, nil
	}
}

// serverAddress is where a server listens in its pod.
func serverAddress(pod *corev1.Pod) string {
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(v1alpha1.PortFlight))
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	names := func(pick func(*v1alpha1.FlightServer) []string) client.IndexerFunc {
		return func(o client.Object) []string {
			fs, ok := o.(*v1alpha1.FlightServer)
			if !ok {
				return nil
			}
			return pick(fs)
		}
	}
	return errors.Join(
		indexer.IndexField(ctx, &v1alpha1.FlightServer{}, indexConfigMap, names(func(fs *v1alpha1.FlightServer) []string {
			configMaps, _ := config.Names(fs)
			if t := fs.Spec.TLS; t != nil && t.ClientCA != nil && t.ClientCA.ConfigMapRef != nil && !slices.Contains(configMaps, t.ClientCA.ConfigMapRef.Name) {
				configMaps = append(configMaps, t.ClientCA.ConfigMapRef.Name)
			}
			for _, f := range config.AuthFiles(fs) {
				if f.Kind == kindConfigMap && !slices.Contains(configMaps, f.Name) {
					configMaps = append(configMaps, f.Name)
				}
			}
			return configMaps
		})),
		indexer.IndexField(ctx, &v1alpha1.FlightServer{}, indexClaim, names(func(fs *v1alpha1.FlightServer) []string {
			_, claims := config.Names(fs)
			return claims
		})),
		indexer.IndexField(ctx, &corev1.Pod{}, indexInstance, func(o client.Object) []string {
			return []string{o.GetLabels()[v1alpha1.LabelInstance]}
		}),
	)
}

// instanceOf is the FlightServer that a pod's labels name.
func instanceOf(_ context.Context, pod client.Object) []reconcile.Request {
	name := pod.GetLabels()[v1alpha1.LabelInstance]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: pod.GetNamespace(), Name: name}}}
}

// concernedBy are the FlightServers that name an object, and the one that owns it.
func (r *FlightServerReconciler) concernedBy(index string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []reconcile.Request {
		var list v1alpha1.FlightServerList
		// The objects of the list are the cache's own: only their names are read.
		if err := r.client.List(ctx, &list, client.InNamespace(o.GetNamespace()), client.MatchingFields{index: o.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "cannot tell which FlightServers name an object", "namespace", o.GetNamespace(), "name", o.GetName())
		}
		var requests []reconcile.Request
		for i := range list.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
		if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == v1alpha1.Kind {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: owner.Name}})
		}
		return requests
	}
}

// concerned enqueues the FlightServer that an event is about.
var concerned = handler.TypedFuncs[types.NamespacedName, reconcile.Request]{
	GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		queue.Add(reconcile.Request{NamespacedName: e.Object})
	},
}

// Reconcile brings one FlightServer a step nearer to its specification, and its status to what was found.
func (r *FlightServerReconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	fs := &v1alpha1.FlightServer{}
	if err := r.client.Get(ctx, request.NamespacedName, fs); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.forget(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("look up FlightServer: %w", err)
	}
	if !fs.DeletionTimestamp.IsZero() {
		// The owned objects go by their owner references.
		r.forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	s := newScope(fs)
	defer func() {
		conflict, statusErr := r.writeStatus(ctx, s)
		err = errors.Join(err, statusErr)
		if conflict && err == nil {
			// The FlightServer has changed since it was read; the cache will say so soon.
			result = ctrl.Result{RequeueAfter: conflictDelay}
		}
	}()
	if fs.Spec.Suspend == v1alpha1.SuspendReconciliation {
		r.suspend(s)
		return ctrl.Result{}, nil
	}
	return r.run(ctx, s)
}

// conflictDelay lets the cache catch up after a status that was computed from an older FlightServer.
const conflictDelay = 50 * time.Millisecond

// forget drops all that is held of a FlightServer in memory.
func (r *FlightServerReconciler) forget(key types.NamespacedName) {
	r.Prober.Forget(key)
	r.references.forget(key)
	r.nudger.forget(key)
	r.configMaps.forget(key)
	r.signingSecrets.forget(key)
	r.operatorKeys.forget(key)
	r.clients.forget(key)
	r.materials.forget(key)
	r.forgetTLS(key)
	r.known.Delete(key)
	r.applier.forget(key)
	forgetMetrics(key)
}
