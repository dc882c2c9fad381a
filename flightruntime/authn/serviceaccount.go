package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// ServiceAccount is authentication by the tokens of Kubernetes' service accounts. Identities have the names and groups that Kubernetes gives them:
// system:serviceaccount:NAMESPACE:NAME, in system:serviceaccounts and system:serviceaccounts:NAMESPACE. Exactly one of the fields below is set.
type ServiceAccount struct {
	// Offline verifies tokens by the keys of the cluster. Its claims for user and groups do not count. A token is good until it expires, also
	// where its pod is gone.
	Offline *JWT
	// Reviewer asks the cluster about each token.
	Reviewer Reviewer
	// Audiences, with a Reviewer: a token has to be for one of them. At least one.
	Audiences []string
}

// Reviewer asks a cluster about tokens: APIServer, or a client that you have.
type Reviewer interface {
	// Review tells whose a token is that is for one of the audiences. An error says that the cluster did not answer.
	Review(ctx context.Context, token string, audiences []string) (Review, error)
}

// Review is what a cluster says of a token: the status of a TokenReview (authentication.k8s.io/v1).
type Review struct {
	Authenticated bool
	User          string
	Groups        []string
	// Audiences are those of the ones asked for that the token is for. A cluster that does not know about audiences gives none.
	Audiences []string
}

func (s ServiceAccount) check() error {
	switch {
	case (s.Offline == nil) == (s.Reviewer == nil):
		return errors.New("expected one of Offline and Reviewer")
	case s.Offline != nil:
		return s.Offline.check()
	case len(s.Audiences) == 0 || slices.Contains(s.Audiences, ""):
		return errors.New("expected audiences, none of them empty: without, tokens for any other service would be good here")
	}
	return nil
}

// byServiceAccount is the identity by the subject of a token of the cluster.
func byServiceAccount(claims map[string]any) (*Identity, error) {
	user, _ := claims["sub"].(string)
	groups, err := serviceAccountGroups(user)
	if err != nil {
		return nil, err
	}
	return &Identity{User: user, Groups: groups}, nil
}

// Times of reviews.
const (
	// rememberReview bounds what clients that call often cost the cluster, and is how long a token may be good after it was revoked.
	rememberReview = 10 * time.Second
	// longestReview is what clients wait for the cluster at most.
	longestReview = 5 * time.Second
	// maxReviews are asked for at a time.
	maxReviews = 16
)

// reviews is the method that asks the cluster.
type reviews struct {
	reviewer  Reviewer
	audiences []string
	attempts  *attempts
	now       func() time.Time
	slots     chan struct{}
	known     cache[reviewed]
}

// reviewed is what the cluster said of a token.
type reviewed struct {
	id    *Identity // nil: it is not good
	until time.Time // when it is asked again
}

// asked is the Proof of an identity: the token to ask about, and when it expires by itself.
type asked struct {
	token   string
	expires time.Time
}

var _ Revoker = (*reviews)(nil)

func newReviews(s ServiceAccount, a *attempts, now func() time.Time) *reviews {
	return &reviews{reviewer: s.Reviewer, audiences: s.Audiences, attempts: a, now: now, slots: make(chan struct{}, maxReviews)}
}

func (r *reviews) Name() string { return MethodServiceAccount }

func (r *reviews) Authenticate(ctx context.Context, c Credentials) (*Identity, error) {
	if c.Scheme != SchemeBearer {
		return nil, ErrOtherMethod
	}
	sum := sha256.Sum256([]byte(c.Token))
	if v, ok := r.known.get(sum); ok && r.now().Before(v.until) {
		return v.answer()
	}
	claims, expires, err := r.forUs(c.Token)
	if err != nil {
		return nil, err
	}
	// What no look at the token could tell is asked, and that costs somebody else: it is bounded as passwords are.
	if err := r.attempts.allow(c.Peer); err != nil {
		return nil, err
	}
	id, err := r.review(ctx, c.Token)
	if err != nil {
		return nil, err
	}
	if id == nil {
		r.attempts.failed(c.Peer)
	} else {
		id.Claims, id.Proof = claims, asked{c.Token, expires}
		id = authenticated(id)
	}
	v := reviewed{id, r.now().Add(rememberReview)}
	r.known.put(sum, v)
	return v.answer()
}

func (v reviewed) answer() (*Identity, error) {
	if v.id == nil {
		return nil, errWrong
	}
	return v.id, nil
}

// forUs looks at a token before anybody is asked about it. It proves nothing.
func (r *reviews) forUs(token string) (claims map[string]any, expires time.Time, err error) {
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return nil, expires, other("not a token of an algorithm that clusters use: %v", err)
	}
	var known jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&known, &claims); err != nil {
		return nil, expires, other("the claims cannot be read: %v", err)
	}
	if _, err := serviceAccountGroups(known.Subject); err != nil {
		return nil, expires, other("%v", err)
	}
	switch {
	case !slices.ContainsFunc(r.audiences, known.Audience.Contains):
		return nil, expires, other("it is for another audience")
	case known.Expiry == nil:
		return nil, expires, other("it never expires")
	case r.now().After(known.Expiry.Time()):
		return nil, expires, other("it has expired")
	}
	return claims, known.Expiry.Time(), nil
}

// review asks; nil: the token is not good.
func (r *reviews) review(ctx context.Context, token string) (*Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, longestReview)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, unavailable("the cluster does not answer whose the token is: try again later")
	}
	review, err := r.reviewer.Review(ctx, token, r.audiences)
	if err != nil {
		return nil, unavailable("the cluster does not answer whose the token is: try again later; this server's log says why")
	}
	// A cluster that knows nothing of audiences takes tokens for any.
	if !review.Authenticated || !slices.ContainsFunc(review.Audiences, func(a string) bool { return slices.Contains(r.audiences, a) }) {
		return nil, nil //nolint:nilnil // an answer too
	}
	groups, err := serviceAccountGroups(review.User)
	if err != nil {
		return nil, nil //nolint:nilnil // a user of another kind
	}
	return &Identity{User: review.User, Groups: groups, Method: MethodServiceAccount}, nil
}

// StillValid asks again, unless the token has expired by itself. Where the cluster does not answer, what it said before holds.
func (r *reviews) StillValid(ctx context.Context, id *Identity) bool {
	by, ok := id.Proof.(asked)
	if !ok {
		return false
	}
	if r.now().After(by.expires) {
		return true
	}
	now, err := r.review(ctx, by.token)
	return err != nil || (now != nil && id.is(now))
}

func (r *reviews) look(*slog.Logger) bool { return false }
func (r *reviews) folders() []string      { return nil }
func (r *reviews) digest() string         { return "" }

func (r *reviews) trouble() string {
	if t, ok := r.reviewer.(interface{ trouble() string }); ok {
		return t.trouble()
	}
	return ""
}
