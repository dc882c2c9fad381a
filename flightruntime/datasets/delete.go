package datasets

import (
	"context"
	"errors"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/landing"
)

// actionDelete removes files of a dataset.
const actionDelete = "Delete"

// deleteRequest is the body of the action Delete, as JSON. Exactly one of Files and All is set.
type deleteRequest struct {
	Dataset string `json:"dataset"`
	// Files by their paths below the root of the volume, as the answers to puts name them.
	Files []string `json:"files,omitempty"`
	All   bool     `json:"all,omitempty"`
}

// deleted is the answer to the action Delete, as JSON.
type deleted struct {
	Dataset string `json:"dataset"`
	// Files that were there and are gone.
	Files []string `json:"files"`
}

func parseDelete(body []byte) (asked deleteRequest, err error) {
	err = jsonv2.Unmarshal(body, &asked, jsonv2.RejectUnknownMembers(true))
	if err != nil || asked.Dataset == "" || asked.All == (len(asked.Files) > 0) {
		return asked, flightruntime.Errorf(flightruntime.KindInvalid,
			"the body of %d bytes: expected JSON such as {\"dataset\": \"trips\", \"files\": [\"trips/put-1.parquet\"]} or {\"dataset\": \"trips\", \"all\": true}", len(body))
	}
	return asked, nil
}

// mayDelete lets the caller delete, unless there are rows or columns that they do not see: what is deleted is files, with all that is in them.
func (c caller) mayDelete(dataset string) (permit, error) {
	p, err := c.mayActOn(actionDelete, dataset)
	if err == nil && p.narrowed() {
		c.record.decided(p, false)
		err = p.refused()
	}
	return p, err
}

// delete removes files of a dataset, all that are asked for or none. It returns when that would outlive a power failure and is served.
func (s *Service) delete(ctx context.Context, c caller, body []byte) ([][]byte, error) {
	asked, err := parseDelete(body)
	if err != nil {
		return nil, err
	}
	p, err := c.mayDelete(asked.Dataset)
	if err != nil {
		return nil, err
	}
	place, err := s.landingOf(ctx, p, overwriting)
	if err != nil {
		return nil, err
	}
	defer place.leave()
	var removed []string
	if asked.All {
		removed, err = place.landing.DeleteAll(ctx)
	} else {
		removed, err = place.landing.Delete(ctx, asked.Files...)
	}
	if errors.Is(err, landing.ErrNoFile) {
		return nil, flightruntime.Errorf(flightruntime.KindInvalid, "dataset %s: %w", asked.Dataset, err)
	}
	if err != nil {
		return nil, putError(asked.Dataset, err)
	}
	if _, err := s.catalog.Refresh(ctx, asked.Dataset); err != nil {
		return nil, err
	}
	if len(removed) > 0 || asked.All {
		place.forgetSchema()
	}
	return jsonResults(deleted{Dataset: asked.Dataset, Files: append([]string{}, removed...)})
}
