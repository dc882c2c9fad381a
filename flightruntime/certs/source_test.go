package certs

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// world is a source whose clock and files a test moves.
type world struct {
	*Source
	settings Settings
	now      time.Time
	log      bytes.Buffer
	dir      string
	keys     [][]byte // written at any time
}

// newWorld makes a source of a folder that is empty.
func newWorld(t *testing.T, change func(*Settings)) *world {
	t.Helper()
	w := &world{now: epoch, dir: t.TempDir()}
	w.settings = Settings{CertFile: filepath.Join(w.dir, "tls.crt"), KeyFile: filepath.Join(w.dir, "tls.key"), Names: []string{"a.example"}}
	if change != nil {
		change(&w.settings)
	}
	var err error
	if w.Source, err = newSource(w.settings, slog.New(slog.NewTextHandler(&w.log, nil)), func() time.Time { return w.now }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, key := range w.keys {
			showsNothingOf(t, w.log.String(), key)
		}
	})
	return w
}

// write makes a file of the folder; nil takes it away.
func (w *world) write(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	err := os.WriteFile(path, data, 0o600)
	if data == nil {
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pair writes a certificate and its key, and is the certificate's fingerprint.
func (w *world) pair(t *testing.T, certificate, key []byte) string {
	t.Helper()
	w.write(t, "tls.crt", certificate)
	w.write(t, "tls.key", key)
	w.keys = append(w.keys, key)
	chain, err := ParseBundle(certificate)
	if err != nil {
		return ""
	}
	return Fingerprint(chain[0])
}

// issue is pair for a new certificate.
func (w *world) issue(t *testing.T, ca *authority, template *x509.Certificate) string {
	t.Helper()
	certificate, key := ca.issue(t, template)
	return w.pair(t, certificate, key)
}

func (w *world) served() string {
	c := w.State().Certificate
	if c == nil {
		return ""
	}
	return Fingerprint(c.Leaf)
}

func (w *world) reason() Reason {
	if p := w.State().Problem; p != nil {
		return p.Reason
	}
	return ""
}

// expect looks once, and compares what is in force and what is told.
func (w *world) expect(t *testing.T, served string, reason Reason) {
	t.Helper()
	w.look()
	if got := w.served(); got != served {
		t.Errorf("%.8s is served, want %.8s; %v", got, served, w.State().Problem)
	}
	if got := w.reason(); got != reason {
		t.Errorf("the reason is %q, want %q; %v", got, reason, w.State().Problem)
	}
}

func lived(from, to time.Duration, name string) *x509.Certificate {
	c := named(name)
	c.NotBefore, c.NotAfter = epoch.Add(from), epoch.Add(to)
	return c
}

func TestWhatCannotBeServedLeavesTheLastGood(t *testing.T) {
	ca := newAuthority(t, "ca")
	_, otherKey := ca.issue(t, named("a.example"))
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, w *world)
		reason Reason
		// lasting is true where the disorder could be a file that is being written: it is told of when it has lasted.
		lasting bool
	}{
		{"a broken certificate", func(t *testing.T, w *world) { w.write(t, "tls.crt", []byte("-----BEGIN CERTIFICATE-----\n")) }, ReasonMalformed, true},
		{"an empty file", func(t *testing.T, w *world) { w.write(t, "tls.crt", []byte{}) }, ReasonMalformed, true},
		{"a broken key", func(t *testing.T, w *world) { w.write(t, "tls.key", otherKey[:60]) }, ReasonMalformed, true},
		{"another's key", func(t *testing.T, w *world) { w.write(t, "tls.key", otherKey) }, ReasonKeyMismatch, true},
		{"no certificate", func(t *testing.T, w *world) { w.write(t, "tls.crt", nil) }, ReasonMissing, true},
		{"no key", func(t *testing.T, w *world) { w.write(t, "tls.key", nil) }, ReasonMissing, true},
		{"expired", func(t *testing.T, w *world) {
			w.issue(t, ca, lived(-time.Hour, -time.Second, "a.example"))
		}, ReasonExpired, false},
		{"not yet valid", func(t *testing.T, w *world) {
			w.issue(t, ca, lived(time.Minute, time.Hour, "a.example"))
		}, ReasonNotYetValid, false},
		{"of other names", func(t *testing.T, w *world) {
			w.issue(t, ca, named("b.example"))
		}, ReasonWrongName, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			good := w.issue(t, ca, named("a.example"))
			w.expect(t, good, "")
			before := w.State().Failures // there was no file yet
			w.log.Reset()
			tt.spoil(t, w)
			if tt.lasting {
				w.expect(t, good, "")
				if again := w.look(); again != patience {
					t.Errorf("the next look is in %s, want %s", again, patience)
				}
				w.now = w.now.Add(patience)
			}
			w.expect(t, good, tt.reason)
			w.expect(t, good, tt.reason)
			if got := w.State().Failures - before; got != 1 {
				t.Errorf("%d failures are counted, want 1 however often one looks", got)
			}
			if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
				t.Errorf("it is told of %d times:\n%s", n, &w.log)
			}
			better := w.issue(t, ca, named("a.example"))
			w.expect(t, better, "")
			if !strings.Contains(w.log.String(), "fingerprint="+better) || !strings.Contains(w.log.String(), "in order again") {
				t.Errorf("the log does not tell of the mend:\n%s", &w.log)
			}
		})
	}
}

func TestAPairThatIsHalfWrittenIsNotToldOf(t *testing.T) {
	ca := newAuthority(t, "ca")
	w := newWorld(t, nil)
	good := w.issue(t, ca, named("a.example"))
	w.expect(t, good, "")
	before := w.State().Failures
	w.log.Reset()
	certificate, key := ca.issue(t, named("a.example"))
	w.write(t, "tls.crt", certificate)
	w.expect(t, good, "")
	w.now = w.now.Add(patience / 2)
	w.expect(t, good, "")
	w.expect(t, w.pair(t, certificate, key), "")
	if s := w.State(); s.Failures != before || strings.Contains(w.log.String(), "level=ERROR") {
		t.Errorf("it is told of:\n%s", &w.log)
	}
}

func TestACertificateIsServedWhenItsTimeComes(t *testing.T) {
	ca := newAuthority(t, "ca")
	w := newWorld(t, nil)
	good := w.issue(t, ca, lived(-time.Hour, time.Minute, "a.example"))
	w.expect(t, good, "")
	next := w.issue(t, ca, lived(30*time.Second, time.Hour, "a.example"))
	w.expect(t, good, ReasonNotYetValid)
	if again := w.look(); again != 30*time.Second {
		t.Errorf("the next look is in %s, want the certificate's beginning", again)
	}
	w.now = epoch.Add(30 * time.Second)
	w.expect(t, next, "")
	w.now = epoch.Add(2 * time.Hour)
	w.expect(t, next, ReasonExpired) // what is served may end too
}

func TestWithoutALastGoodWhateverParsesIsServed(t *testing.T) {
	ca := newAuthority(t, "ca")
	w := newWorld(t, nil)
	w.expect(t, "", ReasonMissing)
	w.write(t, "tls.crt", []byte("hello"))
	w.write(t, "tls.key", []byte("hello"))
	w.expect(t, "", ReasonMalformed)
	wrong := w.issue(t, ca, named("b.example"))
	w.expect(t, wrong, ReasonWrongName)
	expired := w.issue(t, ca, lived(-time.Hour, -time.Second, "a.example"))
	w.expect(t, expired, ReasonExpired) // neither is good: the newer one is what somebody wants
	good := w.issue(t, ca, named("a.example"))
	w.expect(t, good, "")
	w.issue(t, ca, named("b.example"))
	w.expect(t, good, ReasonWrongName)
}

func TestSettingsAreReloaded(t *testing.T) {
	ca := newAuthority(t, "ca")
	w := newWorld(t, nil)
	served := w.issue(t, ca, named("a.example"))
	w.expect(t, served, "")
	set := func(names ...string) {
		w.settings.Names = names
		if err := w.Set(w.settings); err != nil {
			t.Fatal(err)
		}
	}
	set("b.example")
	if w.served() != served || w.reason() != ReasonWrongName {
		t.Errorf("with other names %.8s is served, %q", w.served(), w.reason())
	}
	set("b.example", "a.example")
	if w.served() != served || w.reason() != "" {
		t.Errorf("with both names %.8s is served, %q", w.served(), w.reason())
	}
	w.settings.OperatorCA = "none"
	if err := w.Set(w.settings); err == nil {
		t.Error("an operator's CA that is none was taken")
	}
	if err := w.Set(Settings{}); err == nil {
		t.Error("settings without files were taken")
	}
}

func TestTheClientCABundle(t *testing.T) {
	ca, clients, others := newAuthority(t, "ca"), newAuthority(t, "clients"), newAuthority(t, "others")
	w := newWorld(t, nil)
	w.settings.ClientCAFile = filepath.Join(w.dir, "ca.crt")
	if err := w.Set(w.settings); err != nil {
		t.Fatal(err)
	}
	served := w.issue(t, ca, named("a.example"))
	digest := func(want []byte) {
		t.Helper()
		wanted := ""
		if want != nil {
			wanted = Digest(want)
		}
		if got := w.State().ClientCADigest; got != wanted {
			t.Errorf("the bundle is %.8s, want %.8s", got, wanted)
		}
	}
	w.expect(t, served, ReasonMissing)
	digest(nil)
	w.write(t, "ca.crt", clients.pem)
	w.expect(t, served, "")
	digest(clients.pem)
	w.write(t, "ca.crt", clients.pem[:100])
	w.now = w.now.Add(patience)
	w.expect(t, served, "") // it may be being written
	w.now = w.now.Add(patience)
	w.expect(t, served, ReasonMalformed)
	digest(clients.pem)
	w.write(t, "ca.crt", nil)
	w.expect(t, served, ReasonMissing)
	digest(clients.pem)
	w.write(t, "ca.crt", others.pem)
	w.expect(t, served, "")
	digest(others.pem)
	w.settings.ClientCAFile = ""
	if err := w.Set(w.settings); err != nil {
		t.Fatal(err)
	}
	digest(nil)
}

func TestFollowSeesASecretVolumeChange(t *testing.T) {
	// The kubelet writes a folder for each version, and swaps the link ..data that the files' own links go through.
	ca := newAuthority(t, "ca")
	dir := t.TempDir()
	project := func(version string) string {
		t.Helper()
		template := named("a.example")
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		certificate, key := ca.issue(t, template)
		w := &world{dir: filepath.Join(dir, version)}
		if err := os.Mkdir(w.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		fingerprint := w.pair(t, certificate, key)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		return fingerprint
	}
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	source, err := Follow(t.Context(), Settings{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if p := source.State().Problem; p == nil || p.Reason != ReasonMissing {
		t.Errorf("before there is a Secret: %v", p)
	}
	for _, version := range []string{"..2024_01", "..2024_02"} {
		want := project(version)
		for w := (&world{Source: source}); w.served() != want; {
			select {
			case <-t.Context().Done():
				t.Fatalf("never served version %s", version)
			case <-time.After(time.Millisecond):
			}
		}
	}
}
