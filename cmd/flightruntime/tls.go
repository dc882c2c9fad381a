package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/certs"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// tlsSettings are what a configuration says of TLS, in the words of package certs.
func tlsSettings(t *config.TLS) certs.Settings {
	s := certs.Settings{CertFile: t.CertFile, KeyFile: t.KeyFile, Names: t.Names, MinVersion: tls.VersionTLS12, OperatorCA: t.OperatorCA}
	if t.MinVersion == v1alpha1.TLS13 {
		s.MinVersion = tls.VersionTLS13
	}
	if ca := t.ClientCA; ca != nil {
		s.ClientCAFile = ca.File
		if ca.Mode == v1alpha1.ClientCAOptional {
			s.ClientCertificates = certs.ClientCertificatesOptional
		}
	}
	return s
}

// followTLS is the source of a server's TLS until ctx is done; nil if the configuration has none.
func followTLS(ctx context.Context, t *config.TLS, log *slog.Logger) (*certs.Source, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // plain text is no error
	}
	source, err := certs.Follow(ctx, tlsSettings(t), log)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return source, nil
}

// reloadTLS makes a newer configuration's settings hold. Whether there is TLS at all is settled for the life of a process.
func reloadTLS(source *certs.Source, t *config.TLS, log *slog.Logger) error {
	switch {
	case source == nil && t == nil:
		return nil
	case source == nil:
		log.Warn("the newer configuration has TLS, and this process goes on in plain text: start another")
		return nil
	case t == nil:
		log.Warn("the newer configuration has no TLS, and this process goes on with it: start another")
		return nil
	}
	settings := tlsSettings(t)
	if file := settings.ClientCAFile; file != "" && !source.AsksClients() && !hasFolder(file) {
		// A pod from before clients were asked. It would refuse everybody until the operator has replaced it.
		log.Warn("the newer configuration asks clients for certificates, and this process was started without the folder of the CA certificates: start another", "file", file)
		settings.ClientCAFile, settings.ClientCertificates = "", certs.ClientCertificatesRequired
	}
	if err := source.Set(settings); err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return nil
}

// hasFolder tells whether the folder of a file is there.
func hasFolder(file string) bool {
	info, err := os.Stat(filepath.Dir(file))
	return err == nil && info.IsDir()
}

// listenAt is where to listen: with TLS, grpc://HOST:PORT is grpc+tls://HOST:PORT.
func listenAt(location string, source *certs.Source) (string, error) {
	l, err := flightruntime.ParseLocation(location)
	switch {
	case err != nil:
		return "", fmt.Errorf("--listen: %w", err)
	case source != nil && l.Scheme() == flightruntime.SchemeTCP:
		return flightruntime.ForGRPCTLS(l.Host(), l.Port()).String(), nil
	case source == nil && l.Scheme() == flightruntime.SchemeTLS:
		return "", fmt.Errorf("--listen %s: the configuration has no TLS: set spec.tls in the FlightServer, or leave out \"+tls\"", location)
	}
	return location, nil
}
