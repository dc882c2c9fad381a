package datasets

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/scan"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

func TestTickets(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	keys := signing.Random()
	limit := int64(10)
	good := ticket{
		ID:       "q1",
		Query:    scan.Query{Dataset: "trips", Columns: []string{"fare"}, Filter: "fare > 1.0", Limit: &limit},
		Range:    &unitRange{First: position{Object: "a"}, Last: position{Object: "b", Unit: 2}, Objects: "d"},
		Identity: "ann",
		Expires:  now.Add(time.Minute).Unix(),
	}
	open := func(t *testing.T, issued ticket, keys, with *signing.Keyring, identity string, at time.Time) (ticket, error) {
		t.Helper()
		raw, err := issued.sign(keys)
		if err != nil {
			t.Fatal(err)
		}
		if !isSigned(raw) {
			t.Fatal("a signed ticket is not known as one")
		}
		return openTicket(raw, with, identity, at)
	}
	if got, err := open(t, good, keys, keys, "ann", now); err != nil || cmp.Diff(good, got) != "" {
		t.Errorf("%v, came back as another: %s", err, cmp.Diff(good, got))
	}
	anyones := good
	anyones.Identity = ""
	if _, err := open(t, anyones, keys, keys, "ann", now); err != nil {
		t.Errorf("a ticket that was given to nobody in particular: %v", err)
	}
	for name, tt := range map[string]struct {
		keys     *signing.Keyring
		identity string
		at       time.Time
		kind     *flightruntime.Error
		want     string
	}{
		"expired":         {keys, "ann", now.Add(time.Minute), flightruntime.ErrInvalid, "expired at 2027-01-15T08:01:00Z"},
		"somebody else's": {keys, "bob", now, flightruntime.ErrUnauthorized, "given to somebody else"},
		"nobody's":        {keys, "", now, flightruntime.ErrUnauthorized, "given to somebody else"},
		"of other keys":   {signing.Random(), "ann", now, flightruntime.ErrInvalid, "not signed by this server"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := open(t, good, keys, tt.keys, tt.identity, tt.at); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %v with %q", err, tt.kind, tt.want)
			}
		})
	}
}

func FuzzOpenTicket(f *testing.F) {
	keys := signing.Random()
	raw, err := ticket{ID: "q1", Query: scan.Query{Dataset: "trips"}, Expires: 1 << 40}.sign(keys)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(ticketPrefix))
	f.Add([]byte("trips"))
	f.Fuzz(func(t *testing.T, changed []byte) {
		if !isSigned(changed) {
			return
		}
		if _, err := openTicket(changed, keys, "", time.Unix(0, 0)); err == nil && !bytes.Equal(changed, raw) {
			t.Errorf("%q was never given and is taken", changed)
		}
	})
}
