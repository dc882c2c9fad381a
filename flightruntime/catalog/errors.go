package catalog

import (
	"errors"
	"fmt"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// NotFoundError says that there is no dataset of that name.
type NotFoundError struct {
	Name string
	// Similar is the name of a dataset that may have been meant, if there is one.
	Similar string
}

func (e *NotFoundError) Error() string {
	if e.Similar != "" {
		return fmt.Sprintf("there is no dataset %q: did you mean %q?", e.Name, e.Similar)
	}
	return fmt.Sprintf("there is no dataset %q: ListFlights tells which there are", e.Name)
}

// UnavailableError says that the dataset is configured, and no version of it can be served now.
type UnavailableError struct {
	Name string
	// Message says why.
	Message string
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("dataset %q cannot be served now: %s", e.Name, e.Message)
}

// ChangedError says that an object changed between the snapshot and the read.
type ChangedError struct {
	Name string
	Err  error
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("dataset %q changed while it was read, ask again: %v", e.Name, e.Err)
}

func (e *ChangedError) Unwrap() error { return e.Err }

func (s *Snapshot) readError(err error) error {
	if errors.Is(err, source.ErrChanged) {
		s.changed()
		return &ChangedError{Name: s.Name, Err: err}
	}
	return err
}
