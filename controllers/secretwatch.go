package controllers

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// secretWatch follows the Secrets that FlightServers name, each by a watch of its own for that one name, as kubelets do: the operator neither
// holds nor sees any other Secret, and those that it follows need no label. Of them it holds the metadata alone.
type secretWatch struct {
	client metadata.Interface
	events chan event.TypedGenericEvent[types.NamespacedName]

	mu sync.Mutex
	// watches are by the Secret, named by the FlightServer.
	watches map[types.NamespacedName]*secretFollower
	named   map[types.NamespacedName]map[types.NamespacedName]bool
}

// secretFollower is the watch of one Secret.
type secretFollower struct {
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
	// users are the FlightServers that name the Secret.
	users map[types.NamespacedName]bool
}

// secretEventBuffer lets watches go on while the controller is busy.
const secretEventBuffer = 1024

func newSecretWatch(client metadata.Interface) *secretWatch {
	return &secretWatch{
		client:  client,
		events:  make(chan event.TypedGenericEvent[types.NamespacedName], secretEventBuffer),
		watches: map[types.NamespacedName]*secretFollower{},
		named:   map[types.NamespacedName]map[types.NamespacedName]bool{},
	}
}

// follow makes the Secrets that are followed for a FlightServer exactly these, of its own namespace.
func (w *secretWatch) follow(flightServer types.NamespacedName, names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := make(map[types.NamespacedName]bool, len(names))
	for _, name := range names {
		wanted[types.NamespacedName{Namespace: flightServer.Namespace, Name: name}] = true
	}
	for secret := range wanted {
		if w.watches[secret] == nil {
			w.watches[secret] = w.start(secret)
		}
		w.watches[secret].users[flightServer] = true
	}
	for secret := range w.named[flightServer] {
		if wanted[secret] {
			continue
		}
		follower := w.watches[secret]
		delete(follower.users, flightServer)
		if len(follower.users) == 0 {
			follower.stop()
			delete(w.watches, secret)
		}
	}
	w.named[flightServer] = wanted
	if len(wanted) == 0 {
		delete(w.named, flightServer)
	}
}

// version is that of a followed Secret as the watch last saw it, zero if there is none. It is not known before the watch's first look.
func (w *secretWatch) version(secret types.NamespacedName) (v version, known bool) {
	w.mu.Lock()
	follower := w.watches[secret]
	w.mu.Unlock()
	if follower == nil || !follower.informer.HasSynced() {
		return version{}, false
	}
	object, exists, err := follower.informer.GetStore().GetByKey(secret.String())
	if err != nil || !exists {
		return version{}, err == nil
	}
	m, ok := object.(metav1.Object)
	if !ok {
		return version{}, false
	}
	return versionOf(m), true
}

// start follows a Secret until it is stopped. w is locked.
func (w *secretWatch) start(secret types.NamespacedName) *secretFollower {
	ctx, stop := context.WithCancel(context.Background())
	only := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", secret.Name).String()
	}
	informer := metadatainformer.NewFilteredMetadataInformer(w.client, corev1.SchemeGroupVersion.WithResource("secrets"), secret.Namespace, 0,
		cache.Indexers{}, only).Informer()
	// Neither fails before the informer has started.
	_ = informer.SetTransform(stripMetadata)
	_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.tell(ctx, secret) },
		UpdateFunc: func(any, any) { w.tell(ctx, secret) },
		DeleteFunc: func(any) { w.tell(ctx, secret) },
	})
	go informer.RunWithContext(ctx)
	return &secretFollower{informer: informer, stop: stop, users: map[types.NamespacedName]bool{}}
}

// tell wakes the FlightServers that name a Secret.
func (w *secretWatch) tell(ctx context.Context, secret types.NamespacedName) {
	w.mu.Lock()
	var users []types.NamespacedName
	if follower := w.watches[secret]; follower != nil {
		for user := range follower.users {
			users = append(users, user)
		}
	}
	w.mu.Unlock()
	for _, user := range users {
		select {
		case w.events <- event.TypedGenericEvent[types.NamespacedName]{Object: user}:
		case <-ctx.Done():
			return
		}
	}
}

// Start waits for the end of ctx, then ends all watches. It is a runnable of a manager.
func (w *secretWatch) Start(ctx context.Context) error {
	<-ctx.Done()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, follower := range w.watches {
		follower.stop()
	}
	return nil
}
