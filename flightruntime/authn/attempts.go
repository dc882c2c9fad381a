package authn

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of failed logins. A person who mistypes, or a job that is started a few times with an old password, does not feel them; who guesses gets
// 8,640 guesses a day.
const (
	failuresAtOnce = 10
	failureEvery   = 10 * time.Second
	// maxPeers are remembered, at about 100 bytes each.
	maxPeers = 4096
)

// attempts bounds the failed logins of each peer. Logins that go well cost nothing.
type attempts struct {
	now func() time.Time

	mu    sync.Mutex
	peers map[string]*rate.Limiter
}

func newAttempts(now func() time.Time) *attempts {
	return &attempts{now: now, peers: map[string]*rate.Limiter{}}
}

// allow refuses a peer that has failed too often.
func (a *attempts) allow(peer string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	l, ok := a.peers[origin(peer)]
	if !ok {
		return nil
	}
	tokens := l.TokensAt(a.now())
	if tokens >= 1 {
		return nil
	}
	wait := time.Duration((1 - tokens) * float64(failureEvery)).Round(time.Second)
	return unavailable("too many logins from this address have failed: wait %s, then try again with the right password", max(wait, time.Second))
}

// failed counts a failure of a peer.
func (a *attempts) failed(peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := origin(peer)
	l, ok := a.peers[key]
	if !ok {
		a.makeRoom()
		l = rate.NewLimiter(rate.Every(failureEvery), failuresAtOnce)
		a.peers[key] = l
	}
	l.AllowN(a.now(), 1)
}

// makeRoom forgets, where there are too many, the peers that have not failed of late, and then any down to three quarters: to look at all of them
// for each failure would be work that anybody can ask for.
func (a *attempts) makeRoom() {
	if len(a.peers) < maxPeers {
		return
	}
	now := a.now()
	for key, l := range a.peers {
		if l.TokensAt(now) >= failuresAtOnce {
			delete(a.peers, key)
		}
	}
	for key := range a.peers {
		if len(a.peers) <= maxPeers*3/4 {
			return
		}
		delete(a.peers, key)
	}
}

// origin is what failures are counted by: an IPv4 address, or the network of an IPv6 address, of which a caller may have all addresses.
func origin(peer string) string {
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		return peer // a UNIX socket
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	const network = 64
	prefix, err := addr.WithZone("").Prefix(network)
	if err != nil {
		return host
	}
	return prefix.String()
}
