package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// annotationNudge on a pod changes with each further nudge to the same configuration.
const annotationNudge = "flightoperator.dev/config-nudge"

const (
	// firstNudge is how long a server may take to serve a configuration or certificate that its kubelet was told of; it takes a fraction of a second.
	firstNudge = 2 * time.Second
	// maxNudges bounds the nudges to one configuration. They double in time, so that the last comes after a minute, in which the kubelet
	// has brought the volume up to date by itself: what is then still not served is not the kubelet's fault.
	maxNudges = 5
)

// nudger makes kubelets bring mounted ConfigMaps and Secrets up to date at once, by changing an annotation of the pod.
type nudger struct {
	client client.Client
	now    func() time.Time

	mu   sync.Mutex
	pods map[types.NamespacedName]map[types.UID]nudge
}

// nudge is what one pod was told last.
type nudge struct {
	hash  string
	count int
	next  time.Time
}

func newNudger(c client.Client) *nudger {
	return &nudger{client: c, now: time.Now, pods: map[types.NamespacedName]map[types.UID]nudge{}}
}

// sync tells the pods that do not serve what is wanted, and says after which time to look again, 0 if there is no need.
func (n *nudger) sync(ctx context.Context, key types.NamespacedName, pods []corev1.Pod, results map[string]probe.Result, wanted probe.Content) (time.Duration, error) {
	before, after := n.recall(key), map[types.UID]nudge{}
	var again time.Duration
	for i := range pods {
		pod := &pods[i]
		if !status.Live(pod) || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		next, annotations := advance(before[pod.UID], pod.Annotations[v1alpha1.AnnotationConfigHash], results[pod.Name], wanted, n.now())
		if annotations != nil {
			if err := n.annotate(ctx, pod, annotations); err != nil {
				return 0, err
			}
		}
		if next.hash == "" {
			continue
		}
		after[pod.UID] = next
		if next.count < maxNudges {
			again = soonest(again, next.next.Sub(n.now()))
		}
	}
	n.remember(key, after)
	return again, nil
}

// advance decides for one pod: the annotations to set, nil if none, and what to remember, the zero nudge if it needs nothing.
func advance(before nudge, annotated string, result probe.Result, wanted probe.Content, now time.Time) (nudge, map[string]string) {
	hash := annotationOf(wanted)
	behind := result.Answers() && !result.Content().Serves(wanted)
	// A server that has told nothing yet has just mounted the newest configuration, unless it was told of another one before.
	untold := !result.Answers() && (annotated != "" || result.State == v1alpha1.ServerUnreachable)
	switch {
	case !behind && !untold:
		return nudge{}, nil
	case annotated != hash && before.hash != hash:
		return nudge{hash: hash, next: now.Add(firstNudge)}, map[string]string{v1alpha1.AnnotationConfigHash: hash}
	case !behind:
		return nudge{}, nil
	case before.hash != hash:
		return nudge{hash: hash, next: now.Add(firstNudge)}, nil
	case before.count < maxNudges && !now.Before(before.next):
		count := before.count + 1
		return nudge{hash: hash, count: count, next: now.Add(firstNudge << count)}, map[string]string{annotationNudge: strconv.Itoa(count)}
	default:
		return before, nil
	}
}

// annotationOf is the value of the annotation that stands for what is wanted: with TLS, more than the configuration.
func annotationOf(c probe.Content) string {
	if c.Chain == "" && c.ClientCA == "" && c.Auth == "" {
		return c.ConfigHash
	}
	return c.ConfigHash + "-" + config.Hash([]byte(c.Chain+"/"+c.ClientCA+"/"+c.Auth))
}

func (n *nudger) annotate(ctx context.Context, pod *corev1.Pod, annotations map[string]string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	err = n.client.Patch(ctx, pod.DeepCopy(), client.RawPatch(types.MergePatchType, patch), client.FieldOwner(desired.FieldOwner))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("annotate pod %s: %w", pod.Name, err)
	}
	return nil
}

func (n *nudger) recall(key types.NamespacedName) map[types.UID]nudge {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pods[key]
}

func (n *nudger) remember(key types.NamespacedName, pods map[types.UID]nudge) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(pods) == 0 {
		delete(n.pods, key)
		return
	}
	n.pods[key] = pods
}

func (n *nudger) forget(key types.NamespacedName) { n.remember(key, nil) }

// soonest is the shorter of two times, where 0 is none. It is at least a millisecond, so that it stays a time.
func soonest(a, b time.Duration) time.Duration {
	b = max(b, time.Millisecond)
	if a == 0 {
		return b
	}
	return min(a, b)
}
