package flightruntime

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
)

func TestSendable(t *testing.T) {
	for name, tt := range map[string]struct {
		md      metadata.MD
		want    metadata.MD
		refused string // with these words
	}{
		"none":                   {nil, metadata.MD{}, ""},
		"keys become lower case": {metadata.MD{"X-Tide": {"ebb"}, "x-tide": nil}, metadata.MD{"x-tide": {"ebb"}}, ""},
		"binary values":          {metadata.MD{"X-Tide-Bin": {"\x00\xff"}}, metadata.MD{"x-tide-bin": {"\x00\xff"}}, ""},
		"pseudo-headers":         {metadata.MD{":authority": {"host"}}, metadata.MD{":authority": {"host"}}, ""},
		"an empty key":           {metadata.MD{"": {"ebb"}}, nil, "expected a key"},
		"a key with a space":     {metadata.MD{"x tide": {"ebb"}}, nil, `"x tide": expected a key`},
		"a value of two lines":   {metadata.MD{"x-tide": {"ebb\r\nx-admin: yes"}}, nil, `"x-tide": expected a value`},
		"a value beyond ASCII":   {metadata.MD{"x-tide": {"höher"}}, nil, "-bin"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sendable(tt.md)
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got %v, want an error with %q", err, tt.refused)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v and %v, want %v", got, err, tt.want)
			}
		})
	}
}
