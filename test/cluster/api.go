package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// An apiClient speaks to the cluster's API server as its administrator.
type apiClient struct{ http *http.Client }

// newAPIClient makes a client that reaches the API server in the network namespace at netns.
func newAPIClient(netns string, authority []byte, admin pair) (apiClient, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return apiClient{}, errors.New("the cluster's certificate authority has no certificate")
	}
	certificate, err := tls.X509KeyPair(admin.certificate, admin.key)
	if err != nil {
		return apiClient{}, fmt.Errorf("the administrator's certificate: %w", err)
	}
	return apiClient{&http.Client{Transport: &http.Transport{
		DialContext:     dialIn(netns),
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
	}}}, nil
}

// A statusError is an answer of the API server that is not a success.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("status %d: %s", e.code, e.text) }

// hasStatus tells whether the API server answered with that status code.
func hasStatus(err error, code int) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == code
}

// get reads an object or a list into answer.
func (a apiClient) get(ctx context.Context, path string, answer any) error {
	return a.call(ctx, http.MethodGet, path, "", nil, answer)
}

// create creates an object, unless it is there already.
func (a apiClient) create(ctx context.Context, collection string, o object) error {
	err := a.call(ctx, http.MethodPost, collection, "application/json", o, nil)
	if hasStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// createYAML creates an object that is written in YAML, unless it is there already.
func (a apiClient) createYAML(ctx context.Context, collection string, text []byte) error {
	err := a.send(ctx, http.MethodPost, collection, "application/yaml", text, nil)
	if hasStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// mergePatch changes the fields of an object that are in patch; null removes one.
func (a apiClient) mergePatch(ctx context.Context, path string, patch object) error {
	return a.call(ctx, http.MethodPatch, path, "application/merge-patch+json", patch, nil)
}

// call makes a request with body as JSON, if there is one, and decodes the answer into answer, unless that is nil.
func (a apiClient) call(ctx context.Context, method, path, contentType string, body, answer any) error {
	if body == nil {
		return a.send(ctx, method, path, contentType, nil, answer)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return a.send(ctx, method, path, contentType, text, answer)
}

// send makes a request with content as it is, and decodes the answer, which is JSON, into answer, unless that is nil.
func (a apiClient) send(ctx context.Context, method, path, contentType string, content []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, apiServerURL+path, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %w", method, path, &statusError{response.StatusCode, string(text)})
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// ready tells whether the API server accepts requests.
func (a apiClient) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, apiServerURL+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := a.http.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// nodeReady tells whether the node is registered and reports that it is ready.
func (a apiClient) nodeReady(ctx context.Context, name string) (bool, error) {
	return a.hasCondition(ctx, "/api/v1/nodes/"+name, "Ready")
}

// hasCondition tells whether an object is there and has the condition, with the status True.
func (a apiClient) hasCondition(ctx context.Context, path, condition string) (bool, error) {
	var o struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	err := a.get(ctx, path, &o)
	if hasStatus(err, http.StatusNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, c := range o.Status.Conditions {
		if c.Type == condition {
			return c.Status == "True", nil
		}
	}
	return false, nil
}

// exists tells whether an object is there.
func (a apiClient) exists(ctx context.Context, path string) (bool, error) {
	err := a.get(ctx, path, nil)
	if hasStatus(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}
