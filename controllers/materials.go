package controllers

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// materials finds what FlightServers name for TLS and auth. Contents come from the API server, whenever they changed; what is kept of them is what follows
// from them, and no key.
type materials struct {
	live       client.Reader
	configMaps configMaps
	secrets    *secretWatch

	mu    sync.Mutex
	known map[types.NamespacedName]material
}

// material is what one FlightServer has for TLS and auth.
type material struct {
	certificate certificateFacts
	clientCA    bundleFacts
	auth        authFacts
}

// certificateFacts are what one version of a Secret says of a certificate.
type certificateFacts struct {
	version version
	// parsed is the certificate, without its key; nil if there is none that can be read.
	parsed *certs.Certificate
	// problem is why there is none.
	problem *certs.Problem
	// ca are the certificates in PEM that clients verify it by; empty if the Secret does not say.
	ca []byte
}

// bundleFacts are what one version of a ConfigMap or Secret says of CA certificates.
type bundleFacts struct {
	version version
	// item is the key of the object's data that they are of.
	item string
	// digest is that of the file, empty if there is none that can be read.
	digest  string
	problem *status.Problem
}

func newMaterials(cache, live client.Reader, secrets *secretWatch) *materials {
	return &materials{live: live, configMaps: configMaps{cache, live}, secrets: secrets, known: map[types.NamespacedName]material{}}
}

// load finds what a FlightServer has for TLS and auth.
func (m *materials) load(ctx context.Context, fs *v1alpha1.FlightServer) (material, error) {
	key := client.ObjectKeyFromObject(fs)
	m.secrets.follow(key, config.SecretNames(fs)...)
	m.mu.Lock()
	before := m.known[key]
	m.mu.Unlock()
	var now material
	var err error
	if t := fs.Spec.TLS; t != nil {
		secret := types.NamespacedName{Namespace: fs.Namespace, Name: config.SecretName(fs)}
		if now.certificate, err = m.certificate(ctx, secret, before.certificate); err != nil {
			return now, err
		}
		if t.ClientCA != nil {
			if now.clientCA, err = m.bundle(ctx, fs.Namespace, t.ClientCA, before.clientCA); err != nil {
				return now, err
			}
		}
	}
	if now.auth, err = m.auth(ctx, fs, before.auth); err != nil {
		return now, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[key] = now
	return now, nil
}

// loadMaterial finds what a FlightServer has for TLS and auth.
func (r *FlightServerReconciler) loadMaterial(ctx context.Context, s *scope) (err error) {
	if s.fs.Spec.TLS == nil && s.fs.Spec.Auth == nil {
		r.materials.forget(s.key)
		return nil
	}
	s.material, err = r.materials.load(ctx, s.fs)
	return err
}

// invalidate has the next load read everything anew.
func (m *materials) invalidate(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, key)
}

// forget drops all that is held of a FlightServer, and ends its watches.
func (m *materials) forget(key types.NamespacedName) {
	m.secrets.follow(key)
	m.invalidate(key)
}

// certificate reads the Secret, if it is not as it was before.
func (m *materials) certificate(ctx context.Context, key types.NamespacedName, before certificateFacts) (certificateFacts, error) {
	secret, changed, err := m.secret(ctx, key, before.version)
	if !changed || err != nil {
		return before, err
	}
	facts := certificateFacts{version: versionOf(secret)}
	certificate, problem := judge(key.Name, secret)
	if facts.problem = problem; problem == nil {
		facts.parsed = &certs.Certificate{Leaf: certificate.Leaf, Digest: certificate.Digest}
		facts.ca = clientsCA(secret.Data[config.CAKey], certificate)
	}
	return facts, nil
}

// secret reads a Secret if it is not of the version that is known. One that does not exist is empty.
func (m *materials) secret(ctx context.Context, key types.NamespacedName, known version) (secret *corev1.Secret, changed bool, err error) {
	secret = &corev1.Secret{}
	if seen, ok := m.secrets.version(key); ok && seen == known && known != (version{}) {
		return secret, false, nil
	}
	err = m.live.Get(ctx, key, secret)
	if client.IgnoreNotFound(err) != nil {
		return secret, false, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	return secret, true, nil
}

// judge reads the certificate of a Secret, which is empty if it does not exist.
func judge(name string, secret *corev1.Secret) (*certs.Certificate, *certs.Problem) {
	missing := func(format string, args ...any) *certs.Problem {
		return &certs.Problem{Reason: certs.ReasonMissing, Message: fmt.Sprintf(format, args...)}
	}
	if secret.UID == "" {
		return nil, missing("Secret %s does not exist: create it, of type kubernetes.io/tls", name)
	}
	for _, key := range []string{config.CertKey, config.KeyKey} {
		if len(secret.Data[key]) == 0 {
			return nil, missing("Secret %s has no %s: add it", name, key)
		}
	}
	certificate, err := certs.Parse(secret.Data[config.CertKey], secret.Data[config.KeyKey])
	if err != nil {
		return nil, problemOf(err, "Secret "+name+": ")
	}
	return certificate, nil
}

// problemOf is an error of package certs, with what it is about before its message.
func problemOf(err error, about string) *certs.Problem {
	var p *certs.Problem
	if !errors.As(err, &p) {
		p = &certs.Problem{Reason: certs.ReasonMalformed, Message: err.Error()}
	}
	return &certs.Problem{Reason: p.Reason, Message: about + p.Message}
}

// clientsCA are the certificates that clients need to verify a certificate: those that its issuer has put beside it, or the self-signed ones of
// its chain.
func clientsCA(given []byte, c *certs.Certificate) []byte {
	if _, err := certs.ParseBundle(given); err == nil {
		return given
	}
	var out bytes.Buffer
	for _, der := range c.Pair.Certificate {
		if link, err := x509.ParseCertificate(der); err == nil && bytes.Equal(link.RawIssuer, link.RawSubject) {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes all
		}
	}
	return out.Bytes()
}

// bundle reads the CA certificates that clients are checked against, if they are not as they were before.
func (m *materials) bundle(ctx context.Context, namespace string, ca *v1alpha1.ClientCA, before bundleFacts) (bundleFacts, error) {
	kind, name, item := config.ClientCAKey(ca)
	if before.item != item {
		before = bundleFacts{} // another key of the same version
	}
	key := types.NamespacedName{Namespace: namespace, Name: name}
	var data []byte
	var found version
	if kind == kindSecret {
		secret, changed, err := m.secret(ctx, key, before.version)
		if !changed || err != nil {
			return before, err
		}
		data, found = secret.Data[item], versionOf(secret)
	} else {
		cm, changed, err := m.configMaps.read(ctx, key, before.version)
		if !changed || err != nil {
			return before, err
		}
		data, found = cm.BinaryData[item], versionOf(cm)
		if text, ok := cm.Data[item]; ok {
			data = []byte(text)
		}
	}
	facts := bundleFacts{version: found, item: item}
	invalid := func(format string, args ...any) (bundleFacts, error) {
		facts.problem = &status.Problem{Reason: v1alpha1.ReasonClientCAInvalid, Message: "spec.tls.clientCA: " + fmt.Sprintf(format, args...)}
		return facts, nil
	}
	switch {
	case found == version{}:
		return invalid("%s %s does not exist: create it; until then no client's certificate is taken", kind, name)
	case len(data) == 0:
		return invalid("%s %s has no %s: add it; until then no client's certificate is taken", kind, name, item)
	}
	if _, err := certs.ParseBundle(data); err != nil {
		return invalid("%s of %s %s: %s; the CA certificates before, if any, go on being used", item, kind, name, problemOf(err, "").Message)
	}
	facts.digest = certs.Digest(data)
	return facts, nil
}
