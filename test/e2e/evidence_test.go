package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// evidence collects all keys of this run, and all that was written where people and machines read it.
var evidence collection

type collection struct {
	mu      sync.Mutex
	keys    map[string]bool
	written []writing
}

type writing struct{ where, text string }

// key notes a private key in PEM, by each of its lines.
func (c *collection) key(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = map[string]bool{}
	}
	if !bytes.Contains(data, []byte("PRIVATE KEY")) {
		return
	}
	// As Secrets are written out: all of it in base64, of which a piece in the middle is enough.
	if encoded := base64.StdEncoding.EncodeToString(data); len(encoded) >= 160 {
		c.keys[encoded[100:160]] = true
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		for line := range bytes.Lines(pem.EncodeToMemory(block)) {
			// The first lines of keys of one kind are alike, and short ones are anywhere.
			if text := strings.TrimSpace(string(line)); len(text) >= 40 && !strings.HasPrefix(text, "-----") {
				c.keys[text] = true
			}
		}
	}
}

// watch collects at the end of a test what there is in a namespace.
func (c *collection) watch(t *testing.T, ns string) {
	t.Helper()
	t.Cleanup(func() { c.collect(t, ns) })
}

func (c *collection) collect(t *testing.T, ns string) {
	t.Helper()
	var secrets corev1.SecretList
	if err := cluster.List(context.Background(), &secrets, client.InNamespace(ns)); err != nil {
		t.Error(err)
	}
	for _, secret := range secrets.Items {
		for _, value := range secret.Data {
			c.key(value) // nothing but keys
		}
	}
	for _, args := range [][]string{
		{"get", "flightservers,configmaps,deployments,pods,services", "-o", "yaml"},
		{"get", "events", "-o", "yaml"},
		{"logs", "-l", v1alpha1.LabelManagedBy + "=" + v1alpha1.LabelManagedByValue, "--tail=-1", "--prefix"},
	} {
		text, err := try(context.Background(), "", "kubectl", append([]string{"-n", ns}, args...)...)
		if err != nil {
			t.Error(err)
		}
		c.write(ns+": kubectl "+strings.Join(args, " "), text)
	}
}

func (c *collection) write(where, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = append(c.written, writing{where, text})
}

// testNoKeyInSight searches all that was collected for keys.
func testNoKeyInSight(t *testing.T) {
	evidence.collect(t, systemNamespace)
	logs, err := try(t.Context(), "", "kubectl", "-n", systemNamespace, "logs", "-l", "app.kubernetes.io/name=flight-operator", "--tail=-1")
	if err != nil {
		t.Error(err)
	}
	evidence.write("the operator's log", logs)
	evidence.write("the operator's metrics", operatorMetrics(t))
	evidence.mu.Lock()
	defer evidence.mu.Unlock()
	size := 0
	for _, w := range evidence.written {
		size += len(w.text)
		if strings.Contains(w.text, "PRIVATE KEY") {
			t.Errorf("a private key in %s", w.where)
		}
		for line := range evidence.keys {
			if strings.Contains(w.text, line) {
				t.Errorf("a line of a private key in %s", w.where)
			}
		}
	}
	if len(evidence.keys) == 0 || size == 0 {
		t.Errorf("there was nothing to search: %d lines of keys, %d bytes", len(evidence.keys), size)
	}
	t.Logf("FIGURE %d lines of private keys looked for in %.1f MB of logs, events, statuses, ConfigMaps and metrics: none found, unless it says so above", len(evidence.keys), float64(size)/1e6)
}
