package datasets

import (
	"context"
	"sync"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
)

// errRightsEnded ends calls that are no longer allowed.
var errRightsEnded = flightruntime.Errorf(flightruntime.KindUnauthorized, "what you may do on this server has changed while the call was running: call again")

// permitted are the running calls that move data, with what they were allowed.
type permitted struct {
	mu    sync.Mutex
	calls map[*flightruntime.Call]permit
	// revoked is that of EndCalls' last call.
	revoked func(*authn.Identity) bool
}

// EndCalls ends the running DoGet, DoPut and DoExchange calls whose rights have ended: the policy of now does not allow them, or shows less of
// the dataset than they were begun with, or revoked, which may be nil, is true for who makes them. It says how many. Those that go on are asked
// about again with the next policy.
func (s *Service) EndCalls(revoked func(*authn.Identity) bool) (ended int) {
	s.permitted.mu.Lock()
	defer s.permitted.mu.Unlock()
	s.permitted.revoked = revoked
	for call, p := range s.permitted.calls {
		if s.stillPermitted(p) {
			continue
		}
		call.End(errRightsEnded)
		delete(s.permitted.calls, call)
		ended++
	}
	return ended
}

// stillPermitted is true if the policy of now lets a call go on. The lock is held.
func (s *Service) stillPermitted(p permit) bool {
	if p.id != nil && s.permitted.revoked != nil && s.permitted.revoked(p.id) {
		return false
	}
	before := p.grant
	unbound := p.unbound()
	p.policy = s.policy.Load()
	grant, ok := p.allowed()
	switch {
	case !ok:
		return false
	case p.unbound() || unbound && grant.Whole():
		return true
	default:
		return !unbound && grant.Covers(before)
	}
}

// follow notes a call until it has ended, so that EndCalls can end it. It is an error if its rights have ended since it began.
func (s *Service) follow(ctx context.Context, p permit) error {
	call := flightruntime.CallOf(ctx)
	if call == nil {
		return nil
	}
	if !s.note(call, p) {
		return errRightsEnded
	}
	call.OnEnd(func() {
		s.permitted.mu.Lock()
		defer s.permitted.mu.Unlock()
		delete(s.permitted.calls, call)
	})
	return nil
}

// note notes a call, unless its rights have ended.
func (s *Service) note(call *flightruntime.Call, p permit) bool {
	s.permitted.mu.Lock()
	defer s.permitted.mu.Unlock()
	if !s.stillPermitted(p) {
		return false
	}
	if s.permitted.calls == nil {
		s.permitted.calls = map[*flightruntime.Call]permit{}
	}
	s.permitted.calls[call] = p
	return true
}
