package config

import (
	"cmp"
	"net/url"
	"path"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// TLS is where a server finds its certificate, and whom it asks for one. Whether there is any is fixed for the life of a process; all that
// it says is followed as it changes.
type TLS struct {
	// CertFile and KeyFile are the certificate, with its chain, and its key in PEM. They may appear after the server has started.
	CertFile string `json:"certFile"`
	KeyFile  string `json:"keyFile"`
	// Names are those of the server. A certificate has to be valid for one of them; any will do if there are none.
	Names []string `json:"names,omitempty"`
	// MinVersion is the oldest version of TLS that is spoken.
	MinVersion v1alpha1.TLSVersion `json:"minVersion"`
	// ClientCA is whose certificates clients have to show; nil if they are not asked.
	ClientCA *ClientCA `json:"clientCA,omitempty"`
	// OperatorCA holds certificates in PEM: a client whose certificate one of them has signed, and which has the URI certs.OperatorURI, is the operator.
	OperatorCA string `json:"operatorCA,omitempty"`
}

// ClientCA is whose certificates clients have to show.
type ClientCA struct {
	// File of CA certificates in PEM. It may appear after the server has started: until then no client's certificate is good.
	File string                `json:"file"`
	Mode v1alpha1.ClientCAMode `json:"mode"`
}

// Names of files and keys of TLS, as in Secrets of type kubernetes.io/tls.
const (
	CertKey = "tls.crt"
	KeyKey  = "tls.key"
	CAKey   = "ca.crt"
)

// What the names of Secrets that the operator names end in. They differ, so that neither issuer finds its Secret taken by what the other one left.
const (
	CertManagerSecretSuffix = "-tls"
	OperatorSecretSuffix    = "-operator-tls"
)

// SecretName is the name of the Secret with a FlightServer's certificate, empty without TLS. Where the certificate is not the user's own, it
// is the operator who names the Secret.
func SecretName(fs *v1alpha1.FlightServer) string {
	switch t := fs.Spec.TLS; {
	case t == nil:
		return ""
	case t.SecretRef != nil:
		return t.SecretRef.Name
	case t.OperatorCA != nil:
		return fs.Name + OperatorSecretSuffix
	default:
		return fs.Name + CertManagerSecretSuffix
	}
}

// SecretNames are all Secrets that spec.tls and spec.auth name, each once.
func SecretNames(fs *v1alpha1.FlightServer) (names []string) {
	add := func(kind, name string) {
		if kind == "Secret" && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add("Secret", SecretName(fs))
	if t := fs.Spec.TLS; t != nil && t.ClientCA != nil {
		kind, name, _ := ClientCAKey(t.ClientCA)
		add(kind, name)
	}
	for _, f := range AuthFiles(fs) {
		add(f.Kind, f.Name)
	}
	return names
}

// ServerNames are the names by which clients know a FlightServer's servers: those of the Service, and the host of its external address.
// Without a cluster domain, the one of full length is left out.
func ServerNames(fs *v1alpha1.FlightServer, clusterDomain string) []string {
	service := fs.Name + "." + fs.Namespace + ".svc"
	names := []string{service}
	if clusterDomain != "" {
		names = append(names, service+"."+clusterDomain)
	}
	names = append(names, fs.Name+"."+fs.Namespace, fs.Name)
	if s := fs.Spec.Service; s != nil && s.ExternalAddress != "" {
		if u, err := url.Parse(s.ExternalAddress); err == nil && u.Hostname() != "" && !slices.Contains(names, u.Hostname()) {
			names = append(names, u.Hostname())
		}
	}
	return names
}

// ClientCAKey is the key of the Secret or ConfigMap that a clientCA names.
func ClientCAKey(ca *v1alpha1.ClientCA) (kind, name, key string) {
	if r := ca.SecretRef; r != nil {
		return "Secret", r.Name, cmp.Or(r.Key, CAKey)
	}
	if r := ca.ConfigMapRef; r != nil {
		return "ConfigMap", r.Name, cmp.Or(r.Key, CAKey)
	}
	return "", "", ""
}

// renderTLS is nil for a FlightServer without TLS.
func renderTLS(fs *v1alpha1.FlightServer, refs References) (*TLS, field.ErrorList) {
	wish, at := fs.Spec.TLS, field.NewPath("spec", "tls")
	if wish == nil {
		return nil, nil
	}
	sources := 0
	for _, set := range []bool{wish.SecretRef != nil, wish.Certificate != nil, wish.OperatorCA != nil} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		return nil, field.ErrorList{field.Required(at, "set exactly one of secretRef, certificate and operatorCA")}
	}
	dir := refs.Dirs.TLS(SecretName(fs))
	t := &TLS{
		CertFile:   path.Join(dir, CertKey),
		KeyFile:    path.Join(dir, KeyKey),
		Names:      refs.ServerNames,
		MinVersion: cmp.Or(wish.MinVersion, v1alpha1.TLS12),
		OperatorCA: refs.OperatorCA,
	}
	if ca := wish.ClientCA; ca != nil {
		if (ca.SecretRef != nil) == (ca.ConfigMapRef != nil) {
			return nil, field.ErrorList{field.Required(at.Child("clientCA"), "set exactly one of secretRef and configMapRef")}
		}
		t.ClientCA = &ClientCA{File: refs.Dirs.ClientCA(ca), Mode: cmp.Or(ca.Mode, v1alpha1.ClientCARequired)}
	}
	return t, nil
}

// validate tells what breaks a rule. A nil TLS breaks none.
func (t *TLS) validate(at *field.Path) (errs field.ErrorList) {
	if t == nil {
		return nil
	}
	absolute := func(at *field.Path, file string) {
		if !filepath.IsAbs(file) {
			errs = append(errs, field.Invalid(at, file, "expected an absolute path"))
		}
	}
	absolute(at.Child("certFile"), t.CertFile)
	absolute(at.Child("keyFile"), t.KeyFile)
	versions := []v1alpha1.TLSVersion{v1alpha1.TLS12, v1alpha1.TLS13}
	if !slices.Contains(versions, t.MinVersion) {
		errs = append(errs, field.NotSupported(at.Child("minVersion"), t.MinVersion, versions))
	}
	if t.OperatorCA != "" {
		if _, err := certs.ParseBundle([]byte(t.OperatorCA)); err != nil {
			errs = append(errs, field.Invalid(at.Child("operatorCA"), field.OmitValueType{}, err.Error()))
		}
	}
	if ca := t.ClientCA; ca != nil {
		absolute(at.Child("clientCA", "file"), ca.File)
		modes := []v1alpha1.ClientCAMode{v1alpha1.ClientCARequired, v1alpha1.ClientCAOptional}
		if !slices.Contains(modes, ca.Mode) {
			errs = append(errs, field.NotSupported(at.Child("clientCA", "mode"), ca.Mode, modes))
		}
	}
	return errs
}

// Folders of a pod with the certificate and with the file of a clientCA, whatever the names of the objects behind them.
const (
	PodTLSDir      = "/var/lib/flight/tls"
	PodClientCADir = "/var/lib/flight/client-ca"
)
