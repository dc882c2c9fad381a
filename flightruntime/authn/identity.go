// Package authn finds out who calls a Flight server: by name and password, by tokens, by certificates, or by a method of one's own. What they
// may do is not its business.
package authn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Identity is who calls. It is made once, shared by goroutines and calls, and not to be changed.
type Identity struct {
	User   string
	Groups []string
	// Claims are what the caller's token says, as encoding/json decodes it; nil where there is no such token.
	Claims map[string]any
	// Method is the Name of the Method that found out.
	Method string
	// Proof is by what the method knows the identity again, if it is a Revoker. It may be secret; nobody else looks at it.
	Proof any
}

// Users and groups that Kubernetes has too, by the same names. All that begin with SystemPrefix are reserved: neither files nor tokens of other
// issuers than the cluster may give them.
const (
	SystemPrefix         = "system:"
	UserAnonymous        = SystemPrefix + "anonymous"
	GroupUnauthenticated = SystemPrefix + "unauthenticated"
	GroupAuthenticated   = SystemPrefix + "authenticated"
)

// Names of the methods of this package, as Identity.Method has them.
const (
	MethodBasic             = "basic"
	MethodBearer            = "bearer"
	MethodJWT               = "jwt"
	MethodServiceAccount    = "serviceAccount"
	MethodClientCertificate = "clientCertificate"
	MethodAnonymous         = "anonymous"
)

type identityKey struct{}

// IdentityOf is who makes the call that a context belongs to. It is there on every call that an Authenticator let in, but the operator's, and
// those of a server without methods.
func IdentityOf(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(*Identity)
	return id, ok
}

// WithIdentity is a context whose IdentityOf is id: for servers that authenticate in a way of their own, and for tests.
func WithIdentity(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// anonymous is the identity of callers without credentials.
var anonymous = &Identity{User: UserAnonymous, Groups: []string{GroupUnauthenticated}, Method: MethodAnonymous}

// authenticated is the identity with the group of all that are.
func authenticated(id *Identity) *Identity {
	if slices.Contains(id.Groups, GroupAuthenticated) {
		return id
	}
	with := *id
	with.Groups = append(slices.Clip(id.Groups), GroupAuthenticated)
	return &with
}

// is is true if an identity that was let in is that of the same user in the same groups as now.
func (id *Identity) is(now *Identity) bool {
	return id.User == now.User && slices.Equal(authenticated(id).Groups, authenticated(now).Groups)
}

// maxName bounds the names of users and groups, in bytes: they go into tickets, tokens and logs.
const maxName = 256

// checkName tells what is wrong with the name of a user or group that comes from outside. The errors do not show it: it may be a password in the
// wrong place.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case len(name) > maxName:
		return errors.New("it is longer than 256 bytes")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("it has control characters or is not UTF-8")
	case strings.HasPrefix(name, SystemPrefix):
		return errors.New("names that begin with " + SystemPrefix + " are reserved")
	}
	return nil
}

// goodGroups are those groups that a caller may have. Others are left out: who is in less groups may do less.
func goodGroups(groups []string) []string {
	var good []string
	for _, g := range groups {
		if checkName(g) == nil && !slices.Contains(good, g) {
			good = append(good, g)
		}
	}
	return good
}
