package pki

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime/certs"
)

// State is all that there is to know of the CA. It is a value: Advance makes a new one and changes nothing that the old one refers to.
type State struct {
	// Active issues. It is nil before the beginning only.
	Active *CA
	// Next is announced to become the active one; nil if none is.
	Next *Next
	// Retired ones are still trusted, the last one first. Their keys are gone.
	Retired []Retired
	// Trigger is the value of AnnotationRotate that was last acted on.
	Trigger string
}

// Next is a CA that is trusted and has never issued.
type Next struct {
	CA *CA
	// Announced is when it was made.
	Announced time.Time
	// Published is since when everybody has been known to trust it; zero if not yet.
	Published time.Time
}

// Retired is a CA that issues no longer.
type Retired struct {
	Certificate *x509.Certificate
	// Since is when it ceased to issue.
	Since time.Time
}

// Trusted are the CAs that have to be trusted, the newest first.
func (s State) Trusted() []*x509.Certificate {
	var trusted []*x509.Certificate
	if s.Next != nil {
		trusted = append(trusted, s.Next.CA.Certificate)
	}
	if s.Active != nil {
		trusted = append(trusted, s.Active.Certificate)
	}
	for _, r := range s.Retired {
		trusted = append(trusted, r.Certificate)
	}
	return trusted
}

// Bundle is Trusted in PEM.
func (s State) Bundle() []byte {
	var out bytes.Buffer
	for _, c := range s.Trusted() {
		out.Write(encodeCertificate(c))
	}
	return out.Bytes()
}

// Seen is what Advance has to know of the world beside the time. The zero Seen is a world of which nothing is known.
type Seen struct {
	// Trigger is the value of AnnotationRotate, empty if there is none.
	Trigger string
	// Published is the certs.Digest of the bundle that everybody has been given, empty if that is not known or not the same for all.
	Published string
	// Served has the ID of each CA of which a certificate is stored or served anywhere. It is nil if that is not known.
	Served map[string]bool
}

// Policy is how CAs are replaced.
type Policy struct {
	// Life is how long a CA is valid.
	Life time.Duration
	// Overlap is how long everybody has known a CA before it issues, and how long it is trusted at least after it has ceased to issue. Whoever fetches
	// the bundle once in this time can verify all that is served. It is at most a tenth of Life.
	Overlap time.Duration
}

// DefaultPolicy replaces a CA after six to seven years. Clients outside the cluster have a week to fetch the bundle.
var DefaultPolicy = Policy{Life: 10 * 365 * 24 * time.Hour, Overlap: 7 * 24 * time.Hour}

// hurry is how long everybody has for a next CA if the active one is no longer valid, or not yet: no client loses by that, unless the clock is wrong,
// and that passes soon.
const hurry = 10 * time.Minute

// Advance brings the state to where it should be now. It says whether this changed it, and when to call again at the latest if nothing else happens.
// The zero State becomes one with an active CA.
//
// Only the wall clock counts, so that time goes on while a machine sleeps. Where the clock jumps back, waiting begins anew: what was announced waits
// too long rather than too short.
func Advance(s State, seen Seen, now time.Time, p Policy) (next State, changed bool, wake time.Time, err error) {
	now = now.Round(0).UTC()
	next = s.clone()
	bundle := certs.Digest(s.Bundle())
	for _, step := range []func() (bool, error){
		func() (bool, error) { return next.clamp(now), nil },
		func() (bool, error) { return next.dropSpoiled(now), nil },
		func() (bool, error) { return next.notePublished(seen.Published == bundle, now), nil },
		func() (bool, error) { return next.begin(now, p) },
		func() (bool, error) { return next.obey(seen.Trigger, now, p) },
		func() (bool, error) { return next.promote(now, p), nil },
		func() (bool, error) { return next.announceIfDue(now, p) },
		func() (bool, error) { return next.dropRetired(seen.Served, now, p), nil },
	} {
		did, err := step()
		if err != nil {
			return s, false, now, err
		}
		changed = changed || did
	}
	wake = next.wake(now, seen, p)
	return next, changed, wake, nil
}

func (s State) clone() State {
	if s.Next != nil {
		n := *s.Next
		s.Next = &n
	}
	s.Retired = slices.Clone(s.Retired)
	return s
}

// clamp takes what happened in the future, as a clock has it that jumped back, to have happened now.
func (s *State) clamp(now time.Time) (changed bool) {
	var times []*time.Time
	if s.Next != nil {
		times = append(times, &s.Next.Announced, &s.Next.Published)
	}
	for i := range s.Retired {
		times = append(times, &s.Retired[i].Since)
	}
	for _, t := range times {
		if t.After(now) {
			*t, changed = now, true
		}
	}
	return changed
}

// dropSpoiled gives up a next CA that is not valid. It has issued nothing, so nobody misses it.
func (s *State) dropSpoiled(now time.Time) bool {
	if s.Next == nil || valid(s.Next.CA.Certificate, now) {
		return false
	}
	s.Next = nil
	return true
}

func (s *State) notePublished(everywhere bool, now time.Time) bool {
	if !everywhere || s.Next == nil || !s.Next.Published.IsZero() {
		return false
	}
	s.Next.Published = now
	return true
}

// begin makes the first CA. Nobody trusts another one that it could break with.
func (s *State) begin(now time.Time, p Policy) (bool, error) {
	if s.Active != nil {
		return false, nil
	}
	var err error
	s.Active, err = NewCA(now, p.Life)
	return true, err
}

// obey begins a replacement that somebody asked for. It is of all keys that there are, since the reason may be that they are known: a next CA that was
// announced before is given up.
func (s *State) obey(trigger string, now time.Time, p Policy) (bool, error) {
	if trigger == "" || trigger == s.Trigger {
		return false, nil
	}
	s.Trigger = trigger
	return true, s.announce(now, p)
}

func (s *State) announceIfDue(now time.Time, p Policy) (bool, error) {
	if s.Next != nil || now.Before(s.dueAt()) && valid(s.Active.Certificate, now) {
		return false, nil
	}
	return true, s.announce(now, p)
}

func (s *State) announce(now time.Time, p Policy) error {
	ca, err := NewCA(now, p.Life)
	if err != nil {
		return err
	}
	s.Next = &Next{CA: ca, Announced: now}
	return nil
}

// dueAt is when a next CA is announced.
func (s *State) dueAt() time.Time {
	return RenewalTime(s.Active.Certificate, 0, s.Active.ID())
}

func (s *State) promote(now time.Time, p Policy) bool {
	if s.Next == nil || now.Before(s.promotionAt(now, p)) {
		return false
	}
	s.Retired = slices.Insert(s.Retired, 0, Retired{Certificate: s.Active.Certificate, Since: now})
	s.Active, s.Next = s.Next.CA, nil
	return true
}

// promotionAt is when the next CA becomes the active one, as far as is known now. If nobody says that all trust it, that is taken for granted once five
// sixths of the active one's life have passed.
func (s *State) promotionAt(now time.Time, p Policy) time.Time {
	active := s.Active.Certificate
	known := s.Next.Published
	if known.IsZero() {
		known = later(s.Next.Announced, active.NotBefore.Add(active.NotAfter.Sub(active.NotBefore)/6*5))
	}
	at := known.Add(p.Overlap)
	hurried := s.Next.Announced.Add(min(p.Overlap, hurry))
	if now.Before(active.NotBefore) && hurried.Before(active.NotBefore) {
		return earlier(at, hurried)
	}
	return earlier(at, later(hurried, active.NotAfter.Add(-hurry)))
}

// dropRetired ends the trust in CAs of which nothing is in use any more, and in those that have expired: with them, all that they issued has.
func (s *State) dropRetired(served map[string]bool, now time.Time, p Policy) bool {
	before := len(s.Retired)
	s.Retired = slices.DeleteFunc(s.Retired, func(r Retired) bool {
		unused := served != nil && !served[idOf(r.Certificate)]
		return !now.Before(r.Certificate.NotAfter) || unused && !now.Before(r.Since.Add(p.Overlap))
	})
	return len(s.Retired) < before
}

// wake is the next time at which Advance does something if what is seen stays the same.
func (s *State) wake(now time.Time, seen Seen, p Policy) time.Time {
	at := s.dueAt()
	if s.Next != nil {
		at = earlier(s.promotionAt(now, p), s.Next.CA.Certificate.NotAfter)
	}
	for _, r := range s.Retired {
		at = earlier(at, r.Certificate.NotAfter)
		if seen.Served != nil && !seen.Served[idOf(r.Certificate)] {
			at = earlier(at, r.Since.Add(p.Overlap))
		}
	}
	return at
}

// valid tells whether a certificate's time is now.
func valid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && now.Before(c.NotAfter)
}
