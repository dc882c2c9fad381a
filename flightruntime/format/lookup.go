package format

import (
	"fmt"
	"strings"
)

// The names of the formats, as manifests spell them.
const (
	Parquet     = "Parquet"
	CSV         = "CSV"
	JSON        = "JSON"
	ArrowFile   = "ArrowFile"
	ArrowStream = "ArrowStream"
)

// Names of the formats that Lookup knows.
func Names() []string { return []string{Parquet, CSV, JSON, ArrowFile, ArrowStream} }

// Lookup returns the format of that name. The error of an unknown one lists those there are.
func Lookup(name string) (Format, error) {
	switch name {
	case Parquet:
		return parquetFormat{}, nil
	case CSV:
		return csvFormat{}, nil
	case JSON:
		return jsonFormat{}, nil
	case ArrowFile:
		return arrowFormat{file: true}, nil
	case ArrowStream:
		return arrowFormat{}, nil
	default:
		return nil, fmt.Errorf("there is no format %q: expected one of %s", name, strings.Join(Names(), ", "))
	}
}
