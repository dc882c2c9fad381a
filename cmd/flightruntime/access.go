package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
)

// access is who may do what on this server, by the newest configuration that is good.
type access struct {
	authenticator *authn.Authenticator
	service       *datasets.Service
	log           *slog.Logger
	// plain is whether the server speaks plain text.
	plain bool

	// current is what is in force, nil without auth.
	current atomic.Pointer[config.Auth]
}

// newAccess holds a configuration's auth against calls until ctx is done.
func newAccess(ctx context.Context, c *config.Config, service *datasets.Service, plain bool, observe func(authn.Attempt), log *slog.Logger) (*access, error) {
	authenticator, err := authn.New(ctx, authn.Settings{}, authn.Options{Keys: service.Keys, Logger: log, Observer: observe})
	if err != nil {
		return nil, err
	}
	a := &access{authenticator: authenticator, service: service, log: log, plain: plain}
	if err := a.load(c); err != nil {
		return nil, err
	}
	go a.endCalls(ctx)
	return a, nil
}

// load makes the auth of a configuration hold from now on. An error leaves the one before in force.
func (a *access) load(c *config.Config) error {
	if before := a.current.Load(); before != nil && c.Auth != nil {
		if folder := missingFolder(c.Auth); folder != "" {
			// A pod from before this was named. Callers would be turned away until the operator has replaced it.
			a.log.Warn("the newer configuration has auth by files that this process was started without, and the one before stays in force: start another", "folder", folder)
			return nil
		}
	}
	var policy *authz.Policy
	settings := authn.Settings{}
	if needsPublicCAs(c.Auth) {
		trustPublicCAs()
	}
	if c.Auth != nil {
		var err error
		if policy, err = authz.Compile(authz.FromAPI(c.Auth.Rules)); err != nil {
			return fmt.Errorf("auth: %w", err)
		}
		settings = settingsOf(c.Auth)
		if a.plain && !c.Auth.AllowsInsecure() {
			a.log.Warn("the newer configuration has auth with TLS, and this process, which goes on in plain text, refuses all calls: start another")
			settings = authn.Settings{Own: []authn.Method{needsTLS{}}}
		}
	}
	before := a.service.Policy()
	// Who is known only by the newer methods is held against the newer rules: with auth, the rules come first, without it, the methods go last.
	if c.Auth != nil {
		a.service.SetPolicy(policy)
	}
	if err := a.authenticator.Set(settings); err != nil {
		a.service.SetPolicy(before)
		return fmt.Errorf("auth: %w", err)
	}
	a.service.SetPolicy(policy)
	a.current.Store(c.Auth)
	return nil
}

// needsTLS is the one method of a process that was started without TLS, and whose newer configuration has auth and TLS: until it is replaced, nobody is
// to send credentials in plain text.
type needsTLS struct{}

func (needsTLS) Name() string { return "TLS" }

func (needsTLS) Authenticate(context.Context, authn.Credentials) (*authn.Identity, error) {
	return nil, flightruntime.Errorf(flightruntime.KindUnauthenticated, "this server speaks plain text, and its newer configuration wants credentials with TLS alone: "+
		"connect by grpc+tls:// to the server that takes its place")
}

// missingFolder is a folder that there is not, of the files that auth goes by; empty if all are there. That a file is missing in one is no matter: it
// may come.
func missingFolder(c *config.Auth) string {
	var files []string
	if c.Basic != nil {
		files = append(files, c.Basic.Users)
	}
	if c.Bearer != nil {
		files = append(files, c.Bearer.Tokens)
	}
	for _, j := range c.JWT {
		files = append(files, j.JWKS, j.CA)
	}
	if s := c.ServiceAccount; s != nil && s.Review != nil {
		files = append(files, s.Review.Token)
	}
	for _, file := range files {
		if file != "" && !hasFolder(file) {
			return filepath.Dir(file)
		}
	}
	return ""
}

// settingsOf are a configuration's methods, in the words of package authn.
func settingsOf(c *config.Auth) (s authn.Settings) {
	s.Anonymous = c.Anonymous != nil
	if b := c.Basic; b != nil {
		s.Basic = &authn.Basic{UsersFile: b.Users, GroupsFile: b.Groups}
	}
	if b := c.Bearer; b != nil {
		s.Bearer = &authn.Bearer{TokensFile: b.Tokens}
	}
	for _, j := range c.JWT {
		s.JWT = append(s.JWT, authn.JWT{
			Issuer: j.Issuer, Audiences: j.Audiences, KeysFile: j.JWKS, CAFile: j.CA, UsernameClaim: j.UsernameClaim, GroupsClaim: j.GroupsClaim,
			RequiredClaims: j.RequiredClaims, Algorithms: j.Algorithms,
		})
	}
	if t := c.ServiceAccount; t != nil {
		if r := t.Review; r != nil {
			s.ServiceAccount = &authn.ServiceAccount{Audiences: t.Audiences, Reviewer: &authn.APIServer{URL: r.Server, TokenFile: r.Token, CAFile: r.CA}}
		} else {
			keys := cmp.Or(t.Keys, "{}") // none: they are not to be looked for elsewhere
			s.ServiceAccount = &authn.ServiceAccount{Offline: &authn.JWT{Issuer: t.Issuer, Audiences: t.Audiences, Keys: keys, Algorithms: clusterAlgorithms}}
		}
	}
	if t := c.ClientCertificate; t != nil {
		s.ClientCertificate = &authn.ClientCertificate{UsernameFrom: authn.UsernameFrom(t.UsernameFrom), GroupsFrom: authn.GroupsFrom(t.GroupsFrom)}
	}
	return s
}

// clusterAlgorithms are those that Kubernetes signs tokens with.
var clusterAlgorithms = []string{"RS256", "ES256", "ES384", "ES512"}

// health is what HealthCheck tells of it, nil without auth.
func (a *access) health() *flightruntime.AuthHealth {
	c := a.current.Load()
	if c == nil {
		return nil
	}
	h := &flightruntime.AuthHealth{}
	var loaded []string
	issuers := 0
	for _, m := range a.authenticator.State() {
		if m.Problem != "" && h.Message == "" {
			h.Message = m.Name + ": " + m.Problem
		}
		switch m.Name {
		case authn.MethodBasic, authn.MethodBearer:
			loaded = append(loaded, m.Digest)
		case authn.MethodJWT:
			if issuers < len(c.JWT) && c.JWT[issuers].JWKS != "" {
				loaded = append(loaded, m.Digest)
			}
			issuers++
		}
	}
	h.Digest = config.LoadedAuth(loaded)
	return h
}

// stillValidTimeout bounds what it takes to ask whether one identity is still valid.
const stillValidTimeout = 5 * time.Second

// endCalls ends the calls of callers who have lost the right to them, where the configuration wants that, whenever identities may have changed.
func (a *access) endCalls(ctx context.Context) {
	for {
		changed := a.authenticator.Changed()
		if c := a.current.Load(); c != nil && c.RunningCalls == v1alpha1.RunningCallsEnd {
			a.service.EndCalls(func(id *authn.Identity) bool {
				ctx, cancel := context.WithTimeout(ctx, stillValidTimeout)
				defer cancel()
				return !a.authenticator.StillValid(ctx, id)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// auditWhere sends the audit's records on as long as there is auth: without it, there is nothing to hold anybody to.
type auditWhere struct {
	slog.Handler
	access *access
}

// Enabled is false without auth.
func (h auditWhere) Enabled(ctx context.Context, level slog.Level) bool {
	return h.access.current.Load() != nil && h.Handler.Enabled(ctx, level)
}
