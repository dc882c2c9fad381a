package desired

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// ConfigMap holds runtime.yaml.
func ConfigMap(p Params) *corev1ac.ConfigMapApplyConfiguration {
	name := ConfigMapName(p.FlightServer.Name)
	cm := corev1ac.ConfigMap(name, p.FlightServer.Namespace)
	cm.ObjectMetaApplyConfiguration = meta(p.FlightServer, name).
		WithAnnotations(map[string]string{v1alpha1.AnnotationConfigHash: p.ConfigHash})
	return cm.WithData(map[string]string{config.FileName: string(p.Config)})
}
