package flightruntime

import (
	"bytes"
	"errors"
	"testing"
)

// TestExtraInfoReachesOurClient: of every kind, also of those that are no Flight errors in pyarrow.
func TestExtraInfoReachesOurClient(t *testing.T) {
	info := []byte("\x00extra\xff")
	for _, k := range kinds {
		t.Run(string(k.kind), func(t *testing.T) {
			trailers := extraInfoTrailers(Errorf(k.kind, "aground").WithExtraInfo(info))
			if forC := len(trailers.Get(trailerArrowStatus)) > 0; forC != (k.arrow != 0) {
				t.Errorf("got the trailers %v: C++ makes a Flight error of all that comes with %s", trailers, trailerArrowStatus)
			}
			var e *Error
			if err := callError(Errorf(k.kind, "aground").GRPCStatus().Err(), trailers); !errors.As(err, &e) || e.Kind != k.kind || !bytes.Equal(e.ExtraInfo, info) {
				t.Errorf("the client got %v with %x", err, e.ExtraInfo)
			}
		})
	}
}
