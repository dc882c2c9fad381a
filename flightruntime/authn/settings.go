package authn

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Settings say how callers show who they are: any number of methods at once. Without any, nobody is asked.
type Settings struct {
	Basic             *Basic
	Bearer            *Bearer
	JWT               []JWT // one an issuer
	ServiceAccount    *ServiceAccount
	ClientCertificate *ClientCertificate
	// Anonymous lets callers without credentials in, as UserAnonymous.
	Anonymous bool
	// Own are methods of your own, asked in their order, after the others.
	Own []Method
}

// follower is a method that has files to follow, or else something to tell of.
type follower interface {
	Method
	look(log *slog.Logger) (changed bool)
	folders() []string
	digest() string
	trouble() string
}

var (
	_ follower = (*basic)(nil)
	_ follower = (*bearer)(nil)
	_ follower = (*issuer)(nil)
	_ follower = (*reviews)(nil)
)

// methods are those of some settings.
type methods struct {
	all       []configured
	anonymous bool
}

// configured is a method and the settings that it was made of; nil where they cannot be compared.
type configured struct {
	Method
	of  any
	own bool // somebody's own
}

// tools are what methods are made with.
type tools struct {
	ctx       context.Context
	log       *slog.Logger
	now       func() time.Time
	passwords *passwords
	attempts  *attempts
	changed   func()
}

// newMethods makes the methods of settings. Those whose settings are the same as before are kept, with what they know.
func newMethods(s Settings, before *methods, t tools) (*methods, error) {
	m := &methods{anonymous: s.Anonymous}
	add := func(of any, build func() Method) {
		for _, b := range before.all {
			if of != nil && reflect.DeepEqual(b.of, of) {
				m.all = append(m.all, b)
				return
			}
		}
		m.all = append(m.all, configured{Method: build(), of: of})
	}
	if s.Basic != nil {
		if s.Basic.UsersFile == "" {
			return nil, fmt.Errorf("auth method %s: expected a file of users", MethodBasic)
		}
		add(*s.Basic, func() Method { return newBasic(*s.Basic, t.passwords, t.attempts) })
	}
	if s.Bearer != nil {
		if s.Bearer.TokensFile == "" {
			return nil, fmt.Errorf("auth method %s: expected a file of tokens", MethodBearer)
		}
		add(*s.Bearer, func() Method { return newBearer(*s.Bearer) })
	}
	issuers := map[string]bool{}
	for i, j := range s.JWT {
		if err := j.check(); err != nil {
			return nil, fmt.Errorf("auth method %s, issuer %d: %w", MethodJWT, i, err)
		}
		if issuers[j.Issuer] {
			return nil, fmt.Errorf("auth method %s, issuer %d: the issuer %q again: join the two", MethodJWT, i, j.Issuer)
		}
		issuers[j.Issuer] = true
		add(j, func() Method { return newIssuer(MethodJWT, j, t.fetched(j), t.now) })
	}
	if a := s.ServiceAccount; a != nil {
		if err := a.check(); err != nil {
			return nil, fmt.Errorf("auth method %s: %w", MethodServiceAccount, err)
		}
		if a.Offline != nil && issuers[a.Offline.Issuer] {
			return nil, fmt.Errorf("auth method %s: the issuer %q is one of %s too: leave one out", MethodServiceAccount, a.Offline.Issuer, MethodJWT)
		}
		add(a.comparable(), func() Method { return newServiceAccount(*a, t) })
	}
	if c := s.ClientCertificate; c != nil {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("auth method %s: %w", MethodClientCertificate, err)
		}
		add(*c, func() Method { return clientCertificate{*c} })
	}
	for _, own := range s.Own {
		m.all = append(m.all, configured{Method: own, own: true})
	}
	return m, nil
}

// comparable is what tells settings apart; nil where the reviewer is somebody's own.
func (s ServiceAccount) comparable() any {
	if s.Offline != nil {
		return struct{ offline JWT }{*s.Offline}
	}
	if api, ok := s.Reviewer.(*APIServer); ok {
		return struct {
			url, token, ca string
			audiences      []string
		}{api.URL, api.TokenFile, api.CAFile, s.Audiences}
	}
	return nil
}

// newServiceAccount is the method of settings that check has let pass.
func newServiceAccount(s ServiceAccount, t tools) Method {
	if s.Offline == nil {
		return newReviews(s, t.attempts, t.now)
	}
	i := newIssuer(MethodServiceAccount, *s.Offline, t.fetched(*s.Offline), t.now)
	i.identify = byServiceAccount
	return i
}

// fetched are the keys of an issuer that are fetched; nil where they are in a file, or in the settings.
func (t tools) fetched(j JWT) keySource {
	if j.Keys != "" || j.KeysFile != "" {
		return nil
	}
	address := j.KeysURL
	if address == "" {
		address = j.Issuer
	}
	f := &fetchedKeys{
		fetch: fetchKeys(j.Issuer, j.KeysURL, &remote{caFile: j.CAFile, tokenFile: j.TokenFile, host: hostOf(address)}),
		times: keyTimes{or(j.RefreshKeys, DefaultKeyRefresh), or(j.KeepKeys, DefaultKeepKeys), betweenFetches},
		now:   t.now, log: t.log, changed: t.changed, ctx: t.ctx,
	}
	f.begin() // for the first caller not to wait
	return f
}

// asked is true if callers are asked who they are.
func (m *methods) asked() bool { return m.anonymous || len(m.all) > 0 }

// exchanger is the method of that name that gives tokens; nil if there is none.
func (m *methods) exchanger(name string) Exchanger {
	for _, c := range m.all {
		if e, ok := c.Method.(Exchanger); ok && c.Name() == name {
			return e
		}
	}
	return nil
}

// takes is true if there is a method of that name, or one of somebody's own that might be.
func (m *methods) takes(name string) bool {
	return slices.ContainsFunc(m.all, func(c configured) bool { return c.Name() == name || c.own })
}

// wanted says in words what a caller may show.
func (m *methods) wanted() string {
	var ways []string
	add := func(way string) {
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	for _, c := range m.all {
		switch c.Name() {
		case MethodBasic:
			add("a name and a password")
		case MethodBearer, MethodJWT, MethodServiceAccount:
			add("a bearer token")
		case MethodClientCertificate:
			add("a client certificate")
		default:
			add(c.Name())
		}
	}
	if len(ways) == 0 {
		return "none"
	}
	return strings.Join(ways, ", ")
}

// look has all methods look at their files.
func (m *methods) look(log *slog.Logger) (changed bool) {
	for _, c := range m.all {
		if f, ok := c.Method.(follower); ok && f.look(log) {
			changed = true
		}
	}
	return changed
}

// folders are those of all files.
func (m *methods) folders() (folders []string) {
	for _, c := range m.all {
		if f, ok := c.Method.(follower); ok {
			folders = append(folders, f.folders()...)
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}
