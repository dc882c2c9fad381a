package desired

import (
	"time"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// Keys of the ConfigMap that clients mount, apart from config.CAKey.
const (
	// LocationKey is the Flight location to connect to.
	LocationKey = "location"
	// AnnotationOverlapUntil on that ConfigMap is until when it holds CA certificates of before beside those of now.
	AnnotationOverlapUntil = ownPrefix + "ca-overlap-until"
)

// ClientConfigMapName is the name of the ConfigMap with what clients need.
func ClientConfigMapName(flightServer string) string { return flightServer + "-client" }

// Trust is the CA certificates by which clients know the servers.
type Trust struct {
	// CA is in PEM; empty if nobody has told which they are, or there is no TLS.
	CA []byte
	// OverlapUntil is until when CA holds certificates of before beside those of now; zero if it holds those of now alone.
	OverlapUntil time.Time
}

// ClientConfigMap holds what clients need, so that their pods can mount it: the location, and with TLS the CA certificates.
func ClientConfigMap(fs *v1alpha1.FlightServer, t Trust) *corev1ac.ConfigMapApplyConfiguration {
	name := ClientConfigMapName(fs.Name)
	cm := corev1ac.ConfigMap(name, fs.Namespace)
	cm.ObjectMetaApplyConfiguration = meta(fs, name)
	data := map[string]string{LocationKey: Address(fs)}
	if len(t.CA) > 0 {
		data[config.CAKey] = string(t.CA)
	}
	if !t.OverlapUntil.IsZero() {
		cm.WithAnnotations(map[string]string{AnnotationOverlapUntil: t.OverlapUntil.UTC().Format(time.RFC3339)})
	}
	return cm.WithData(data)
}
