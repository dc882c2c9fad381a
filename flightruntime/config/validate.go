package config

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of the limits, the same as in the CRD.
const (
	minMessageBytes = 1 << 10
	maxMessageBytes = 2<<30 - 1
	maxStreams      = 1 << 16
	minRefresh      = time.Second
)

var datasetName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Validate tells what breaks a rule, by field.
func (c *Config) Validate() field.ErrorList {
	errs := append(c.Limits.validate(field.NewPath("limits")), c.TLS.validate(field.NewPath("tls"))...)
	errs = append(errs, c.Auth.validate(field.NewPath("auth"), c.TLS)...)
	errs = append(errs, c.Cache.validate(field.NewPath("cache"))...)
	seen := map[string]bool{}
	for i, d := range c.Datasets {
		at := field.NewPath("datasets").Index(i)
		errs = append(errs, d.validate(at)...)
		errs = append(errs, c.validateCache(at, d)...)
		if seen[d.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), d.Name))
		}
		seen[d.Name] = true
	}
	return errs
}

func (l Limits) validate(at *field.Path) (errs field.ErrorList) {
	if l.MaxMessageBytes < minMessageBytes || l.MaxMessageBytes > maxMessageBytes {
		errs = append(errs, field.Invalid(at.Child("maxMessageBytes"), l.MaxMessageBytes, "expected between 1 KiB and 2 GiB"))
	}
	if l.MaxStreams < 1 || l.MaxStreams > maxStreams {
		errs = append(errs, field.Invalid(at.Child("maxStreams"), l.MaxStreams, "expected between 1 and 65536"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"maxCallDuration", l.MaxCallDuration.Duration}, {"drainTimeout", l.DrainTimeout.Duration}} {
		if d.value < time.Second {
			errs = append(errs, field.Invalid(at.Child(d.name), d.value.String(), "expected at least 1s"))
		}
	}
	if d := l.MaxConnectionAge.Duration; d != 0 && d < time.Second {
		errs = append(errs, field.Invalid(at.Child("maxConnectionAge"), d.String(), "expected 0s (without end) or at least 1s"))
	}
	return errs
}

func (d Dataset) validate(at *field.Path) (errs field.ErrorList) {
	if !datasetName.MatchString(d.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), d.Name, "expected an RFC 1123 label: up to 63 lower-case letters, digits and '-'"))
	}
	if !slices.Contains(formats, d.Format) {
		errs = append(errs, field.NotSupported(at.Child("format"), d.Format, formats))
	}
	if r := d.RefreshInterval.Duration; r != 0 && r < minRefresh {
		errs = append(errs, field.Invalid(at.Child("refreshInterval"), r.String(), "expected 0s (never) or at least 1s"))
	}
	sources := 0
	if d.Inline != nil {
		sources++
	}
	if d.Missing != "" {
		sources++
	}
	if d.Files != nil {
		sources++
		if !path.IsAbs(d.Files.Root) {
			errs = append(errs, field.Invalid(at.Child("files", "root"), d.Files.Root, "expected an absolute path"))
		}
		errs = append(errs, ValidatePath(at.Child("files", "path"), d.Files.Path)...)
	}
	if sources != 1 {
		errs = append(errs, field.Invalid(at, d.Name, "expected exactly one of inline, files and missing"))
	}
	return append(errs, d.validateAccess(at)...)
}

// ValidatePath tells whether a path names files below a root: relative, clean, never leaving it.
func ValidatePath(at *field.Path, p string) (errs field.ErrorList) {
	switch {
	case p == "":
		return field.ErrorList{field.Required(at, "the path of a file, or a glob such as \"trips/**/*.parquet\"")}
	case strings.HasPrefix(p, "/"):
		return field.ErrorList{field.Invalid(at, p, "the path is relative to the volume's root: leave out the leading '/'")}
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return field.ErrorList{field.Invalid(at, p, "the path has to be clean: no empty segment, '.' or '..', and no '/' at its end")}
		}
	}
	if !doublestar.ValidatePattern(p) {
		return field.ErrorList{field.Invalid(at, p, "not a well-formed glob: is a '[' or '{' left open?")}
	}
	return errs
}
