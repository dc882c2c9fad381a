package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
)

// servePprof answers Go's profiling tools until ctx is done. Profiles tell of what is served and take CPU time, so the address has to be one
// that only this host reaches.
func servePprof(ctx context.Context, address string) error {
	if err := checkLoopback(address); err != nil {
		return fmt.Errorf("--pprof %q: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return listenHTTP(ctx, newHTTPServer(address, mux)) // a profile takes as long as it is asked for
}

// checkLoopback refuses addresses that others may reach. Names are refused too: what they stand for may change.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("expected IP:PORT: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("expected a loopback address such as 127.0.0.1:6060, got host %q: profiles are for this host alone", host)
	}
	return nil
}
