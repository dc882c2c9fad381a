package config

import (
	"cmp"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Auth is who callers are, and what they may do. It is followed as it changes, and so are the files that it names. Whether there is any at all
// cannot be read out of a file that is missing: without Auth, everybody may do everything.
type Auth struct {
	Basic             *BasicAuth             `json:"basic,omitempty"`
	Bearer            *BearerAuth            `json:"bearer,omitempty"`
	JWT               []JWTAuth              `json:"jwt,omitempty"`
	ServiceAccount    *ServiceAccountAuth    `json:"serviceAccount,omitempty"`
	ClientCertificate *ClientCertificateAuth `json:"clientCertificate,omitempty"`
	// Anonymous is set if callers are let in that show nothing.
	Anonymous *v1alpha1.AnonymousAuth `json:"anonymous,omitempty"`
	Rules     []v1alpha1.AuthRule     `json:"rules,omitempty"`
	// Insecure says whether credentials may be sent in plain text.
	Insecure v1alpha1.InsecureAuth `json:"insecure"`
	// RunningCalls says what becomes of the calls of callers who lose the right to them.
	RunningCalls v1alpha1.RunningCalls `json:"runningCalls"`
}

// BasicAuth is user names and passwords.
type BasicAuth struct {
	// Users is a file of htpasswd lines, Groups one of lines group: user1 user2. Groups may be missing.
	Users  string `json:"users"`
	Groups string `json:"groups"`
}

// BearerAuth is tokens that somebody has written down.
type BearerAuth struct {
	// Tokens is a file of lines token,user,group1|group2.
	Tokens string `json:"tokens"`
}

// JWTAuth is the tokens of one issuer.
type JWTAuth struct {
	Issuer    string   `json:"issuer"`
	Audiences []string `json:"audiences"`
	// JWKS is a file with the issuer's keys; if empty, they are discovered at the issuer, who is verified by the certificates in the file CA, or
	// those that the image trusts.
	JWKS           string            `json:"jwks,omitempty"`
	CA             string            `json:"ca,omitempty"`
	UsernameClaim  string            `json:"usernameClaim"`
	GroupsClaim    string            `json:"groupsClaim,omitempty"`
	Prefix         string            `json:"prefix,omitempty"`
	RequiredClaims map[string]string `json:"requiredClaims,omitempty"`
	Algorithms     []string          `json:"algorithms"`
}

// ServiceAccountAuth is tokens of Kubernetes' ServiceAccounts.
type ServiceAccountAuth struct {
	Audiences []string `json:"audiences"`
	// Issuer and Keys, a JSON Web Key Set, are the cluster's, by which tokens are verified offline.
	Issuer string `json:"issuer,omitempty"`
	Keys   string `json:"keys,omitempty"`
	// Review is set where the API server is asked instead.
	Review *TokenReview `json:"review,omitempty"`
}

// TokenReview is how the API server is asked.
type TokenReview struct {
	// Server is its URL, Token and CA the files with the pod's own token and the certificates that the API server is verified by.
	Server string `json:"server"`
	Token  string `json:"token"`
	CA     string `json:"ca"`
}

// ClientCertificateAuth is clients' certificates.
type ClientCertificateAuth struct {
	UsernameFrom v1alpha1.UsernameField `json:"usernameFrom"`
	GroupsFrom   string                 `json:"groupsFrom,omitempty"`
}

// Defaults of what spec.auth leaves out.
const defaultUsernameClaim = "sub"

var defaultAlgorithms = []string{"RS256", "ES256"}

// TokenReviewDir is where a pod has its own token and the API server's CA, for asking the API server.
const TokenReviewDir = "/var/run/secrets/flight-token-review"

// clusterServer is the API server, as pods reach it.
const clusterServer = "https://kubernetes.default.svc"

// AuthFile is a key of a Secret or ConfigMap that spec.auth names, and the file that a server finds it in.
type AuthFile struct {
	// Kind is Secret or ConfigMap.
	Kind, Name, Key string
	// Dir is the folder's name, below that of all auth files, and File the file's.
	Dir, File string
	// Optional is set where the key may be missing for good.
	Optional bool
}

// Names of the keys in the Secrets of spec.auth.
const (
	usersKey  = "users"
	groupsKey = "groups"
	tokensKey = "tokens"
)

// AuthFiles are all keys that spec.auth names, in a fixed order.
func AuthFiles(fs *v1alpha1.FlightServer) (files []AuthFile) {
	if fs.Spec.Auth == nil {
		return nil
	}
	m := fs.Spec.Auth.Methods
	if b := m.Basic; b != nil {
		for _, key := range []string{usersKey, groupsKey} {
			files = append(files, AuthFile{"Secret", b.SecretRef.Name, key, "basic", key, key == groupsKey})
		}
	}
	if b := m.Bearer; b != nil {
		files = append(files, AuthFile{"Secret", b.SecretRef.Name, tokensKey, "bearer", tokensKey, false})
	}
	for _, j := range m.JWT {
		for _, object := range []struct {
			key  *v1alpha1.ObjectKey
			file string
		}{{j.JWKS, "jwks"}, {j.CA, "ca"}} {
			if object.key == nil {
				continue
			}
			// By the issuer: another order of the issuers is the same pod.
			f := AuthFile{Dir: "jwt-" + Hash([]byte(j.Issuer)) + "-" + object.file, File: object.file}
			if r := object.key.SecretRef; r != nil {
				f.Kind, f.Name, f.Key = "Secret", r.Name, r.Key
			} else if r := object.key.ConfigMapRef; r != nil {
				f.Kind, f.Name, f.Key = "ConfigMap", r.Name, r.Key
			}
			files = append(files, f)
		}
	}
	return files
}

// AuthDigest identifies the contents of auth files, given the Digest of each that there is.
func AuthDigest(digests map[AuthFile]string) string {
	var lines []string
	for f, digest := range digests {
		lines = append(lines, path.Join(f.Dir, f.File)+" "+digest)
	}
	slices.Sort(lines)
	return Digest([]byte(strings.Join(lines, "\n")))
}

// renderAuth is nil for a FlightServer without auth.
func renderAuth(fs *v1alpha1.FlightServer, refs References) *Auth {
	wish := fs.Spec.Auth
	if wish == nil {
		return nil
	}
	file := func(dir, name string) string { return path.Join(refs.Dirs.Auth(dir), name) }
	m := wish.Methods
	a := &Auth{
		Anonymous:    m.Anonymous,
		Rules:        wish.Rules,
		Insecure:     cmp.Or(wish.Insecure, v1alpha1.InsecureAuthRefuse),
		RunningCalls: cmp.Or(wish.RunningCalls, v1alpha1.RunningCallsContinue),
	}
	if m.Basic != nil {
		a.Basic = &BasicAuth{Users: file("basic", usersKey), Groups: file("basic", groupsKey)}
	}
	if m.Bearer != nil {
		a.Bearer = &BearerAuth{Tokens: file("bearer", tokensKey)}
	}
	for _, j := range m.JWT {
		out := JWTAuth{
			Issuer: j.Issuer, Audiences: j.Audiences, GroupsClaim: j.GroupsClaim, Prefix: j.Prefix, RequiredClaims: j.RequiredClaims,
			UsernameClaim: cmp.Or(j.UsernameClaim, defaultUsernameClaim), Algorithms: j.Algorithms,
		}
		if len(out.Algorithms) == 0 {
			out.Algorithms = defaultAlgorithms
		}
		dir := "jwt-" + Hash([]byte(j.Issuer)) + "-"
		if j.JWKS != nil {
			out.JWKS = file(dir+"jwks", "jwks")
		}
		if j.CA != nil {
			out.CA = file(dir+"ca", "ca")
		}
		a.JWT = append(a.JWT, out)
	}
	if s := m.ServiceAccount; s != nil {
		a.ServiceAccount = &ServiceAccountAuth{Audiences: s.Audiences}
		if s.Verification == v1alpha1.TokenReview {
			a.ServiceAccount.Review = &TokenReview{Server: clusterServer, Token: path.Join(TokenReviewDir, "token"), CA: path.Join(TokenReviewDir, "ca.crt")}
		} else {
			a.ServiceAccount.Issuer, a.ServiceAccount.Keys = refs.Cluster.Issuer, refs.Cluster.Keys
		}
	}
	if c := m.ClientCertificate; c != nil {
		a.ClientCertificate = &ClientCertificateAuth{UsernameFrom: cmp.Or(c.UsernameFrom, v1alpha1.UsernameCommonName), GroupsFrom: c.GroupsFrom}
	}
	return a
}

// validate tells what breaks a rule that can be told without compiling the rules. A nil Auth breaks none.
func (a *Auth) validate(at *field.Path, tls *TLS) (errs field.ErrorList) {
	if a == nil {
		return nil
	}
	absolute := func(at *field.Path, file string) {
		if !filepath.IsAbs(file) {
			errs = append(errs, field.Invalid(at, file, "expected an absolute path"))
		}
	}
	if a.Basic != nil {
		absolute(at.Child("basic", "users"), a.Basic.Users)
		absolute(at.Child("basic", "groups"), a.Basic.Groups)
	}
	if a.Bearer != nil {
		absolute(at.Child("bearer", "tokens"), a.Bearer.Tokens)
	}
	if a.takesCredentials() && tls == nil && a.Insecure != v1alpha1.InsecureAuthAllow {
		errs = append(errs, field.Invalid(at.Child("insecure"), a.Insecure, "credentials in plain text can be read by anybody on the way: set tls, or insecure to Allow if something else encrypts"))
	}
	if a.ClientCertificate != nil && (tls == nil || tls.ClientCA == nil) {
		errs = append(errs, field.Required(field.NewPath("tls", "clientCA"), "clients show certificates only where they are asked"))
	}
	return errs
}

// takesCredentials tells whether callers send what others must not see.
func (a *Auth) takesCredentials() bool {
	return a.Basic != nil || a.Bearer != nil || len(a.JWT) > 0 || a.ServiceAccount != nil
}
