package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/pki"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// Kinds of the objects that the operator owns.
const (
	kindConfigMap           = "ConfigMap"
	kindSecret              = "Secret"
	kindDeployment          = "Deployment"
	kindService             = "Service"
	kindPodDisruptionBudget = "PodDisruptionBudget"
)

const (
	// maxConfigBytes is what Kubernetes lets a ConfigMap hold.
	maxConfigBytes = 1 << 20
	// stalledRecheck is the time until an object that is in the way is looked for again: the cache does not hold what others own.
	stalledRecheck = 15 * time.Second
	// ownerGoneRecheck is the time until the objects of an earlier FlightServer are looked for again.
	ownerGoneRecheck = time.Second
	// authorityRecheck is the time until the operator's own CA is asked for again while it is being loaded.
	authorityRecheck = 100 * time.Millisecond
)

// Defaults of spec.healthCheck.
const (
	defaultProbeInterval    = 10 * time.Second
	defaultProbeTimeout     = 2 * time.Second
	defaultFailureThreshold = 3
)

// scope is what one reconciliation knows.
type scope struct {
	key types.NamespacedName
	// fs is the FlightServer; the status is written to it at the end. before is its status as it was read.
	fs     *v1alpha1.FlightServer
	before *v1alpha1.FlightServer
	// refs are the objects that the specification names.
	refs config.References
	// params are those of the desired objects. Params.ConfigHash is empty until the configuration is rendered.
	params desired.Params
	// material is what TLS and auth name.
	material material
	// usesClusterKeys is whether the cluster's keys are part of the configuration: they are looked at again.
	usesClusterKeys bool
	// tls is what is known of TLS, nil without it.
	tls *tlsScope
	// missing says, by dataset, which object that it names does not exist.
	missing map[string]string
	// seen is what the status follows from. Nil until the phases have run: then the status is left as it is.
	seen *status.Observation
	// suspended is whether the FlightServer is left alone.
	suspended bool
}

func newScope(fs *v1alpha1.FlightServer) *scope {
	return &scope{key: client.ObjectKeyFromObject(fs), fs: fs, before: fs.DeepCopy()}
}

// phase is one step from the specification to the cluster. An error keeps the later ones from running.
type phase func(*FlightServerReconciler, context.Context, *scope) error

// phases in their order: each needs what the ones before have brought about.
var phases = []phase{
	(*FlightServerReconciler).loadReferences,
	(*FlightServerReconciler).loadMaterial,
	(*FlightServerReconciler).loadTLS,
	(*FlightServerReconciler).ensureCertificate,
	(*FlightServerReconciler).renderConfiguration,
	(*FlightServerReconciler).applyConfigMap,
	(*FlightServerReconciler).publish,
	(*FlightServerReconciler).ensureSigningSecret,
	(*FlightServerReconciler).applyDeployment,
	(*FlightServerReconciler).applyService,
	(*FlightServerReconciler).applyPodDisruptionBudget,
}

// run takes a FlightServer through the phases, and looks at what became of it, whether they succeeded or not.
func (r *FlightServerReconciler) run(ctx context.Context, s *scope) (ctrl.Result, error) {
	var failure error
	for _, p := range phases {
		if failure = p(r, ctx, s); failure != nil {
			break
		}
	}
	seen, err := r.observe(ctx, s)
	if err != nil {
		return ctrl.Result{}, errors.Join(failure, err)
	}
	r.observeCertificate(s, seen, failure)
	observeAuth(s, seen)
	r.probe(s, seen)
	r.report(s, seen)
	s.seen = seen
	if failure == nil && !r.caughtUp(s) {
		s.seen = nil
	}
	if failure == nil {
		again, err := r.nudger.sync(ctx, s.key, seen.Pods, seen.Results, seen.Wants)
		if err == nil {
			return ctrl.Result{RequeueAfter: s.wake(again, time.Now())}, nil
		}
		failure, s.seen = err, seen
	}
	return s.fail(failure)
}

// longestSleep bounds the time until a FlightServer with TLS is looked at again: timers stand still while a machine sleeps, and certificates end
// by the wall clock.
const longestSleep = 10 * time.Minute

// wake is the time until the FlightServer is looked at again, given that of others; 0 is never.
func (s *scope) wake(others time.Duration, now time.Time) time.Duration {
	if s.usesClusterKeys {
		others = soonest(others, clusterKeysAge)
	}
	if s.tls == nil {
		return others
	}
	again := soonest(others, longestSleep)
	if !s.tls.wake.IsZero() && s.tls.wake.After(now) {
		again = soonest(again, s.tls.wake.Sub(now.Round(0)))
	}
	return again
}

// caughtUp tells whether all that the status says can be known. An operator that has just started has probed nobody; until it has, the
// status that the one before it wrote stands: a restart of the operator is no news of the servers.
func (r *FlightServerReconciler) caughtUp(s *scope) bool {
	if _, known := r.known.Load(s.key); known {
		return true
	}
	if s.before.Status.ObservedGeneration > 0 && s.before.Status.ObservedGeneration == s.fs.Generation {
		for i := range s.seen.Pods {
			pod := &s.seen.Pods[i]
			if result, probed := s.seen.Results[pod.Name]; probed && status.PodReady(pod) && result.LastProbe.IsZero() {
				return false
			}
		}
	}
	r.known.Store(s.key, true)
	return true
}

// fail puts an error into the status, and says what happens next.
func (s *scope) fail(err error) (ctrl.Result, error) {
	var stalled *stalledError
	switch {
	case errors.As(err, &stalled):
		s.seen.Stalled = &stalled.Problem
		if stalled.Reason == v1alpha1.ReasonInvalidSpec {
			// The certificate comes before the configuration, and is renewed all the same.
			return ctrl.Result{RequeueAfter: s.wake(0, time.Now())}, nil
		}
		return ctrl.Result{RequeueAfter: stalledRecheck}, nil
	case errors.Is(err, errOwnerGone):
		s.seen.Pending = &status.Problem{Reason: v1alpha1.ReasonProgressing, Message: err.Error()}
		return ctrl.Result{RequeueAfter: ownerGoneRecheck}, nil
	case errors.Is(err, pki.ErrNotLoaded):
		// The operator has just started: what the one before it wrote stands.
		s.seen = nil
		return ctrl.Result{RequeueAfter: authorityRecheck}, nil
	case errors.Is(err, errNotFilled):
		s.seen.Pending = &status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: err.Error()}
		return ctrl.Result{RequeueAfter: stalledRecheck}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// The FlightServer itself is about to go.
		s.seen = nil
		return ctrl.Result{}, nil
	default:
		s.seen.Pending = &status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: err.Error()}
		return ctrl.Result{}, err
	}
}

// readAuth judges the rules as the servers do, and reads the cluster's keys where they are needed.
func (r *FlightServerReconciler) readAuth(ctx context.Context, s *scope, a *v1alpha1.Auth) (err error) {
	if _, err := authz.Compile(authz.FromAPI(a.Rules)); err != nil {
		return &stalledError{status.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: "spec.auth." + err.Error()}}
	}
	if s.usesClusterKeys = offline(a); s.usesClusterKeys {
		s.refs.Cluster, err = r.clusterKeys.get(ctx)
	}
	return err
}

// offline tells whether tokens of ServiceAccounts are verified by the cluster's keys.
func offline(a *v1alpha1.Auth) bool {
	return a != nil && a.Methods.ServiceAccount != nil && a.Methods.ServiceAccount.Verification != v1alpha1.TokenReview
}

// suspend leaves everything as it is. Probes end, for nothing follows from them.
func (r *FlightServerReconciler) suspend(s *scope) {
	r.Prober.Ensure(s.key, nil, probe.Settings{})
	s.suspended = true
}

func (r *FlightServerReconciler) loadReferences(ctx context.Context, s *scope) (err error) {
	s.refs, err = r.references.load(ctx, s.fs)
	return err
}

func (r *FlightServerReconciler) renderConfiguration(ctx context.Context, s *scope) error {
	if s.tls != nil {
		s.refs.ServerNames, s.refs.OperatorCA = config.ServerNames(s.fs, r.ClusterDomain), string(s.tls.authority.Bundle)
	}
	if a := s.fs.Spec.Auth; a != nil {
		if err := r.readAuth(ctx, s, a); err != nil {
			return err
		}
	}
	rendered, errs := config.Render(s.fs, s.refs)
	if len(errs) > 0 {
		return &stalledError{status.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: errs.ToAggregate().Error()}}
	}
	data, err := rendered.Marshal()
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if len(data) > maxConfigBytes {
		return &stalledError{status.Problem{Reason: v1alpha1.ReasonInvalidSpec, Message: fmt.Sprintf(
			"spec.datasets: the configuration has %.2f MiB, a ConfigMap holds 1 MiB: move inline data to ConfigMaps of its own (spec.datasets[].source.configMap) or to a volume", float64(len(data))/(1<<20))}}
	}
	s.missing = map[string]string{}
	for _, d := range rendered.Datasets {
		if d.Missing != "" {
			s.missing[d.Name] = d.Missing
		}
	}
	configMaps, claims := config.Names(s.fs)
	s.params = desired.Params{
		FlightServer: s.fs,
		Config:       data,
		ConfigHash:   config.Hash(data),
		DefaultImage: r.RuntimeImage,
		DrainTimeout: rendered.Limits.DrainTimeout.Duration,
		ConfigMaps:   configMaps,
	}
	for _, name := range claims {
		if s.refs.Claims[name] {
			s.params.Claims = append(s.params.Claims, name)
		}
	}
	return nil
}

func (r *FlightServerReconciler) applyDeployment(ctx context.Context, s *scope) error {
	have, before, err := owned(ctx, r.applier, s.fs, appsv1ac.ExtractDeployment)
	if err != nil {
		return err
	}
	s.params.Before = have
	want, err := desired.Deployment(s.params)
	if err != nil {
		return err
	}
	_, err = apply(ctx, r.applier, kindDeployment, s.key, have, want, before)
	return err
}

func (r *FlightServerReconciler) applyService(ctx context.Context, s *scope) error {
	have, before, err := owned(ctx, r.applier, s.fs, corev1ac.ExtractService)
	if err != nil {
		return err
	}
	_, err = apply(ctx, r.applier, kindService, s.key, have, desired.Service(s.params), before)
	return err
}

func (r *FlightServerReconciler) applyPodDisruptionBudget(ctx context.Context, s *scope) error {
	wanted, err := r.wanted(ctx, s)
	if err != nil {
		return err
	}
	if wanted <= 1 {
		return r.removePodDisruptionBudget(ctx, s)
	}
	have, before, err := owned(ctx, r.applier, s.fs, policyv1ac.ExtractPodDisruptionBudget)
	if err != nil {
		return err
	}
	_, err = apply(ctx, r.applier, kindPodDisruptionBudget, s.key, have, desired.PodDisruptionBudget(s.params), before)
	return err
}

// removePodDisruptionBudget removes the one that the operator made. One of somebody else's is none of our business then.
func (r *FlightServerReconciler) removePodDisruptionBudget(ctx context.Context, s *scope) error {
	var live policyv1.PodDisruptionBudget
	err := r.client.Get(ctx, s.key, &live)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up PodDisruptionBudget %s: %w", s.fs.Name, err)
	}
	if checkOwner(s.fs, kindPodDisruptionBudget, &live) != nil || !live.DeletionTimestamp.IsZero() {
		return nil
	}
	err = r.client.Delete(ctx, &live, client.Preconditions{UID: &live.UID})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove PodDisruptionBudget %s: %w", s.fs.Name, err)
	}
	return nil
}

// wanted is the number of servers: as specified, else as the Deployment has it.
func (r *FlightServerReconciler) wanted(ctx context.Context, s *scope) (int32, error) {
	if s.fs.Spec.Replicas != nil {
		return *s.fs.Spec.Replicas, nil
	}
	d, err := r.deployment(ctx, s)
	if err != nil || d == nil {
		return 1, err
	}
	return ptr.Deref(d.Spec.Replicas, 1), nil
}

// deployment is the FlightServer's own, nil if there is none.
func (r *FlightServerReconciler) deployment(ctx context.Context, s *scope) (*appsv1.Deployment, error) {
	var d appsv1.Deployment
	err := r.client.Get(ctx, s.key, &d)
	if apierrors.IsNotFound(err) || err == nil && checkOwner(s.fs, kindDeployment, &d) != nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up Deployment %s: %w", s.fs.Name, err)
	}
	return &d, nil
}

// observe looks at what there is.
func (r *FlightServerReconciler) observe(ctx context.Context, s *scope) (*status.Observation, error) {
	deployment, err := r.deployment(ctx, s)
	if err != nil {
		return nil, err
	}
	wanted, err := r.wanted(ctx, s)
	if err != nil {
		return nil, err
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(s.fs.Namespace), client.MatchingFields{indexInstance: s.fs.Name}); err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	seen := &status.Observation{
		Generation: s.fs.Generation,
		Wanted:     wanted,
		ConfigHash: s.params.ConfigHash,
		Missing:    s.missing,
		Deployment: deployment,
		Pods:       pods.Items,
	}
	if seen.ConfigHash == "" {
		// Without a new configuration, the last one goes on being served.
		seen.ConfigHash = s.fs.Status.ConfigHash
	}
	seen.Wants.ConfigHash = seen.ConfigHash
	for _, d := range s.fs.Spec.Datasets {
		seen.Datasets = append(seen.Datasets, d.Name)
	}
	return seen, nil
}

// probe has the prober probe the servers that run, and takes its results over.
func (r *FlightServerReconciler) probe(s *scope, seen *status.Observation) {
	var targets []probe.Target
	for i := range seen.Pods {
		pod := &seen.Pods[i]
		if status.Live(pod) && pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "" {
			targets = append(targets, probe.Target{Pod: pod.Name, UID: pod.UID, Address: r.ServerAddress(pod), Ready: status.PodReady(pod), ServerName: serverName(s.fs, pod)})
		}
	}
	settings := probeSettings(s.fs.Spec.HealthCheck)
	settings.Wanted, settings.Tokens = seen.Wants, r.operatorKeys.tokens(s.key)
	r.Prober.Ensure(s.key, targets, settings)
	seen.Results = r.Prober.Results(s.key)
}

func probeSettings(h *v1alpha1.HealthCheck) probe.Settings {
	s := probe.Settings{Interval: defaultProbeInterval, Timeout: defaultProbeTimeout, FailureThreshold: defaultFailureThreshold}
	if h == nil {
		return s
	}
	if h.Interval != nil {
		s.Interval = h.Interval.Duration
	}
	if h.Timeout != nil {
		s.Timeout = h.Timeout.Duration
	}
	if h.FailureThreshold != nil {
		s.FailureThreshold = int(*h.FailureThreshold)
	}
	return s
}
