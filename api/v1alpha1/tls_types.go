package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TLS is where the servers' certificate comes from, and whom they ask for one.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secretRef) ? 1 : 0) + (has(self.certificate) ? 1 : 0) + (has(self.operatorCA) ? 1 : 0) == 1",message="set exactly one of secretRef, certificate and operatorCA"
type TLS struct {
	// A kubernetes.io/tls Secret in this namespace, whoever writes it. It may be created later. Whenever it changes, every server presents the
	// new certificate, and no stream ends.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
	// A cert-manager Certificate that the operator creates. cert-manager has to be installed.
	// +optional
	Certificate *Certificate `json:"certificate,omitempty"`
	// A certificate that the operator's own CA issues and renews, where there is no cert-manager. Clients find the CA in the ConfigMap NAME-client.
	// +optional
	OperatorCA *OperatorCA `json:"operatorCA,omitempty"`

	// Asks clients for certificates (mTLS).
	// +optional
	ClientCA *ClientCA `json:"clientCA,omitempty"`
	// Oldest version of TLS that the servers speak, TLS12 if left out.
	// +optional
	MinVersion TLSVersion `json:"minVersion,omitempty"`
}

// TLSVersion is a version of TLS.
// +kubebuilder:validation:Enum=TLS12;TLS13
type TLSVersion string

// Values of TLSVersion.
const (
	// TLS12: TLS 1.2 and later.
	TLS12 TLSVersion = "TLS12"
	// TLS13: TLS 1.3 and later.
	TLS13 TLSVersion = "TLS13"
)

// Certificate is what cert-manager is asked for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.renewBefore) || duration(self.renewBefore) < (has(self.duration) ? duration(self.duration) : duration('2160h'))",message="renewBefore has to be shorter than duration (2160h if left out)",fieldPath=".renewBefore"
type Certificate struct {
	// Who issues the certificate.
	IssuerRef IssuerReference `json:"issuerRef"`
	// Lifetime of a certificate, cert-manager's default (90 days) if left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('1h')",message="expected a duration of at least 1h, for instance 2160h"
	Duration *metav1.Duration `json:"duration,omitempty"`
	// Time before the end of a certificate at which it is renewed, a third of its lifetime if left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('5m')",message="expected a duration of at least 5m, for instance 720h"
	RenewBefore *metav1.Duration `json:"renewBefore,omitempty"`
	// Key of the certificate, ECDSA P-256 if left out. Each renewal makes a new one.
	// +optional
	PrivateKey *PrivateKey `json:"privateKey,omitempty"`
	// Names and addresses beyond those of the Service and the pods.
	SubjectNames `json:",inline"`
}

// IssuerReference names who issues a certificate.
type IssuerReference struct {
	// Name of the issuer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="an issuer's name is made of lower-case letters, digits, '-' and '.'"
	Name string `json:"name"`
	// Kind of the issuer, Issuer if left out: one in this namespace. ClusterIssuer is one of the cluster.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// API group of the issuer, cert-manager.io if left out.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
}

// PrivateKey is the kind of a certificate's key.
//
// +kubebuilder:validation:XValidation:rule="!has(self.size) || (has(self.algorithm) && self.algorithm == 'RSA' ? self.size in [2048, 3072, 4096, 8192] : (!has(self.algorithm) || self.algorithm == 'ECDSA') && self.size in [256, 384, 521])",message="RSA keys have 2048, 3072, 4096 or 8192 bits, ECDSA keys 256, 384 or 521, and Ed25519 keys no choice",fieldPath=".size"
type PrivateKey struct {
	// Algorithm of the key, ECDSA if left out.
	// +optional
	// +kubebuilder:validation:Enum=RSA;ECDSA;Ed25519
	Algorithm KeyAlgorithm `json:"algorithm,omitempty"`
	// Bits of the key: 256 for ECDSA and 2048 for RSA if left out.
	// +optional
	Size int32 `json:"size,omitempty"`
}

// KeyAlgorithm is the algorithm of a private key, in cert-manager's words.
type KeyAlgorithm string

// Values of KeyAlgorithm.
const (
	KeyRSA     KeyAlgorithm = "RSA"
	KeyECDSA   KeyAlgorithm = "ECDSA"
	KeyEd25519 KeyAlgorithm = "Ed25519"
)

// SubjectNames are further names that a certificate is valid for.
type SubjectNames struct {
	// Further DNS names, such as flight.example.com. The host of service.externalAddress is among them by itself.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:MinLength=1
	DNSNames []string `json:"dnsNames,omitempty"`
	// Further IP addresses.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(a, isIP(a))",message="expected IP addresses such as 192.0.2.7 or 2001:db8::7"
	IPAddresses []string `json:"ipAddresses,omitempty"`
}

// OperatorCA is what the operator's own CA is asked for.
type OperatorCA struct {
	// Lifetime of a certificate, 2160h (90 days) if left out. It is renewed after two thirds.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('1m') && duration(self) <= duration('8784h')",message="expected a duration between 1m and 8784h, for instance 2160h"
	Duration *metav1.Duration `json:"duration,omitempty"`
	// Key of the certificate, ECDSA P-256 if left out. Each renewal makes a new one.
	// +optional
	PrivateKey *PrivateKey `json:"privateKey,omitempty"`
	// Names and addresses beyond those of the Service and the pods.
	SubjectNames `json:",inline"`
}

// ClientCA is whose certificates clients have to show.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secretRef) ? 1 : 0) + (has(self.configMapRef) ? 1 : 0) == 1",message="set exactly one of secretRef and configMapRef"
type ClientCA struct {
	// CA certificates in PEM, in a Secret of this namespace. It may be created later; until then no client is let in.
	// +optional
	SecretRef *KeyReference `json:"secretRef,omitempty"`
	// CA certificates in PEM, in a ConfigMap of this namespace. It may be created later; until then no client is let in.
	// +optional
	ConfigMapRef *KeyReference `json:"configMapRef,omitempty"`
	// Whether a client without a certificate is refused: Required if left out.
	// +optional
	Mode ClientCAMode `json:"mode,omitempty"`
}

// ClientCAMode says whether clients have to show a certificate.
// +kubebuilder:validation:Enum=Required;Optional
type ClientCAMode string

// Values of ClientCAMode.
const (
	// ClientCARequired: a client without a certificate is refused.
	ClientCARequired ClientCAMode = "Required"
	// ClientCAOptional: a client without a certificate is let in, one with a bad certificate is refused.
	ClientCAOptional ClientCAMode = "Optional"
)

// KeyReference names a key of a Secret or ConfigMap in the FlightServer's namespace.
type KeyReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="the object's name is made of lower-case letters, digits, '-' and '.'"
	Name string `json:"name"`
	// Key in it, ca.crt if left out.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..')",message="a key is made of letters, digits, '-', '_' and '.', and does not start with '..'"
	Key string `json:"key,omitempty"`
}

// CertificateStatus is the certificate that the servers should present, the last good one, and how many do.
type CertificateStatus struct {
	// Secret that the certificate comes from.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// SHA-256 of the certificate in DER, in lower-case hexadecimal: openssl x509 -fingerprint -sha256, without the colons.
	// +optional
	Fingerprint string `json:"fingerprint,omitempty"`
	// Serial number, in lower-case hexadecimal.
	// +optional
	Serial string `json:"serial,omitempty"`
	// Distinguished name of the issuer.
	// +optional
	Issuer string `json:"issuer,omitempty"`
	// When the certificate begins to be valid.
	// +optional
	NotBefore *metav1.Time `json:"notBefore,omitempty"`
	// When the certificate ends.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	// When it will be renewed, by whoever renews it, where that is known.
	// +optional
	RenewalTime *metav1.Time `json:"renewalTime,omitempty"`
	// Servers that were seen to present it, of those that are ready, for instance "2/2".
	// +optional
	ServedBy string `json:"servedBy,omitempty"`
}
