package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// loadKeys gives the service the keys of a file; without one, it keeps its own.
func loadKeys(path string, service *datasets.Service) error {
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--signing-keys: %w", err)
	}
	return setKeys(path, raw, service)
}

func setKeys(path string, raw []byte, service *datasets.Service) error {
	keys, err := signing.Parse(raw)
	if err != nil {
		return fmt.Errorf("--signing-keys %s: %w", path, err)
	}
	service.SetKeys(keys)
	return nil
}

// followKeys gives the service what the file becomes, until ctx is done. Of a file that is no file of keys, the ones before stay.
func followKeys(ctx context.Context, path string, service *datasets.Service, log *slog.Logger) {
	config.Watch(ctx, path, func(raw []byte, err error) {
		if err == nil {
			err = setKeys(path, raw, service)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) { // that is between two versions of a mounted Secret
			log.Error("the newer signing keys are not used", "error", err)
		}
	})
}
