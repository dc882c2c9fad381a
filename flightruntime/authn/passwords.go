package authn

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
)

// maxWaiting logins wait for their hash to be computed; others are told to come again. At the usual 50 ms each, the last one waits 2 s.
const maxWaiting = 64

// passwords compares passwords with hashes, few at a time: hashes are slow, and calls that are already let in are not to wait for them.
type passwords struct {
	slots   chan struct{}
	waiting atomic.Int32
	// matches is true if a hash is that of a password: the slow part.
	matches func(hash []byte, password string) bool
}

func newPasswords() *passwords {
	return &passwords{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), matches: matches}
}

// begin waits for a slot, which the caller has to give back by end. An error says that there will be none.
func (p *passwords) begin(ctx context.Context) error {
	if p.waiting.Add(1) > maxWaiting {
		p.waiting.Add(-1)
		return unavailable("too many logins at once: try again in a few seconds")
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *passwords) end() { <-p.slots }

// matches is true if the hash is that of the password.
func matches(hash []byte, password string) bool {
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil
}
