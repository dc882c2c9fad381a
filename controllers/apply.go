package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/controllers/status"
)

// applier brings objects to what is desired, and writes nothing where they are so already.
type applier struct {
	client client.Client
	// live reads from the API server: the cache holds only what carries the operator's labels.
	live client.Reader

	mu sync.Mutex
	// settled says, by object, which desired configuration leaves which owned fields when it is applied. The two are equal but for what
	// the API server writes in another way than it was told, defaults within atomic lists for instance.
	settled map[objectKey]settlement
}

type objectKey struct {
	kind string
	types.NamespacedName
}

type settlement struct{ desired, owned digest }

type digest [sha256.Size]byte

func newApplier(c client.Client, live client.Reader) *applier {
	return &applier{client: c, live: live, settled: map[objectKey]settlement{}}
}

// stalledError is a problem that no retry mends.
type stalledError struct{ status.Problem }

func (e *stalledError) Error() string { return e.Message }

// errOwnerGone is the state between the end of a FlightServer and that of its objects, which one of the same name has to wait for.
var errOwnerGone = errors.New("waiting for the objects of an earlier FlightServer of this name to be removed")

// find reads an object from the cache. An object that is not there may still be in the cluster, without the operator's labels: it counts as
// not found if it is this FlightServer's, and is an error if it is not.
func (a *applier) find(ctx context.Context, fs *v1alpha1.FlightServer, name string, object client.Object) (found bool, err error) {
	key := types.NamespacedName{Namespace: fs.Namespace, Name: name}
	gvk, err := apiutil.GVKForObject(object, a.client.Scheme())
	if err != nil {
		return false, err
	}
	err = a.client.Get(ctx, key, object)
	if err == nil {
		return true, checkOwner(fs, gvk.Kind, object)
	}
	if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("look up %s %s: %w", gvk.Kind, name, err)
	}
	return false, a.checkUnlabelled(ctx, fs, gvk, key)
}

func (a *applier) checkUnlabelled(ctx context.Context, fs *v1alpha1.FlightServer, gvk schema.GroupVersionKind, key types.NamespacedName) error {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(gvk)
	err := a.live.Get(ctx, key, m)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look up %s %s: %w", gvk.Kind, key.Name, err)
	}
	return checkOwner(fs, gvk.Kind, m)
}

// checkOwner tells whether an object is a FlightServer's to change: it is its controller, or, after a restore from a backup for instance,
// nobody is and the labels say whose it was.
func checkOwner(fs *v1alpha1.FlightServer, kind string, object metav1.Object) error {
	owner := metav1.GetControllerOf(object)
	labels := object.GetLabels()
	switch {
	case owner != nil && owner.UID == fs.UID:
		return nil
	case owner != nil && owner.Kind == v1alpha1.Kind && owner.Name == fs.Name:
		return errOwnerGone
	case owner == nil && labels[v1alpha1.LabelManagedBy] == v1alpha1.LabelManagedByValue && labels[v1alpha1.LabelInstance] == fs.Name:
		return nil
	}
	whose := "to no FlightServer"
	if owner != nil {
		whose = fmt.Sprintf("to %s %s", owner.Kind, owner.Name)
	}
	return &stalledError{status.Problem{Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf(
		"%s %s/%s exists and belongs %s: delete or rename it, or give the FlightServer another name", kind, object.GetNamespace(), object.GetName(), whose)}}
}

// apply brings an object to what is desired. Have is what the operator owns of it now, nil if there is no such object, and before its
// version. The version after is returned; it is the same if nothing had to be written. Want is used up.
func (a *applier) apply(ctx context.Context, kind string, key types.NamespacedName, have, want runtime.ApplyConfiguration, before version) (version, error) {
	id := objectKey{kind: kind, NamespacedName: key}
	var now settlement
	if have != nil {
		if equality.Semantic.DeepEqual(have, want) {
			return before, nil
		}
		var err error
		if now, err = settlementOf(have, want); err != nil {
			return version{}, fmt.Errorf("%s %s: %w", kind, key.Name, err)
		}
		if a.isSettled(id, now) {
			return before, nil
		}
	}
	wish, err := json.Marshal(want)
	if err != nil {
		return version{}, fmt.Errorf("%s %s: %w", kind, key.Name, err)
	}
	err = a.client.Apply(ctx, want, client.ForceOwnership, client.FieldOwner(desired.FieldOwner))
	if apierrors.IsInvalid(err) && have != nil && kind != kindConfigMap {
		err = a.overwrite(ctx, wish)
	}
	if err != nil {
		return version{}, applyError(kind, key, err)
	}
	after, err := versionOfApplied(want)
	if err != nil {
		return version{}, fmt.Errorf("%s %s: %w", kind, key.Name, err)
	}
	if have != nil && after == before {
		// The API server found nothing to change: what we have is what this configuration leaves.
		a.settle(id, now)
	} else {
		log.FromContext(ctx).Info("applied", "kind", kind, "object", key.Name)
	}
	return after, nil
}

// overwrite brings an object's spec to what is desired where applying cannot. Who changes the key of a list's entry, the port of a Service
// for instance, leaves an entry of their own, and applying adds ours beside it: two ports of one name, which the API server refuses. So
// lists are replaced as a whole here; what the operator owns of the object in the end is the same as if it had been applied.
func (a *applier) overwrite(ctx context.Context, wish []byte) error {
	object, err := objectOf(wish)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"spec": object.Object["spec"]})
	if err != nil {
		return err
	}
	if err := a.client.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(desired.FieldOwner)); err != nil {
		return err
	}
	owners, err := csaupgrade.UpgradeManagedFieldsPatch(object, sets.New(desired.FieldOwner), desired.FieldOwner)
	if err != nil {
		return err
	}
	if owners != nil {
		if err := a.client.Patch(ctx, object, client.RawPatch(types.JSONPatchType, owners)); err != nil {
			return err
		}
	}
	if object, err = objectOf(wish); err != nil {
		return err
	}
	return a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.ForceOwnership, client.FieldOwner(desired.FieldOwner))
}

func objectOf(data []byte) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{}
	err := object.UnmarshalJSON(data)
	return object, err
}

func applyError(kind string, key types.NamespacedName, err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return &stalledError{status.Problem{Reason: v1alpha1.ReasonApplyFailed, Message: fmt.Sprintf("the API server refuses %s %s: %s", kind, key.Name, err)}}
	}
	return fmt.Errorf("apply %s %s: %w", kind, key.Name, err)
}

func (a *applier) isSettled(id objectKey, s settlement) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.settled[id] == s
}

func (a *applier) settle(id objectKey, s settlement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled[id] = s
}

// forget drops what is remembered of a FlightServer's objects.
func (a *applier) forget(flightServer types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.settled {
		if id.Namespace == flightServer.Namespace && slices.Contains(desired.Names(flightServer.Name), id.Name) {
			delete(a.settled, id)
		}
	}
}

func settlementOf(have, want runtime.ApplyConfiguration) (s settlement, err error) {
	if s.owned, err = digestOf(have); err != nil {
		return s, err
	}
	s.desired, err = digestOf(want)
	return s, err
}

func digestOf(v any) (digest, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return digest{}, err
	}
	return sha256.Sum256(data), nil
}

// versionOfApplied reads the version out of an apply configuration that holds the API server's answer.
func versionOfApplied(applied runtime.ApplyConfiguration) (version, error) {
	data, err := json.Marshal(applied)
	if err != nil {
		return version{}, err
	}
	var m metav1.PartialObjectMetadata
	if err := json.Unmarshal(data, &m); err != nil {
		return version{}, err
	}
	return versionOf(&m), nil
}

// apply is applier.apply for a kind whose have may be a nil pointer.
func apply[C any, P interface {
	*C
	runtime.ApplyConfiguration
}](ctx context.Context, a *applier, kind string, key types.NamespacedName, have, want P, before version) (version, error) {
	if have == nil {
		return a.apply(ctx, kind, key, nil, want, before)
	}
	return a.apply(ctx, kind, key, have, want, before)
}

// owned reads what the operator owns of a FlightServer's object of one kind, and the object's version; nil if there is no such object.
func owned[O, C any, P interface {
	*O
	client.Object
}](ctx context.Context, a *applier, fs *v1alpha1.FlightServer, extract func(P, string) (*C, error)) (*C, version, error) {
	live := P(new(O))
	found, err := a.find(ctx, fs, fs.Name, live)
	if err != nil || !found {
		return nil, version{}, err
	}
	have, err := extract(live, desired.FieldOwner)
	if err != nil {
		return nil, version{}, fmt.Errorf("tell what is owned of %T %s: %w", live, fs.Name, err)
	}
	return have, versionOf(live), nil
}
