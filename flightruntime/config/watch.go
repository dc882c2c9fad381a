package config

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/flight-operator/flight-operator/internal/watch"
)

// Watch calls changed with the content of a file, now and whenever it differs from the last call's, until ctx is done. A file that cannot
// be read is a call with an error.
func Watch(ctx context.Context, path string, changed func(raw []byte, err error)) {
	var last []byte
	var lastErr string
	watch.Folders(ctx, []string{filepath.Dir(path)}, func() time.Duration {
		raw, err := os.ReadFile(path)
		switch {
		case err != nil && err.Error() != lastErr:
			last, lastErr = nil, err.Error()
			changed(nil, err)
		case err == nil && (last == nil || !bytes.Equal(raw, last)):
			last, lastErr = raw, ""
			changed(raw, nil)
		}
		return 0
	})
}
