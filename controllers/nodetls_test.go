package controllers_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// nodeTLS is the certificate of one pod's server: as a real one, it keeps the last good.
type nodeTLS struct {
	mu       sync.Mutex
	current  *certs.Certificate
	clientCA string
	message  string
}

var errNothingToPresent = errors.New("no certificate")

func (n *nodeTLS) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			if n.current == nil {
				return nil, errNothingToPresent
			}
			return &n.current.Pair, nil
		},
	}
}

// mount brings the volumes of a pod up to date, as they are specified in it.
func (n *nodeTLS) mount(ctx context.Context, w *world, pod *corev1.Pod, c *config.TLS) error {
	files := map[string][]byte{}
	for _, v := range pod.Spec.Volumes {
		data, items, err := w.volume(ctx, v)
		if err != nil {
			return err
		}
		for _, mount := range pod.Spec.Containers[0].VolumeMounts {
			if mount.Name != v.Name {
				continue
			}
			for _, item := range items {
				if content, ok := data[item.Key]; ok {
					files[mount.MountPath+"/"+item.Path] = content
				}
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.message = ""
	loaded, err := certs.Parse(files[c.CertFile], files[c.KeyFile])
	if err == nil {
		err = loaded.Check(c.Names, time.Now())
	}
	switch {
	case err == nil || n.current == nil && loaded != nil:
		n.current = loaded
	default:
		n.message = err.Error()
	}
	if c.ClientCA != nil {
		if bundle := files[c.ClientCA.File]; len(bundle) > 0 {
			n.clientCA = certs.Digest(bundle)
		}
	}
	return nil
}

// volume reads the object behind a volume with items; other volumes are empty.
func (w *world) volume(ctx context.Context, v corev1.Volume) (data map[string][]byte, items []corev1.KeyToPath, err error) {
	switch {
	case v.Secret != nil && len(v.Secret.Items) > 0:
		var secret corev1.Secret
		err = w.client.Get(ctx, w.key(v.Secret.SecretName), &secret)
		data, items = secret.Data, v.Secret.Items
	case v.ConfigMap != nil && len(v.ConfigMap.Items) > 0:
		var cm corev1.ConfigMap
		err = w.client.Get(ctx, w.key(v.ConfigMap.Name), &cm)
		data, items = map[string][]byte{}, v.ConfigMap.Items
		for key, text := range cm.Data {
			data[key] = []byte(text)
		}
	}
	return data, items, client.IgnoreNotFound(err)
}

func (n *nodeTLS) health() *flightruntime.CertificateHealth {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &flightruntime.CertificateHealth{ClientCADigest: n.clientCA, Message: n.message}
	if n.current != nil {
		h.Fingerprint, h.Digest, h.NotAfter = certs.Fingerprint(n.current.Leaf), n.current.Digest, n.current.Leaf.NotAfter
	}
	if n.message != "" {
		h.Reason = strings.Fields(n.message)[0]
	}
	return h
}

// clientCAs are the digests of the CA certificates that the servers check clients against.
func (n *nodes) clientCAs() (digests []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, node := range n.pods {
		digests = append(digests, node.tls.health().ClientCADigest)
	}
	return digests
}
