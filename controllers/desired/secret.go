package desired

import (
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// SigningSecretName is the name of the Secret with the keys that a FlightServer's servers sign tickets with.
func SigningSecretName(flightServer string) string { return flightServer + "-signing" }

// SigningSecret holds the keys that all servers of a FlightServer share, so that each takes what another has signed. What it is made with
// once is whoever rotates keys' from then on: it is never applied again.
func SigningSecret(fs *v1alpha1.FlightServer, keys []byte) *corev1ac.SecretApplyConfiguration {
	name := SigningSecretName(fs.Name)
	secret := corev1ac.Secret(name, fs.Namespace)
	secret.ObjectMetaApplyConfiguration = meta(fs, name)
	return secret.WithData(map[string][]byte{signing.FileName: keys})
}
