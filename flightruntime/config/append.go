package config

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// appendFormats are the formats that keep every type of what is put, as package format writes them.
var appendFormats = []string{string(v1alpha1.FormatParquet), string(v1alpha1.FormatArrowFile), string(v1alpha1.FormatArrowStream)}

// maxAppendName bounds the last segment of a glob that puts go by: with what package landing puts in place of its '*', 56 bytes, a name stays
// well below the 255 that file systems allow.
const maxAppendName = 128

var accesses = []v1alpha1.Access{v1alpha1.AccessReadOnly, v1alpha1.AccessAppend, v1alpha1.AccessReadWrite}

// Allowed is what clients may do to a dataset besides reading it.
type Allowed struct {
	// Append: put batches, which become further files of the dataset.
	Append bool
	// Overwrite: replace all files, and delete files.
	Overwrite bool
}

// AllowedBy is what an access allows.
func AllowedBy(a v1alpha1.Access) Allowed {
	return Allowed{
		Append:    a == v1alpha1.AccessAppend || a == v1alpha1.AccessReadWrite,
		Overwrite: a == v1alpha1.AccessReadWrite,
	}
}

// Allows is what clients may do to the dataset besides reading it.
func (d *Dataset) Allows() Allowed { return AllowedBy(d.Access) }

// appendFields say where the parts of a dataset stand that puts depend on.
type appendFields struct{ access, format, path *field.Path }

func (d Dataset) validateAccess(at *field.Path) field.ErrorList {
	access := at.Child("access")
	if d.Access != "" && !slices.Contains(accesses, d.Access) {
		return field.ErrorList{field.NotSupported(access, d.Access, accesses)}
	}
	if !d.Allows().Append || d.Missing != "" { // its claim, whose path is not told
		return nil
	}
	onVolume := d.Files != nil && d.Files.SHA256 == ""
	glob := ""
	if onVolume {
		glob = d.Files.Path
	}
	return validateAppend(appendFields{access: access, format: at.Child("format"), path: at.Child("files", "path")}, d.Access, d.Format, glob, onVolume)
}

// validateAppend tells why puts could not become files of a dataset with that format and glob.
func validateAppend(at appendFields, access v1alpha1.Access, format, glob string, onVolume bool) (errs field.ErrorList) {
	if !onVolume {
		return field.ErrorList{field.Invalid(at.access, access, "what is put needs a place to land: set source.volume, or access to ReadOnly")}
	}
	if !slices.Contains(appendFormats, format) {
		errs = append(errs, field.Invalid(at.format, format, fmt.Sprintf(
			"what is put keeps its types only in %s: set format to one of these, or access to ReadOnly", strings.Join(appendFormats, ", "))))
	}
	return append(errs, ValidateAppendPath(at.path, glob)...)
}

// ValidateAppendPath tells whether new files can be named so that a glob matches them, and in one way only: its last segment is a name with
// one '*', for which the new file's own name stands, below folders with plain names and then "**" at most, which stands for none.
func ValidateAppendPath(at *field.Path, glob string) field.ErrorList {
	const example = `, such as "trips/**/*.parquet"`
	refuse := func(why string) field.ErrorList { return field.ErrorList{field.Invalid(at, glob, why+example)} }
	folders, name := path.Split(glob)
	switch {
	case strings.Count(name, "*") != 1 || strings.ContainsAny(name, `?[]{}\`):
		return refuse("puts become further files of this glob: let it end in a name with one '*' and no other pattern")
	case strings.HasPrefix(name, ".."):
		return refuse("names that begin with '..' are not listed, so that puts would not be seen: let the glob end in another name")
	case len(name) > maxAppendName:
		return refuse(fmt.Sprintf("the glob's last name has %d bytes and puts make longer ones of it: shorten it to %d", len(name), maxAppendName))
	}
	open := false // after a "**"
	for folder := range strings.SplitSeq(strings.TrimSuffix(folders, "/"), "/") {
		switch {
		case folder == "**":
			open = true
		case open, strings.ContainsAny(folder, `*?[]{}\`):
			return refuse("the glob does not say in which folder puts land: give its folders plain names, and then '**' at most")
		}
	}
	return nil
}
