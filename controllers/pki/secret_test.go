package pki

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rich is a state with all that there can be.
func rich(t testing.TB) State {
	t.Helper()
	s := State{Active: newCA(t, start, year), Trigger: "leaked"}
	s.Next = &Next{CA: newCA(t, start, year), Announced: start, Published: start.Add(day)}
	s.Retired = []Retired{{newCA(t, start, year).Certificate, start}, {newCA(t, start, year).Certificate, start.Add(1)}}
	return s
}

func encode(t testing.TB, s State) map[string][]byte {
	t.Helper()
	data, err := Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecodeReadsWhatEncodeWrote(t *testing.T) {
	for name, s := range map[string]State{
		"one CA":     {Active: newCA(t, start, year)},
		"all":        rich(t),
		"not public": {Active: newCA(t, start, year), Next: &Next{CA: newCA(t, start, year), Announced: start}},
	} {
		t.Run(name, func(t *testing.T) {
			data := encode(t, s)
			if diff := cmp.Diff(data, encode(t, restart(t, s))); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(data[KeyBundle], s.Bundle()) {
				t.Error("ca.crt is not the bundle")
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, other := encode(t, rich(t)), encode(t, rich(t))
	lone := encode(t, State{Active: newCA(t, start, year)})
	certPEM, keyPEM, err := Issue(newCA(t, start, year), taxi, start)
	if err != nil {
		t.Fatal(err)
	}
	set := func(kv ...any) func(map[string][]byte) {
		return func(data map[string][]byte) {
			for i := 0; i < len(kv); i += 2 {
				switch v := kv[i+1].(type) {
				case []byte:
					data[kv[i].(string)] = v
				case string:
					data[kv[i].(string)] = []byte(v)
				case nil:
					delete(data, kv[i].(string))
				}
			}
		}
	}
	doc := func(edit func(*document)) string {
		var d document
		if err := json.Unmarshal(good[keyState], &d); err != nil {
			t.Fatal(err)
		}
		edit(&d)
		out, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for _, c := range []struct {
		name string
		data map[string][]byte
		edit func(map[string][]byte)
		want string
	}{
		{"nothing", nil, nil, "state.json is missing: expected the state of the operator's CA, got keys []"},
		{"somebody else's", map[string][]byte{"password": []byte("x")}, nil, `got keys ["password"]`},
		{"no JSON", good, set(keyState, "{"), "state.json: unexpected end"},
		{"a later version", good, set(keyState, `{"version":2,"shape":"new"}`), "expected version 1, got 2: another release"},
		{"an unknown field", good, set(keyState, `{"version":1,"shape":"new"}`), `unknown field "shape"`},
		{"a time that is none", good, set(keyState, `{"version":1,"next":{"announced":"soon"}}`), "state.json: parsing time"},
		{"no time of announcement", good, set(keyState, `{"version":1,"next":{}}`), "next.announced"},
		{"no time of retirement", good, set(keyState, doc(func(d *document) { d.Retired[1].Since = time.Time{} })), "retired[1].since"},
		{"no certificate", good, set(KeyCertificate, nil), "tls.crt and tls.key: expected certificates in PEM"},
		{"no key", good, set(KeyPrivateKey, nil), "tls.crt and tls.key: expected a private key in PEM"},
		{"two certificates", good, set(KeyCertificate, string(good[KeyCertificate])+string(other[KeyCertificate])), "expected one certificate, got 2"},
		{"a certificate that is none", good, set(KeyCertificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "tls.crt and tls.key: certificate 1"},
		{"a key that is none", good, set(KeyPrivateKey, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "the private key cannot be read"},
		{"another one's key", good, set(KeyPrivateKey, other[KeyPrivateKey]), "the private key is not that of the certificate"},
		{"a server's certificate", good, set(KeyCertificate, certPEM, KeyPrivateKey, keyPEM), "expected the certificate of a CA"},
		{"the next one's key is another", good, set(keyNextPrivateKey, other[keyNextPrivateKey]), "next.crt and next.key: the private key"},
		{"the next one is missing", good, set(keyNextCertificate, nil, keyNextPrivateKey, nil), "expected all of them or none"},
		{"a next one that nobody announced", lone, set(keyNextCertificate, good[keyNextCertificate], keyNextPrivateKey, good[keyNextPrivateKey]), "expected all of them or none"},
		{"a retired one that is damaged", good, set(keyState, doc(func(d *document) { d.Retired[1].Certificate = "x" })), "retired[1]: expected certificates in PEM"},
		{"one twice", good, set(keyState, doc(func(d *document) { d.Retired[1] = d.Retired[0] })), "got one twice"},
		{"a bundle with another one", good, set(KeyBundle, string(good[KeyBundle])+string(other[KeyCertificate])), "ca.crt: expected the operator's CAs, each once"},
		{"a bundle with one less", good, set(KeyBundle, good[KeyCertificate]), "ca.crt: expected "},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := maps.Clone(c.data)
			if c.edit != nil {
				c.edit(data)
			}
			_, err := Decode(data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want an error with %q", err, c.want)
			}
			for _, key := range []string{KeyPrivateKey, keyNextPrivateKey} {
				for line := range strings.Lines(string(data[key])) {
					if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
						t.Errorf("%q shows a key", err)
					}
				}
			}
		})
	}
}

// FuzzDecode: what it takes can be written, and is then the same.
func FuzzDecode(f *testing.F) {
	for _, s := range []State{{Active: newCA(f, start, year)}, rich(f)} {
		data := encode(f, s)
		f.Add(data[KeyCertificate], data[KeyPrivateKey], data[KeyBundle], data[keyNextCertificate], data[keyNextPrivateKey], data[keyState])
	}
	garbage := []byte("MAA=")
	f.Add(garbage, garbage, garbage, garbage, garbage, []byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, cert, key, bundle, nextCert, nextKey, state []byte) {
		data := map[string][]byte{KeyCertificate: cert, KeyPrivateKey: key, KeyBundle: bundle, keyState: state}
		if len(nextCert) > 0 || len(nextKey) > 0 {
			data[keyNextCertificate], data[keyNextPrivateKey] = nextCert, nextKey
		}
		s, err := Decode(data)
		if err != nil {
			return
		}
		once, err := Encode(s)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		twice, err := Encode(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once, twice); diff != "" {
			t.Error(diff)
		}
	})
}
