package authn

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// remote is a server that is asked over HTTPS. Its files are read at each request, so they may change.
type remote struct {
	caFile    string // PEM; empty: the CAs of the system
	tokenFile string // a bearer token that is sent to host; empty: none
	host      string // HOST:PORT, as in URLs

	mu     sync.Mutex
	ca     []byte // that client trusts
	client *http.Client
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// idleConnection is how long a connection is kept that nothing is asked on.
const idleConnection = time.Minute

// get is the body of an answer.
func (r *remote) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	return r.do(req, http.StatusOK)
}

// do sends a request, and takes an answer of that status.
func (r *remote) do(req *http.Request, status int) ([]byte, error) {
	client, err := r.trusting()
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), err)
	}
	if answer.StatusCode != status {
		return nil, fmt.Errorf("%s %s: expected the status %d, got %s", req.Method, req.URL.Redacted(), status, answer.Status)
	}
	return body, nil
}

// trusting is a client that trusts what the file of CAs holds now.
func (r *remote) trusting() (*http.Client, error) {
	var ca []byte
	if r.caFile != "" {
		var err error
		if ca, err = readFile(r.caFile); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil && bytes.Equal(ca, r.ca) {
		return r.client, nil
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.caFile != "" {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s: expected CA certificates in PEM, found none in %d bytes", r.caFile, len(ca))
		}
	}
	if r.client != nil {
		r.client.CloseIdleConnections()
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: maxToken, TLSHandshakeTimeout: longestFetch, IdleConnTimeout: idleConnection,
	}
	r.ca, r.client = ca, &http.Client{
		Transport: guarded{transport, r.tokenFile, r.host},
		Timeout:   longestFetch,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it redirects, which is not followed: give the address that it redirects to")
		},
	}
	return r.client, nil
}

// guarded sends requests over TLS only, a token to its host only, and bounds answers.
type guarded struct {
	transport       *http.Transport
	tokenFile, host string
}

func (g guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkURL(req.URL.String()); err != nil {
		return nil, err
	}
	if g.tokenFile != "" && req.URL.Host == g.host {
		token, err := readFile(g.tokenFile)
		if err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	answer, err := g.transport.RoundTrip(req)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxAnswer), answer.Body}
	}
	return answer, err
}

// CloseIdleConnections is for http.Client.
func (g guarded) CloseIdleConnections() { g.transport.CloseIdleConnections() }

// checkURL refuses addresses that others could answer in the place of.
func checkURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("expected https://HOST/PATH, got %q", address)
	}
	return nil
}

// fetchKeys fetches the keys of an issuer, from url, or from where the issuer's discovery document says if that is empty.
func fetchKeys(issuer, url string, r *remote) func(context.Context) (*keySet, error) {
	return func(ctx context.Context) (*keySet, error) {
		if url == "" {
			return discovered(ctx, issuer, r)
		}
		body, err := r.get(ctx, url)
		if err != nil {
			return nil, err
		}
		return parseKeySet(body)
	}
}

// discovered are the keys of an issuer by OpenID Connect Discovery.
func discovered(ctx context.Context, issuer string, r *remote) (*keySet, error) {
	client, err := r.trusting()
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), issuer) // it checks that the document is this issuer's
	if err != nil {
		return nil, err
	}
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, err
	}
	body, err := r.get(ctx, document.Keys)
	if err != nil {
		return nil, err
	}
	return parseKeySet(body)
}

// hostOf is the host of a URL, with its port if it has one.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// or is a duration, or what holds where it is 0.
func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
