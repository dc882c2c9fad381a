package config

import (
	"path"
	"slices"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

var formats = []string{
	string(v1alpha1.FormatParquet),
	string(v1alpha1.FormatCSV),
	string(v1alpha1.FormatJSON),
	string(v1alpha1.FormatArrowFile),
	string(v1alpha1.FormatArrowStream),
}

var formatOfExtension = map[string]v1alpha1.Format{
	".parquet": v1alpha1.FormatParquet,
	".csv":     v1alpha1.FormatCSV,
	".json":    v1alpha1.FormatJSON,
	".jsonl":   v1alpha1.FormatJSON,
	".ndjson":  v1alpha1.FormatJSON,
	".arrow":   v1alpha1.FormatArrowFile,
	".feather": v1alpha1.FormatArrowFile,
	".ipc":     v1alpha1.FormatArrowFile,
	".arrows":  v1alpha1.FormatArrowStream,
}

// Formats are the names of the formats that a dataset can have.
func Formats() []string { return slices.Clone(formats) }

// FormatByExtension tells a file's format, or a glob's, by its extension.
func FormatByExtension(name string) (string, bool) {
	f, ok := formatOfExtension[path.Ext(name)]
	return string(f), ok
}
