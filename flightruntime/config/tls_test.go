package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// caPEM is a CA of the operator.
const caPEM = `-----BEGIN CERTIFICATE-----
MIIBfjCCASOgAwIBAgIUdWp6b9ETO8Jy7RF3v7a8f0xrFVMwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIb3BlcmF0b3IwIBcNMjYxMTI4MTMzOTU1WhgPMjEyNjExMDQx
MzM5NTVaMBMxETAPBgNVBAMMCG9wZXJhdG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEWfzcxIBHAfkZUDWe4WMA6d5JWNQ140m0o5i/1RSLvX0Uovt4xSJSzHTZ
CkrbQ60neBTN7koNu/azs1xeCPQUYKNTMFEwHQYDVR0OBBYEFB5dFrUO/t9jNCAP
/FWs2Eo+RcOIMB8GA1UdIwQYMBaAFB5dFrUO/t9jNCAP/FWs2Eo+RcOIMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAMyQQS2WEPEhe0lWdxxQAHkj
eqrkZSA8v2UJgfa2RHLXAiEA4BiY3DJzQoMm4xrA1EW2D7R7P5/jh5xxd4rRaJMf
uWc=
-----END CERTIFICATE-----
`

func withTLS(t v1alpha1.TLS) *v1alpha1.FlightServer {
	fs := flightServer()
	fs.Spec.TLS = &t
	return fs
}

func TestRenderTLS(t *testing.T) {
	refs := present
	refs.ServerNames, refs.OperatorCA = []string{"taxi.data.svc"}, caPEM
	base := TLS{CertFile: "/var/lib/flight/tls/tls.crt", KeyFile: "/var/lib/flight/tls/tls.key", Names: []string{"taxi.data.svc"}, MinVersion: "TLS12", OperatorCA: caPEM}
	secret := &v1alpha1.LocalReference{Name: "cert"}
	for _, tt := range []struct {
		name   string
		wish   v1alpha1.TLS
		secret string
		want   func(*TLS)
	}{
		{"a Secret of the user's", v1alpha1.TLS{SecretRef: secret}, "cert", func(*TLS) {}},
		{"a Certificate", v1alpha1.TLS{Certificate: &v1alpha1.Certificate{}}, "taxi-tls", func(*TLS) {}},
		{"the operator's CA", v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}}, "taxi-operator-tls", func(*TLS) {}},
		{"TLS 1.3", v1alpha1.TLS{SecretRef: secret, MinVersion: "TLS13"}, "cert", func(c *TLS) { c.MinVersion = "TLS13" }},
		{
			"clients' certificates",
			v1alpha1.TLS{SecretRef: secret, ClientCA: &v1alpha1.ClientCA{SecretRef: &v1alpha1.KeyReference{Name: "clients"}}},
			"cert",
			func(c *TLS) { c.ClientCA = &ClientCA{File: "/var/lib/flight/client-ca/ca.crt", Mode: "Required"} },
		},
		{
			"clients' certificates, if they have any",
			v1alpha1.TLS{SecretRef: secret, ClientCA: &v1alpha1.ClientCA{ConfigMapRef: &v1alpha1.KeyReference{Name: "clients", Key: "bundle"}, Mode: "Optional"}},
			"cert",
			func(c *TLS) { c.ClientCA = &ClientCA{File: "/var/lib/flight/client-ca/ca.crt", Mode: "Optional"} },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs, want := withTLS(tt.wish), base
			tt.want(&want)
			got, errs := Render(fs, refs)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if diff := cmp.Diff(&want, got.TLS); diff != "" {
				t.Error(diff)
			}
			if errs := got.Validate(); len(errs) > 0 {
				t.Error(errs)
			}
			if name := SecretName(fs); name != tt.secret {
				t.Errorf("the Secret is %q, expected %q", name, tt.secret)
			}
		})
	}
	t.Run("plain text", func(t *testing.T) {
		got, errs := Render(flightServer(), refs)
		if got.TLS != nil || len(errs) > 0 || SecretName(flightServer()) != "" {
			t.Errorf("%+v, %v", got.TLS, errs)
		}
	})
}

func TestRenderTLSRefusals(t *testing.T) {
	for _, tt := range []struct {
		name, message string
		wish          v1alpha1.TLS
	}{
		{"no source", "spec.tls: Required value: set exactly one of", v1alpha1.TLS{}},
		{"two sources", "spec.tls: Required value: set exactly one of", v1alpha1.TLS{SecretRef: &v1alpha1.LocalReference{Name: "a"}, OperatorCA: &v1alpha1.OperatorCA{}}},
		{"no clientCA", "spec.tls.clientCA: Required value: set exactly one of", v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}, ClientCA: &v1alpha1.ClientCA{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, errs := Render(withTLS(tt.wish), present)
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.message) {
				t.Errorf("expected %q, got %v", tt.message, errs)
			}
		})
	}
}

func TestValidateTLS(t *testing.T) {
	good := TLS{CertFile: "/a/tls.crt", KeyFile: "/a/tls.key", MinVersion: "TLS12"}
	for _, tt := range []struct {
		name, field string
		spoil       func(*TLS)
	}{
		{"a relative certificate", "tls.certFile", func(t *TLS) { t.CertFile = "tls.crt" }},
		{"no key", "tls.keyFile", func(t *TLS) { t.KeyFile = "" }},
		{"no version", "tls.minVersion", func(t *TLS) { t.MinVersion = "" }},
		{"an operator's CA that is none", "tls.operatorCA", func(t *TLS) { t.OperatorCA = "PEM" }},
		{"a relative bundle", "tls.clientCA.file", func(t *TLS) { t.ClientCA = &ClientCA{File: "ca.crt", Mode: "Required"} }},
		{"an unknown mode", "tls.clientCA.mode", func(t *TLS) { t.ClientCA = &ClientCA{File: "/ca.crt", Mode: "Perhaps"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.spoil(&c)
			errs := c.validate(field.NewPath("tls"))
			if len(errs) != 1 || errs[0].Field != tt.field {
				t.Errorf("expected an error of %s, got %v", tt.field, errs)
			}
		})
	}
	if errs := good.validate(field.NewPath("tls")); len(errs) > 0 {
		t.Error(errs)
	}
	short := DefaultLimits()
	short.MaxConnectionAge = metav1.Duration{Duration: time.Millisecond}
	if errs := short.validate(field.NewPath("limits")); len(errs) != 1 || errs[0].Field != "limits.maxConnectionAge" {
		t.Errorf("connections of a millisecond: %v", errs)
	}
}

func TestServerNames(t *testing.T) {
	fs := flightServer()
	service := []string{"taxi.data.svc", "taxi.data.svc.cluster.local", "taxi.data", "taxi"}
	if diff := cmp.Diff(service, ServerNames(fs, "cluster.local")); diff != "" {
		t.Error(diff)
	}
	fs.Spec.Service = &v1alpha1.Service{ExternalAddress: "grpc+tls://[2001:db8::7]:443"}
	if diff := cmp.Diff(append(service, "2001:db8::7"), ServerNames(fs, "cluster.local")); diff != "" {
		t.Error(diff)
	}
	fs.Spec.Service.ExternalAddress = "grpc+tls://taxi.data.svc:443"
	if diff := cmp.Diff([]string{"taxi.data.svc", "taxi.data", "taxi"}, ServerNames(fs, "")); diff != "" {
		t.Error(diff)
	}
}
