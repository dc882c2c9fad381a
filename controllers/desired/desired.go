// Package desired builds the objects that a FlightServer wants to exist, as configurations for server-side apply. Its functions are pure:
// the same parameters give the same objects, and they contain just the fields that the operator owns.
package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// FieldOwner is the name under which the operator owns fields.
const FieldOwner = "flight-operator"

// Annotations of the operator's own, apart from v1alpha1.AnnotationConfigHash.
const (
	// ownPrefix is of annotations that are the operator's alone.
	ownPrefix = "flightoperator.dev/"
	// AnnotationTemplateHash on a Deployment tells from what its pod template was made, the default image left out.
	AnnotationTemplateHash = ownPrefix + "template-hash"
	// AnnotationRuntimeImage on a Deployment is the default image that its pods were given. It outlives an upgrade of the operator: the pods
	// get the new image with the next change of their template, or when this annotation is removed.
	AnnotationRuntimeImage = ownPrefix + "runtime-image"
	// AnnotationLimits on a pod is the FlightServer's spec.limits: servers go by them from their start to their end, so that a change of
	// them rolls the pods.
	AnnotationLimits = ownPrefix + "limits"
	// AnnotationTLS on a pod is TLSEnabled if its server speaks TLS: that too is fixed from its start to its end.
	AnnotationTLS = ownPrefix + "tls"
	// TLSEnabled is the one value of AnnotationTLS.
	TLSEnabled = "Enabled"
)

// Params are what the objects follow from. The builders change nothing in them.
type Params struct {
	FlightServer *v1alpha1.FlightServer
	// Config is runtime.yaml, and ConfigHash its hash.
	Config     []byte
	ConfigHash string
	// DefaultImage is the runtime of this operator's release, for a FlightServer that names none.
	DefaultImage string
	// DrainTimeout is how long a server lets running calls end.
	DrainTimeout time.Duration
	// ConfigMaps are those that datasets name, whether they exist or not.
	ConfigMaps []string
	// Claims are the PersistentVolumeClaims that datasets name and that exist.
	Claims []string
	// Before is what the operator owns of the Deployment now, nil if there is none.
	Before *appsv1ac.DeploymentApplyConfiguration
}

// ConfigMapName is the name of the ConfigMap with a FlightServer's configuration. The other objects have the FlightServer's own name.
func ConfigMapName(flightServer string) string { return flightServer + "-config" }

// Names are those that the objects of a FlightServer have.
func Names(flightServer string) []string {
	return []string{
		flightServer, ConfigMapName(flightServer), ClientConfigMapName(flightServer), SigningSecretName(flightServer),
		flightServer + config.CertManagerSecretSuffix, flightServer + config.OperatorSecretSuffix,
	}
}

// Selector is the labels by which a FlightServer's pods are known. They never change: a Deployment's selector cannot.
func Selector(flightServer string) map[string]string {
	return map[string]string{v1alpha1.LabelName: v1alpha1.LabelNameValue, v1alpha1.LabelInstance: flightServer}
}

// Labels are those of every object of a FlightServer.
func Labels(flightServer string) map[string]string {
	labels := Selector(flightServer)
	labels[v1alpha1.LabelManagedBy] = v1alpha1.LabelManagedByValue
	return labels
}

// Address is where clients in the cluster connect, as a Flight location.
func Address(fs *v1alpha1.FlightServer) string {
	scheme := "grpc"
	if fs.Spec.TLS != nil {
		scheme = "grpc+tls"
	}
	return fmt.Sprintf("%s://%s.%s.svc:%d", scheme, fs.Name, fs.Namespace, servicePort(fs.Spec.Service))
}

// meta is the metadata that all objects share: labels, and the owner whose end is theirs.
func meta(fs *v1alpha1.FlightServer, name string) *metav1ac.ObjectMetaApplyConfiguration {
	return metav1ac.ObjectMeta().
		WithName(name).
		WithNamespace(fs.Namespace).
		WithLabels(Labels(fs.Name)).
		WithOwnerReferences(metav1ac.OwnerReference().
			WithAPIVersion(v1alpha1.GroupVersion.String()).
			WithKind(v1alpha1.Kind).
			WithName(fs.Name).
			WithUID(fs.UID).
			WithController(true).
			WithBlockOwnerDeletion(true))
}

// overlay is what a user adds, under what the operator sets.
func overlay(users, operators map[string]string) map[string]string {
	merged := maps.Clone(users)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, operators)
	return merged
}

// usersAnnotations are a user's annotations without those that are the operator's alone.
func usersAnnotations(annotations map[string]string) map[string]string {
	users := maps.Clone(annotations)
	maps.DeleteFunc(users, func(key, _ string) bool { return strings.HasPrefix(key, ownPrefix) })
	return users
}

// convert makes an apply configuration of an API type, or of a list of such. Their JSON is the same by construction.
func convert[T any](from any) (to T, err error) {
	data, err := json.Marshal(from)
	if err != nil {
		return to, err
	}
	err = json.Unmarshal(data, &to)
	return to, err
}

// hash is short and stable.
func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
