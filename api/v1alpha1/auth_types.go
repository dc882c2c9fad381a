package v1alpha1

// Auth is who callers are, and what they may do. It needs TLS, unless insecure allows otherwise: what is sent in plain text can be read on the way, passwords
// and tokens too.
type Auth struct {
	// How callers show who they are; any number of ways at once.
	Methods AuthMethods `json:"methods"`
	// What callers may do. Nothing is allowed that no rule allows; rules add up.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Rules []AuthRule `json:"rules,omitempty"`
	// What becomes of the running calls of a caller who loses the right to them, Continue if left out.
	// +optional
	RunningCalls RunningCalls `json:"runningCalls,omitempty"`
	// Whether passwords, tokens and data may travel in plain text where there is no spec.tls, Refuse if left out. Whoever reads the network can then use
	// them: Allow is for where something else encrypts, such as a service mesh, and for trying things out.
	// +optional
	Insecure InsecureAuth `json:"insecure,omitempty"`
}

// InsecureAuth says whether there may be auth without TLS.
// +kubebuilder:validation:Enum=Refuse;Allow
type InsecureAuth string

// Values of InsecureAuth.
const (
	// InsecureAuthRefuse: auth needs TLS.
	InsecureAuthRefuse InsecureAuth = "Refuse"
	// InsecureAuthAllow: credentials may travel in plain text.
	InsecureAuthAllow InsecureAuth = "Allow"
)

// RunningCalls says what becomes of calls whose callers lose the right to them.
// +kubebuilder:validation:Enum=Continue;End
type RunningCalls string

// Values of RunningCalls.
const (
	// RunningCallsContinue: they go on to their end.
	RunningCallsContinue RunningCalls = "Continue"
	// RunningCallsEnd: they end at once.
	RunningCallsEnd RunningCalls = "End"
)

// AuthMethods are the ways in which callers show who they are.
//
// +kubebuilder:validation:MinProperties=1
type AuthMethods struct {
	// User names and passwords: authenticate_basic_token, or a handshake. They are checked once, then a token is given that lives some minutes.
	// +optional
	Basic *BasicAuth `json:"basic,omitempty"`
	// Tokens that somebody has written down, in the header authorization: Bearer TOKEN.
	// +optional
	Bearer *BearerAuth `json:"bearer,omitempty"`
	// JSON Web Tokens of OpenID Connect providers, in the same header.
	// +optional
	// +listType=map
	// +listMapKey=issuer
	// +kubebuilder:validation:MaxItems=16
	JWT []JWTAuth `json:"jwt,omitempty"`
	// Tokens of Kubernetes' ServiceAccounts, in the same header. A caller is system:serviceaccount:NAMESPACE:NAME, in the groups
	// system:serviceaccounts and system:serviceaccounts:NAMESPACE.
	// +optional
	ServiceAccount *ServiceAccountAuth `json:"serviceAccount,omitempty"`
	// Clients' certificates. It needs spec.tls.clientCA.
	// +optional
	ClientCertificate *ClientCertificateAuth `json:"clientCertificate,omitempty"`
	// Lets callers in that show nothing: user system:anonymous, group system:unauthenticated.
	// +optional
	Anonymous *AnonymousAuth `json:"anonymous,omitempty"`
}

// BasicAuth is user names and passwords.
type BasicAuth struct {
	// Secret whose key users holds htpasswd lines (htpasswd -B: bcrypt), and whose key groups, if there is one, lines of a group: group: user1 user2.
	SecretRef LocalReference `json:"secretRef"`
}

// BearerAuth is tokens that somebody has written down.
type BearerAuth struct {
	// Secret whose key tokens holds lines token,user,group1|group2. Instead of a token, sha256: and its hash in hexadecimal.
	SecretRef LocalReference `json:"secretRef"`
}

// JWTAuth is the tokens of one issuer.
//
// +kubebuilder:validation:XValidation:rule="!has(self.jwks) || !has(self.ca)",message="ca is for discovering the issuer's keys: leave it out, or jwks",fieldPath=".ca"
type JWTAuth struct {
	// Issuer, as tokens name it in iss: a URL. Its keys are discovered there, unless jwks has them.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https'",message="an issuer is a URL of the scheme https"
	Issuer string `json:"issuer"`
	// Audiences of which tokens have to name one in aud.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Audiences []string `json:"audiences"`
	// The issuer's keys as a JSON Web Key Set. If left out, they are discovered at the issuer, and followed as they rotate.
	// +optional
	JWKS *ObjectKey `json:"jwks,omitempty"`
	// CA certificates in PEM that the issuer is verified by, if not those that the image trusts.
	// +optional
	CA *ObjectKey `json:"ca,omitempty"`
	// Claim with the user's name, sub if left out. Dots lead into objects.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	UsernameClaim string `json:"usernameClaim,omitempty"`
	// Claim with the user's groups, a string or a list of strings; none if left out.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	GroupsClaim string `json:"groupsClaim,omitempty"`
	// Claims that tokens have to have, with these values.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	RequiredClaims map[string]string `json:"requiredClaims,omitempty"`
	// Algorithms of signatures that are taken, RS256 and ES256 if left out.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	// +kubebuilder:validation:items:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
	Algorithms []string `json:"algorithms,omitempty"`
}

// ObjectKey names a key of a Secret or ConfigMap in the FlightServer's namespace.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secretRef) ? 1 : 0) + (has(self.configMapRef) ? 1 : 0) == 1",message="set exactly one of secretRef and configMapRef"
type ObjectKey struct {
	// A key of a Secret.
	// +optional
	SecretRef *NamedKey `json:"secretRef,omitempty"`
	// A key of a ConfigMap.
	// +optional
	ConfigMapRef *NamedKey `json:"configMapRef,omitempty"`
}

// NamedKey is a key of an object.
type NamedKey struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="the object's name is made of lower-case letters, digits, '-' and '.'"
	Name string `json:"name"`
	// Key in it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..')",message="a key is made of letters, digits, '-', '_' and '.', and does not start with '..'"
	Key string `json:"key"`
}

// ServiceAccountAuth is tokens of Kubernetes' ServiceAccounts.
type ServiceAccountAuth struct {
	// Audiences of which a token has to name one. A token for the API server itself is not taken unless its audience is among them.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Audiences []string `json:"audiences"`
	// Offline, if left out, verifies tokens by the cluster's public keys; one of a pod that is gone is taken until it expires. TokenReview asks the
	// API server; the pods' ServiceAccount needs the ClusterRole system:auth-delegator.
	// +optional
	Verification TokenVerification `json:"verification,omitempty"`
}

// TokenVerification is how tokens of ServiceAccounts are verified.
// +kubebuilder:validation:Enum=Offline;TokenReview
type TokenVerification string

// Values of TokenVerification.
const (
	// TokenOffline: by the cluster's public keys.
	TokenOffline TokenVerification = "Offline"
	// TokenReview: by asking the API server.
	TokenReview TokenVerification = "TokenReview"
)

// ClientCertificateAuth is clients' certificates.
type ClientCertificateAuth struct {
	// Where a certificate has the user's name, CommonName if left out.
	// +optional
	UsernameFrom UsernameField `json:"usernameFrom,omitempty"`
	// Where it has the user's groups; none if left out.
	// +optional
	// +kubebuilder:validation:Enum=Organization
	GroupsFrom string `json:"groupsFrom,omitempty"`
}

// UsernameField is where a certificate has the user's name.
// +kubebuilder:validation:Enum=CommonName;URISAN;DNSSAN;EmailSAN
type UsernameField string

// Values of UsernameField. A certificate has to have the name exactly once.
const (
	UsernameCommonName UsernameField = "CommonName"
	UsernameURI        UsernameField = "URISAN"
	UsernameDNS        UsernameField = "DNSSAN"
	UsernameEmail      UsernameField = "EmailSAN"
)

// AnonymousAuth lets callers in that show nothing.
type AnonymousAuth struct{}

// AuthRule allows some callers something.
//
// +kubebuilder:validation:XValidation:rule="!has(self.actions) || 'action' in self.verbs",message="actions need the verb action",fieldPath=".actions"
type AuthRule struct {
	// Whom the rule is for; one of them has to fit.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Subjects []AuthSubject `json:"subjects"`
	// Datasets by name, or by globs such as ref-*; all if left out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Datasets []string `json:"datasets,omitempty"`
	// What they may do: list (see that a dataset is there), get (read it and its schema), put, exchange (subscribe), action.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=5
	Verbs []AuthVerb `json:"verbs"`
	// Actions by name or glob, with the verb action; all if left out.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	Actions []string `json:"actions,omitempty"`
	// Columns by name or glob that can be read; all if left out. Others are as if they were not there.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Columns []string `json:"columns,omitempty"`
	// Rows that can be read, as a filter in CEL, as in queries; identity.user, identity.groups and identity.claims are the caller's. All if left out.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`
}

// AuthVerb is something that callers do.
// +kubebuilder:validation:Enum=list;get;put;exchange;action
type AuthVerb string

// Values of AuthVerb.
const (
	VerbList     AuthVerb = "list"
	VerbGet      AuthVerb = "get"
	VerbPut      AuthVerb = "put"
	VerbExchange AuthVerb = "exchange"
	VerbAction   AuthVerb = "action"
)

// AuthSubject is a user or a group.
//
// +kubebuilder:validation:XValidation:rule="has(self.user) != has(self.group)",message="set exactly one of user and group"
type AuthSubject struct {
	// Name of a user, exactly.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	User string `json:"user,omitempty"`
	// Name of a group, exactly. All who have shown who they are, are in system:authenticated.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Group string `json:"group,omitempty"`
}

// AuthStatus is the auth that the servers should go by, and how many do.
type AuthStatus struct {
	// Hash of the users, tokens and keys that every server should go by.
	// +optional
	Hash string `json:"hash,omitempty"`
	// Servers that go by them, of those that are ready, for instance "2/2".
	// +optional
	LoadedBy string `json:"loadedBy,omitempty"`
	// What is likely not meant: rules that fit no dataset, users that are in no rule. Up to 20.
	// +optional
	// +listType=atomic
	Warnings []string `json:"warnings,omitempty"`
}
