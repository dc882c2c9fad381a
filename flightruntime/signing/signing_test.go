package signing

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func ring(t *testing.T, secrets ...string) *Keyring {
	t.Helper()
	keys := make([][]byte, len(secrets))
	for i, s := range secrets {
		keys[i] = []byte(strings.Repeat(s, MinKeyBytes))
	}
	r, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsSignedIsOpened(t *testing.T) {
	r := ring(t, "a")
	for _, payload := range [][]byte{{}, []byte("trips"), make([]byte, 1<<16)} {
		got, err := r.Open(Ticket, r.Sign(Ticket, payload))
		if err != nil || !bytes.Equal(got, payload) {
			t.Errorf("%d bytes came back as %d, %v", len(payload), len(got), err)
		}
	}
}

func TestWhatIsForgedIsRefused(t *testing.T) {
	r := ring(t, "a")
	signed := r.Sign(Ticket, []byte("trips"))
	for i := range signed {
		forged := bytes.Clone(signed)
		forged[i] ^= 1
		if _, err := r.Open(Ticket, forged); !errors.Is(err, ErrForged) {
			t.Errorf("with byte %d changed, it opens: %v", i, err)
		}
	}
	for n := range signed {
		if _, err := r.Open(Ticket, signed[:n]); !errors.Is(err, ErrForged) {
			t.Errorf("cut to %d bytes, it opens: %v", n, err)
		}
	}
	if _, err := r.Open(Session, signed); !errors.Is(err, ErrForged) {
		t.Errorf("a ticket is taken for a session: %v", err)
	}
	if _, err := ring(t, "b").Open(Ticket, signed); !errors.Is(err, ErrForged) {
		t.Errorf("another server's ticket is taken: %v", err)
	}
}

func TestKeysRotateWithoutARefusal(t *testing.T) {
	before, both, swapped, after := ring(t, "a"), ring(t, "a", "b"), ring(t, "b", "a"), ring(t, "b")
	steps := []*Keyring{before, both, swapped, after}
	for i, now := range steps[:3] {
		next := steps[i+1]
		if i < 2 { // what was signed in one step is taken in the next, and replicas that are a step behind take it too
			if _, err := next.Open(Ticket, now.Sign(Ticket, []byte("t"))); err != nil {
				t.Errorf("step %d to %d: %v", i, i+1, err)
			}
		}
		if _, err := now.Open(Ticket, next.Sign(Ticket, []byte("t"))); err != nil {
			t.Errorf("step %d back to %d: %v", i+1, i, err)
		}
	}
	if _, err := after.Open(Ticket, before.Sign(Ticket, []byte("t"))); !errors.Is(err, ErrForged) {
		t.Errorf("a retired key still opens: %v", err)
	}
}

func TestNewRefusesWhatIsNoKey(t *testing.T) {
	if _, err := New(); err == nil {
		t.Error("no key is a keyring")
	}
	if _, err := New(make([]byte, MinKeyBytes), []byte("short")); err == nil || !strings.Contains(err.Error(), "key 1 has 5 bytes") {
		t.Errorf("a short key: %v", err)
	}
}
