package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"path/filepath"
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
	// Insecure lets credentials travel in plain text. Refuse is not rendered: servers from before there was Allow refuse a field that they do not know.
	Insecure v1alpha1.InsecureAuth `json:"insecure,omitempty"`
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

// Names of the keys in the Secrets of spec.auth, and of folders and files.
const (
	usersKey  = "users"
	groupsKey = "groups"
	tokensKey = "tokens"
	basicDir  = "basic"
	bearerDir = "bearer"
	jwksFile  = "jwks"
	caFile    = "ca"
)

// jwtDir is the folder of a file of an issuer: by the issuer, so that another order of the issuers is the same pod.
func jwtDir(issuer, file string) string { return "jwt-" + Hash([]byte(issuer)) + "-" + file }

// AuthFiles are all keys that spec.auth names, in a fixed order.
func AuthFiles(fs *v1alpha1.FlightServer) (files []AuthFile) {
	if fs.Spec.Auth == nil {
		return nil
	}
	m := fs.Spec.Auth.Methods
	if b := m.Basic; b != nil {
		for _, key := range []string{usersKey, groupsKey} {
			files = append(files, AuthFile{"Secret", b.SecretRef.Name, key, basicDir, key, key == groupsKey})
		}
	}
	if b := m.Bearer; b != nil {
		files = append(files, AuthFile{"Secret", b.SecretRef.Name, tokensKey, bearerDir, tokensKey, false})
	}
	for _, j := range m.JWT {
		for _, object := range []struct {
			key  *v1alpha1.ObjectKey
			file string
		}{{j.JWKS, jwksFile}, {j.CA, caFile}} {
			if object.key == nil {
				continue
			}
			f := AuthFile{Dir: jwtDir(j.Issuer, object.file), File: object.file}
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

// AuthDigest identifies what the files hold that the methods of spec.auth go by, given the Digest of each file that there is. A server gives the
// same for what it has loaded, see LoadedAuth. Keys that are discovered at an issuer are not among it: only the servers know them.
func AuthDigest(fs *v1alpha1.FlightServer, digests map[AuthFile]string) string {
	var loaded []string
	byDir := map[string][]AuthFile{}
	for _, f := range AuthFiles(fs) {
		byDir[f.Dir] = append(byDir[f.Dir], f)
	}
	add := func(dir string) {
		if files := byDir[dir]; len(files) > 0 {
			loaded = append(loaded, filesDigest(files, digests))
		}
	}
	add(basicDir)
	add(bearerDir)
	for _, j := range fs.Spec.Auth.Methods.JWT {
		add(jwtDir(j.Issuer, jwksFile))
	}
	return LoadedAuth(loaded)
}

// LoadedAuth identifies what methods have loaded, given the digest of the files of each, as package authn tells it, in the order basic, bearer, jwt;
// those without files are left out, and those that have loaded nothing are empty.
func LoadedAuth(digests []string) string { return Digest([]byte(strings.Join(digests, "\n"))) }

// filesDigest is how package authn identifies files that it reads together; empty as long as one is missing that has to be there.
func filesDigest(files []AuthFile, digests map[AuthFile]string) string {
	sum := sha256.New()
	for _, f := range files {
		digest, found := digests[f]
		if !found && !f.Optional {
			return ""
		}
		if !found {
			digest = Digest(nil)
		}
		raw, err := hex.DecodeString(digest)
		if err != nil {
			return ""
		}
		sum.Write(raw)
	}
	return hex.EncodeToString(sum.Sum(nil))
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
		RunningCalls: cmp.Or(wish.RunningCalls, v1alpha1.RunningCallsContinue),
	}
	if wish.Insecure == v1alpha1.InsecureAuthAllow {
		a.Insecure = v1alpha1.InsecureAuthAllow
	}
	if m.Basic != nil {
		a.Basic = &BasicAuth{Users: file(basicDir, usersKey), Groups: file(basicDir, groupsKey)}
	}
	if m.Bearer != nil {
		a.Bearer = &BearerAuth{Tokens: file(bearerDir, tokensKey)}
	}
	for _, j := range m.JWT {
		out := JWTAuth{
			Issuer: j.Issuer, Audiences: j.Audiences, GroupsClaim: j.GroupsClaim, RequiredClaims: j.RequiredClaims,
			UsernameClaim: cmp.Or(j.UsernameClaim, defaultUsernameClaim), Algorithms: j.Algorithms,
		}
		if len(out.Algorithms) == 0 {
			out.Algorithms = defaultAlgorithms
		}
		if j.JWKS != nil {
			out.JWKS = file(jwtDir(j.Issuer, jwksFile), jwksFile)
		}
		if j.CA != nil {
			out.CA = file(jwtDir(j.Issuer, caFile), caFile)
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

// AllowsInsecure is true if credentials may travel in plain text.
func (a *Auth) AllowsInsecure() bool { return a.Insecure == v1alpha1.InsecureAuthAllow }

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
	if tls == nil && !a.AllowsInsecure() {
		errs = append(errs, field.Required(field.NewPath("tls"), "credentials in plain text can be read by anybody on the way: auth needs TLS, or insecure: Allow if that is meant"))
	}
	if a.ClientCertificate != nil && (tls == nil || tls.ClientCA == nil) {
		errs = append(errs, field.Required(field.NewPath("tls", "clientCA"), "clients show certificates only where they are asked"))
	}
	return errs
}
