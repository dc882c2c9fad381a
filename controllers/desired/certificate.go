package desired

import (
	"cmp"
	"net"
	"slices"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmv1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	cmmetav1ac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/meta/v1"
	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// issuerGroup is cert-manager's own, of an issuer that names none.
const issuerGroup = "cert-manager.io"

// Certificate is what cert-manager is asked for, for a FlightServer with spec.tls.certificate. serverNames are those of config.ServerNames.
// All that cert-manager has a default for is said, so that what we own says what is in force.
func Certificate(fs *v1alpha1.FlightServer, serverNames []string) *cmv1ac.CertificateApplyConfiguration {
	wish := fs.Spec.TLS.Certificate
	names := CertificateNames(fs, serverNames, wish.SubjectNames)
	key := cmv1ac.CertificatePrivateKey().WithRotationPolicy(cmv1.RotationPolicyAlways).WithEncoding(cmv1.PKCS8)
	algorithm, size := keyKind(wish.PrivateKey)
	key.WithAlgorithm(cmv1.PrivateKeyAlgorithm(algorithm))
	if size != 0 {
		key.WithSize(size)
	}
	spec := cmv1ac.CertificateSpec().
		WithSecretName(config.SecretName(fs)).
		WithIssuerRef(cmmetav1ac.IssuerReference().
			WithName(wish.IssuerRef.Name).
			WithKind(cmp.Or(wish.IssuerRef.Kind, cmv1.IssuerKind)).
			WithGroup(cmp.Or(wish.IssuerRef.Group, issuerGroup))).
		WithDNSNames(names.DNSNames...).
		WithIPAddresses(names.IPAddresses...).
		WithUsages(cmv1.UsageDigitalSignature, cmv1.UsageKeyEncipherment, cmv1.UsageServerAuth).
		WithPrivateKey(key)
	if wish.Duration != nil {
		spec.WithDuration(*wish.Duration)
	}
	if wish.RenewBefore != nil {
		spec.WithRenewBefore(*wish.RenewBefore)
	}
	certificate := cmv1ac.Certificate(fs.Name, fs.Namespace)
	certificate.ObjectMetaApplyConfiguration = meta(fs, fs.Name)
	return certificate.WithSpec(spec)
}

// CertificateNames are the names that a certificate of the operator's asking is valid for: those of the server, those that pods have behind a
// headless Service, and the user's.
func CertificateNames(fs *v1alpha1.FlightServer, serverNames []string, users v1alpha1.SubjectNames) v1alpha1.SubjectNames {
	var all v1alpha1.SubjectNames
	for _, name := range serverNames {
		if net.ParseIP(name) != nil {
			all.IPAddresses = append(all.IPAddresses, name)
		} else {
			all.DNSNames = append(all.DNSNames, name)
		}
	}
	service := fs.Name + "." + fs.Namespace + ".svc"
	for _, name := range serverNames {
		if name == service || len(name) > len(service) && name[:len(service)+1] == service+"." {
			all.DNSNames = append(all.DNSNames, "*."+name)
		}
	}
	for _, name := range users.DNSNames {
		if !slices.Contains(all.DNSNames, name) {
			all.DNSNames = append(all.DNSNames, name)
		}
	}
	for _, address := range users.IPAddresses {
		if !slices.Contains(all.IPAddresses, address) {
			all.IPAddresses = append(all.IPAddresses, address)
		}
	}
	return all
}

// keyKind is the algorithm and the size in bits of a private key, 0 for one that has no choice.
func keyKind(wish *v1alpha1.PrivateKey) (v1alpha1.KeyAlgorithm, int) {
	if wish == nil {
		wish = &v1alpha1.PrivateKey{}
	}
	switch algorithm := cmp.Or(wish.Algorithm, v1alpha1.KeyECDSA); algorithm {
	case v1alpha1.KeyRSA:
		return algorithm, int(cmp.Or(wish.Size, 2048))
	case v1alpha1.KeyEd25519:
		return algorithm, 0
	default:
		return algorithm, int(cmp.Or(wish.Size, 256))
	}
}

// CertificateSecret holds a certificate that the operator's own CA has issued: with its key, and the CA certificates that verify it.
func CertificateSecret(fs *v1alpha1.FlightServer, certificate, key, ca []byte) *corev1ac.SecretApplyConfiguration {
	name := config.SecretName(fs)
	secret := corev1ac.Secret(name, fs.Namespace)
	secret.ObjectMetaApplyConfiguration = meta(fs, name)
	return secret.WithType(corev1.SecretTypeTLS).
		WithData(map[string][]byte{config.CertKey: certificate, config.KeyKey: key, config.CAKey: ca})
}
