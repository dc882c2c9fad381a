package status

import (
	"fmt"
	"strings"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/internal/text"
)

// Cut brings a message to MaxStatusMessage bytes.
func Cut(message string) string { return text.Cut(message, v1alpha1.MaxStatusMessage) }

// maxNamed is how many names a message gives before it only counts.
const maxNamed = 3

// some names a few and counts the rest: "a, b, c and 4 more".
func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

// count puts a number before a noun that takes an s.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
