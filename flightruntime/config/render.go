package config

import (
	"fmt"
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// References are the objects that a FlightServer names, as they were found.
type References struct {
	// ConfigMaps holds, for each ConfigMap that exists, the Digest of each of its keys, of data and binaryData alike.
	ConfigMaps map[string]map[string]string
	// Claims holds the PersistentVolumeClaims that exist.
	Claims map[string]bool
	// ServerNames are those that a certificate has to be valid for one of, see the function of that name; none: any will do.
	ServerNames []string
	// OperatorCA holds the certificates in PEM by which servers know the operator; empty: they do not.
	OperatorCA string
	// Cluster has the cluster's own keys, for tokens of ServiceAccounts.
	Cluster ClusterKeys
	// Dirs says where the server finds them.
	Dirs Dirs
}

// ClusterKeys are the public keys of a cluster's tokens.
type ClusterKeys struct {
	// Issuer is who issues the tokens, and Keys the JSON Web Key Set that verifies them.
	Issuer, Keys string
}

// Dirs says in which directory a server finds what a FlightServer names.
type Dirs struct {
	// ConfigMap is the directory with a file for each key of a ConfigMap.
	ConfigMap func(name string) string
	// Claim is the root of a PersistentVolumeClaim.
	Claim func(name string) string
	// TLS is the directory with the certificate of a Secret and its key.
	TLS func(secret string) string
	// ClientCA is the file with a clientCA's certificates.
	ClientCA func(*v1alpha1.ClientCA) string
	// Auth is the directory with files of auth, by its name.
	Auth func(dir string) string
	// Cache is the folder of the disk cache, where that is not on a claim.
	Cache string
}

// PodDirs are the mount paths in a pod.
var PodDirs = Dirs{
	ConfigMap: func(name string) string { return path.Join("/var/lib/flight/configmaps", name) },
	Claim:     func(name string) string { return path.Join("/var/lib/flight/claims", name) },
	TLS:       func(string) string { return PodTLSDir },
	ClientCA:  func(*v1alpha1.ClientCA) string { return path.Join(PodClientCADir, CAKey) },
	Auth:      func(dir string) string { return path.Join("/var/lib/flight/auth", dir) },
	Cache:     PodCacheDir,
}

// Names are the ConfigMaps and claims that a FlightServer's datasets name, each once, in the order of the datasets, and the claim of its cache.
func Names(fs *v1alpha1.FlightServer) (configMaps, claims []string) {
	seen := map[string]bool{}
	once := func(names []string, kind, name string) []string {
		if seen[kind+"/"+name] {
			return names
		}
		seen[kind+"/"+name] = true
		return append(names, name)
	}
	for _, d := range fs.Spec.Datasets {
		if s := d.Source.ConfigMap; s != nil {
			configMaps = once(configMaps, "ConfigMap", s.Name)
		}
		if s := d.Source.Volume; s != nil {
			claims = once(claims, "PersistentVolumeClaim", s.ClaimName)
		}
	}
	if claim := CacheClaim(fs); claim != "" {
		claims = once(claims, "PersistentVolumeClaim", claim)
	}
	return configMaps, claims
}

// WrittenClaims are the claims that servers write to: those of datasets that clients may put into, and that of the cache.
func WrittenClaims(fs *v1alpha1.FlightServer) map[string]bool {
	claims := map[string]bool{}
	for _, d := range fs.Spec.Datasets {
		if s := d.Source.Volume; s != nil && AllowedBy(d.Access).Append {
			claims[s.ClaimName] = true
		}
	}
	if claim := CacheClaim(fs); claim != "" {
		claims[claim] = true
	}
	return claims
}

// Render gives the configuration of a FlightServer's servers, with all defaults filled in. What the FlightServer names and is not there
// becomes Missing in its dataset, so that the others go on being served. The errors name fields of the FlightServer.
func Render(fs *v1alpha1.FlightServer, refs References) (*Config, field.ErrorList) {
	c := &Config{
		APIVersion: APIVersion,
		Kind:       Kind,
		Name:       path.Join(fs.Namespace, fs.Name),
		Limits:     renderLimits(fs.Spec.Limits),
	}
	if s := fs.Spec.Service; s != nil {
		c.ExternalAddress = s.ExternalAddress
	}
	errs := c.Limits.validate(field.NewPath("spec", "limits"))
	tls, tlsErrs := renderTLS(fs, refs)
	c.TLS, errs = tls, append(errs, tlsErrs...)
	c.Auth = renderAuth(fs, refs)
	cache, cacheErrs := renderCache(fs, refs)
	c.Cache, errs = cache, append(errs, cacheErrs...)
	seen := map[string]bool{}
	for i, d := range fs.Spec.Datasets {
		at := field.NewPath("spec", "datasets").Index(i)
		rendered, renderErrs := renderDataset(at, d, fs.Namespace, refs)
		errs = append(errs, renderErrs...)
		if seen[d.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), d.Name))
		}
		seen[d.Name] = true
		c.Datasets = append(c.Datasets, rendered)
	}
	return c, errs
}

func renderLimits(l *v1alpha1.Limits) Limits {
	limits := DefaultLimits()
	if l == nil {
		return limits
	}
	if l.MaxMessageBytes != nil {
		limits.MaxMessageBytes = l.MaxMessageBytes.Value()
	}
	if l.MaxStreams != nil {
		limits.MaxStreams = *l.MaxStreams
	}
	if l.MaxCallDuration != nil {
		limits.MaxCallDuration = *l.MaxCallDuration
	}
	if l.MaxConnectionAge != nil {
		limits.MaxConnectionAge = *l.MaxConnectionAge
	}
	if l.DrainTimeout != nil {
		limits.DrainTimeout = *l.DrainTimeout
	}
	return limits
}

func renderDataset(at *field.Path, d v1alpha1.Dataset, namespace string, refs References) (Dataset, field.ErrorList) {
	out := Dataset{Name: d.Name, Description: d.Description, Format: string(d.Format), Cache: cacheMode(d)}
	if sources(d.Source) != 1 {
		return out, field.ErrorList{field.Required(at.Child("source"), "set exactly one of inline, configMap and volume")}
	}
	name := ""
	switch s := d.Source; {
	case s.Inline != nil:
		out.Inline = &Inline{Data: s.Inline.Data}
	case s.ConfigMap != nil:
		name = s.ConfigMap.Key
		out.Files, out.Missing = configMapFiles(s.ConfigMap, namespace, refs)
	case s.Volume != nil:
		name = s.Volume.Path
		out.Files, out.Missing = volumeFiles(s.Volume, namespace, refs)
		out.RefreshInterval = refreshInterval(d.Refresh)
		if errs := ValidatePath(at.Child("source", "volume", "path"), s.Volume.Path); len(errs) > 0 {
			return out, errs
		}
	}
	if out.Format == "" && d.Source.Inline != nil {
		return out, field.ErrorList{field.Required(at.Child("format"), "inline data is text: set format to CSV or JSON")}
	}
	if out.Format == "" {
		var known bool
		if out.Format, known = FormatByExtension(name); !known {
			return out, field.ErrorList{field.Required(at.Child("format"), fmt.Sprintf("the format cannot be told from %q: set one of %v", name, formats))}
		}
	}
	if AllowedBy(d.Access).Append {
		out.Access = d.Access
		return out, validateAppend(appendFields{access: at.Child("access"), format: at.Child("format"), path: at.Child("source", "volume", "path")},
			d.Access, out.Format, name, d.Source.Volume != nil)
	}
	return out, nil
}

// sources is the number of the source's members that are set.
func sources(s v1alpha1.DatasetSource) int {
	n := 0
	for _, set := range []bool{s.Inline != nil, s.ConfigMap != nil, s.Volume != nil} {
		if set {
			n++
		}
	}
	return n
}

func configMapFiles(s *v1alpha1.ConfigMapSource, namespace string, refs References) (*Files, string) {
	keys, ok := refs.ConfigMaps[s.Name]
	if !ok {
		return nil, fmt.Sprintf("ConfigMap %s does not exist: create it with the key %q", path.Join(namespace, s.Name), s.Key)
	}
	digest, ok := keys[s.Key]
	if !ok {
		return nil, fmt.Sprintf("ConfigMap %s has no key %q: add it", path.Join(namespace, s.Name), s.Key)
	}
	return &Files{Root: refs.Dirs.ConfigMap(s.Name), Path: s.Key, SHA256: digest}, ""
}

func volumeFiles(s *v1alpha1.VolumeSource, namespace string, refs References) (*Files, string) {
	if !refs.Claims[s.ClaimName] {
		return nil, missingClaim(namespace, s.ClaimName)
	}
	return &Files{Root: refs.Dirs.Claim(s.ClaimName), Path: s.Path}, ""
}

func missingClaim(namespace, name string) string {
	return fmt.Sprintf("PersistentVolumeClaim %s does not exist: create it", path.Join(namespace, name))
}

func refreshInterval(r *v1alpha1.Refresh) metav1.Duration {
	if r == nil || r.Interval == nil {
		return metav1.Duration{Duration: DefaultRefreshInterval}
	}
	return *r.Interval
}
