package authn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flight-operator/flight-operator/internal/text"
)

// APIServer is a Reviewer: Kubernetes' API server, which is asked as a pod may ask it. The pod's service account needs the cluster role
// system:auth-delegator. The files are read at each request. It is safe for use by several goroutines, and not to be copied.
type APIServer struct {
	// URL is the address of the API server, such as https://kubernetes.default.svc.
	URL string
	// TokenFile holds the pod's own token, and CAFile the CA certificates of the API server, in PEM.
	TokenFile, CAFile string

	problem atomic.Pointer[string]
	once    sync.Once
	remote  *remote
}

// The part of a TokenReview (authentication.k8s.io/v1) that is written and read here.
type tokenReview struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Spec       tokenReviewSpec  `json:"spec"`
	Status     tokenReviewState `json:"status"`
}

type tokenReviewSpec struct {
	Token     string   `json:"token"`
	Audiences []string `json:"audiences"`
}

type tokenReviewState struct {
	Authenticated bool     `json:"authenticated"`
	Audiences     []string `json:"audiences"`
	User          struct {
		Username string   `json:"username"`
		Groups   []string `json:"groups"`
	} `json:"user"`
}

// Identification of a TokenReview.
const (
	reviewVersion = "authentication.k8s.io/v1"
	reviewKind    = "TokenReview"
)

// Review posts a TokenReview.
func (s *APIServer) Review(ctx context.Context, token string, audiences []string) (Review, error) {
	review, err := s.post(ctx, token, audiences)
	if err != nil {
		problem := text.Cut("tokens cannot be reviewed: "+err.Error(), maxFetchedMessage)
		s.problem.Store(&problem)
		return Review{}, err
	}
	s.problem.Store(nil)
	return review, nil
}

func (s *APIServer) post(ctx context.Context, token string, audiences []string) (Review, error) {
	body, err := json.Marshal(tokenReview{APIVersion: reviewVersion, Kind: reviewKind, Spec: tokenReviewSpec{token, audiences}})
	if err != nil {
		return Review{}, err
	}
	address := strings.TrimSuffix(s.URL, "/") + "/apis/" + reviewVersion + "/tokenreviews"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Review{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	s.once.Do(func() { s.remote = &remote{caFile: s.CAFile, tokenFile: s.TokenFile, host: req.URL.Host} })
	answer, err := s.remote.do(req, http.StatusCreated)
	if err != nil {
		return Review{}, err
	}
	return parseReview(answer)
}

// parseReview reads the answer of an API server. Its errors do not show it: it has the token in it.
func parseReview(answer []byte) (Review, error) {
	var review tokenReview
	if err := json.Unmarshal(answer, &review); err != nil || review.Kind != reviewKind || review.APIVersion != reviewVersion {
		return Review{}, fmt.Errorf("expected a %s of %s, got %d bytes that are none", reviewKind, reviewVersion, len(answer))
	}
	status := review.Status
	return Review{status.Authenticated, status.User.Username, status.User.Groups, status.Audiences}, nil
}

func (s *APIServer) trouble() string {
	if p := s.problem.Load(); p != nil {
		return *p
	}
	return ""
}
