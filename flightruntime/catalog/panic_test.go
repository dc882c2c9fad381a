package catalog

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// Whatever is wrong with the code that reads, one dataset fails and not the server, and what Go says of it is in the log alone.
func TestAPanicFailsOneDataset(t *testing.T) {
	var log bytes.Buffer
	c := New(slog.New(slog.NewTextHandler(&log, nil)))
	defer c.Close()
	d := &dataset{catalog: c}
	snapshot, err := d.inspect(t.Context(), config.Dataset{Name: "trips", Format: "CSV"}, []source.Object{nil}, nil, "")
	if snapshot != nil || !errors.Is(err, errFailed) || strings.Contains(err.Error(), "nil pointer") {
		t.Errorf("got %v, %v", snapshot, err)
	}
	for _, want := range []string{"dataset=trips", "nil pointer", "panic_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, &log)
		}
	}
}
