package controllers_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/internal/flighttest"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// portLabel on a pod is the port of its server: in these tests all pods are on loopback.
const portLabel = "test/port"

func serverAddress(pod *corev1.Pod) string {
	return net.JoinHostPort(pod.Status.PodIP, pod.Labels[portLabel])
}

// nodes play the parts of Kubernetes that a bare API server lacks: the Deployment's controller and the kubelets. A pod is a real Flight
// server on loopback. Like a kubelet, it brings its configuration up to date when the pod starts, or when the pod's annotations change.
type nodes struct {
	w *world

	mu   sync.Mutex
	pods map[types.UID]*node
	// start says how a new pod fares; it runs and is ready if it is nil.
	start func(*corev1.Pod)
	// health changes what servers answer.
	health func(pod string, h *flightruntime.Health)
	// deaf is whether pods keep their configuration whatever their annotations say.
	deaf bool
	// created counts the pods that ever were.
	created int
}

// node is one pod's server.
type node struct {
	// auth is the digest of what the pod has of spec.auth, nil without.
	auth        *flightruntime.AuthHealth
	server      *flighttest.Server
	tls         *nodeTLS
	annotations map[string]string
	config      *config.Config
	hash        string
}

func startNodes(w *world) *nodes {
	n := &nodes{w: w, pods: map[types.UID]*node{}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := n.step(ctx); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				w.t.Error("nodes:", err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	w.t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return n
}

// set changes how the nodes behave.
func (n *nodes) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// server is that of a pod, nil if there is none.
func (n *nodes) server(uid types.UID) *flighttest.Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	if node := n.pods[uid]; node != nil {
		return node.server
	}
	return nil
}

func (n *nodes) podsCreated() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.created
}

func (n *nodes) step(ctx context.Context) error {
	var deployments appsv1.DeploymentList
	if err := n.w.client.List(ctx, &deployments, client.InNamespace(n.w.namespace)); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := n.w.client.List(ctx, &pods, client.InNamespace(n.w.namespace)); err != nil {
		return err
	}
	owners := map[types.UID]bool{}
	for i := range deployments.Items {
		d := &deployments.Items[i]
		owners[d.UID] = true
		if err := n.roll(ctx, d, pods.Items); err != nil {
			return err
		}
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if owner := metav1.GetControllerOf(pod); owner != nil && !owners[owner.UID] {
			if err := n.remove(ctx, pod); err != nil {
				return err
			}
			continue
		}
		if err := n.sync(ctx, pod); err != nil {
			return err
		}
	}
	return nil
}

// roll brings the pods of a Deployment to its template and number, one surplus pod at a time.
func (n *nodes) roll(ctx context.Context, d *appsv1.Deployment, pods []corev1.Pod) error {
	template := templateID(d)
	var current, old []*corev1.Pod
	ready := 0
	for i := range pods {
		pod := &pods[i]
		if owner := metav1.GetControllerOf(pod); owner == nil || owner.UID != d.UID {
			continue
		}
		if pod.Labels["test/template"] == template {
			current = append(current, pod)
			if podReady(pod) {
				ready++
			}
		} else {
			old = append(old, pod)
		}
	}
	wanted := int(ptr.Deref(d.Spec.Replicas, 1))
	for i := len(current); i < wanted; i++ {
		if err := n.add(ctx, d, template); err != nil {
			return err
		}
	}
	for i := len(current); i > wanted; i-- {
		if err := n.remove(ctx, current[i-1]); err != nil {
			return err
		}
	}
	if ready == wanted {
		for _, pod := range old {
			if err := n.remove(ctx, pod); err != nil {
				return err
			}
		}
	}
	status := appsv1.DeploymentStatus{
		ObservedGeneration: d.Generation,
		Replicas:           int32(len(current) + len(old)),
		UpdatedReplicas:    int32(len(current)),
		ReadyReplicas:      int32(ready),
		AvailableReplicas:  int32(ready),
		Conditions:         d.Status.Conditions,
	}
	status.UnavailableReplicas = max(0, int32(wanted)-status.AvailableReplicas)
	if d.Status.ObservedGeneration == status.ObservedGeneration && d.Status.Replicas == status.Replicas && d.Status.UpdatedReplicas == status.UpdatedReplicas && d.Status.ReadyReplicas == status.ReadyReplicas {
		return nil
	}
	d.Status = status
	return n.w.client.Status().Update(ctx, d)
}

// templateID tells one pod template from another.
func templateID(d *appsv1.Deployment) string {
	data, err := d.Spec.Template.Marshal()
	if err != nil {
		panic(err)
	}
	return config.Hash(data)
}

func (n *nodes) add(ctx context.Context, d *appsv1.Deployment, template string) error {
	node := &node{}
	if d.Spec.Template.Annotations[desired.AnnotationTLS] == desired.TLSEnabled {
		node.tls = &nodeTLS{}
		node.server = flighttest.StartTLS(n.w.t, node.tls.config())
	} else {
		node.server = flighttest.Start(n.w.t)
	}
	server := node.server
	_, port, err := net.SplitHostPort(server.Address())
	if err != nil {
		return err
	}
	pod := &corev1.Pod{ObjectMeta: d.Spec.Template.ObjectMeta, Spec: d.Spec.Template.Spec}
	pod.Namespace, pod.Name = d.Namespace, fmt.Sprintf("%s-%s-%s", d.Name, template[:6], rand.String(5))
	pod.Labels["test/template"], pod.Labels[portLabel] = template, port
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
	if err := n.w.client.Create(ctx, pod); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods[pod.UID] = node
	n.created++
	server.AnswerWith(func() flightruntime.Health { return n.answer(pod.Name, node) })
	if node.tls == nil {
		server.Admit(func(ctx context.Context) error { return n.admit(ctx, pod, node) })
	}
	return nil
}

// sync is what a kubelet does for a pod.
func (n *nodes) sync(ctx context.Context, pod *corev1.Pod) error {
	n.mu.Lock()
	node, start, deaf := n.pods[pod.UID], n.start, n.deaf
	n.mu.Unlock()
	if node == nil {
		return nil
	}
	changed := node.config == nil || !deaf && (pod.Annotations[v1alpha1.AnnotationConfigHash] != node.annotations[v1alpha1.AnnotationConfigHash] ||
		pod.Annotations["flightoperator.dev/config-nudge"] != node.annotations["flightoperator.dev/config-nudge"])
	if changed {
		var cm corev1.ConfigMap
		if err := n.w.client.Get(ctx, n.w.key(pod.Labels[v1alpha1.LabelInstance]+"-config"), &cm); err != nil {
			return err
		}
		data := []byte(cm.Data[config.FileName])
		parsed, err := config.Parse(data)
		if err != nil {
			return err
		}
		if node.tls != nil && parsed.TLS != nil { // a server stays with what it was started with
			if err := node.tls.mount(ctx, n.w, pod, parsed.TLS); err != nil {
				return err
			}
		}
		auth, err := n.mountAuth(ctx, pod, parsed)
		if err != nil {
			return err
		}
		n.mu.Lock()
		node.auth = auth
		node.config, node.hash, node.annotations = parsed, config.Hash(data), pod.Annotations
		n.mu.Unlock()
	}
	if pod.Status.Phase != "" && pod.Status.Phase != corev1.PodPending || !pod.DeletionTimestamp.IsZero() {
		return nil
	}
	if start == nil {
		start = running
	}
	before := pod.DeepCopy()
	start(pod)
	if before.Status.Phase == pod.Status.Phase && len(before.Status.ContainerStatuses) == len(pod.Status.ContainerStatuses) && len(before.Status.Conditions) == len(pod.Status.Conditions) {
		return nil
	}
	return n.w.client.Status().Update(ctx, pod)
}

// running makes a pod one that runs and is ready.
func running(pod *corev1.Pod) {
	pod.Status.Phase = corev1.PodRunning
	pod.Status.PodIP = "127.0.0.1"
	pod.Status.PodIPs = []corev1.PodIP{{IP: "127.0.0.1"}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// answer is a server's health by its configuration.
func (n *nodes) answer(pod string, node *node) flightruntime.Health {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := flightruntime.Health{Status: flightruntime.Serving, Version: "test", ConfigHash: node.hash}
	if node.config != nil {
		for _, d := range node.config.Datasets {
			dataset := flightruntime.DatasetHealth{Name: d.Name, State: flightruntime.DatasetReady, Rows: 1, Bytes: 4, Files: 1, SchemaFingerprint: "abc"}
			if d.Missing != "" {
				dataset = flightruntime.DatasetHealth{Name: d.Name, State: flightruntime.DatasetFailed, Message: d.Missing}
			}
			h.Datasets = append(h.Datasets, dataset)
		}
	}
	h.Auth = node.auth
	if node.tls != nil {
		h.Certificate = node.tls.health()
	}
	if n.health != nil {
		n.health(pod, &h)
	}
	return h
}

func (n *nodes) remove(ctx context.Context, pod *corev1.Pod) error {
	n.mu.Lock()
	if node := n.pods[pod.UID]; node != nil {
		node.server.Stop()
		delete(n.pods, pod.UID)
	}
	n.mu.Unlock()
	return client.IgnoreNotFound(n.w.client.Delete(ctx, pod, client.GracePeriodSeconds(0)))
}
