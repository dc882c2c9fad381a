// Package text has what messages to users need, and what text is compared by.
package text

import (
	"strings"
	"unicode/utf8"
)

const ellipsis = "…"

// Cut brings a message to at most n bytes, between two characters. What is not UTF-8 is replaced.
func Cut(message string, n int) string {
	message = strings.ToValidUTF8(message, "\uFFFD")
	if len(message) <= n {
		return message
	}
	end := max(n-len(ellipsis), 0)
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + ellipsis
}
