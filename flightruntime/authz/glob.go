package authz

import (
	"errors"
	"unicode/utf8"
)

// glob is a pattern of names as path.Match has them, but that a slash is a character as any other: * is any text, ? any character, [a-z] and
// [^a-z] one of some and none of some, and \ takes the meaning from what follows.
type glob struct {
	text   string
	tokens []token
	// literal says that text is a name and no pattern.
	literal bool
}

// token is what one character of a name has to be, or any text.
type token struct {
	any     bool // any text
	negated bool
	ranges  [][2]rune // empty and negated: any character
}

func (t token) takes(r rune) bool {
	for _, of := range t.ranges {
		if of[0] <= r && r <= of[1] {
			return !t.negated
		}
	}
	return t.negated
}

// parseGlob reads a pattern. Its errors say what is wrong with it.
func parseGlob(text string) (glob, error) {
	if text == "" {
		return glob{}, errors.New("it is empty: expected a name or a pattern, such as \"trips-*\"; \"*\" means all")
	}
	if !utf8.ValidString(text) {
		return glob{}, errors.New("it is not UTF-8")
	}
	g := glob{text: text, literal: true}
	rest := []rune(text)
	for len(rest) > 0 {
		r := rest[0]
		rest = rest[1:]
		switch r {
		case '*':
			g.literal = false
			g.tokens = append(g.tokens, token{any: true})
		case '?':
			g.literal = false
			g.tokens = append(g.tokens, token{negated: true})
		case '[':
			g.literal = false
			var t token
			var err error
			if t, rest, err = parseClass(rest); err != nil {
				return glob{}, err
			}
			g.tokens = append(g.tokens, t)
		case '\\':
			if len(rest) == 0 {
				return glob{}, errors.New("it ends with a backslash: expected the character that it takes the meaning from")
			}
			g.literal = false
			r, rest = rest[0], rest[1:]
			g.tokens = append(g.tokens, token{ranges: [][2]rune{{r, r}}})
		default:
			g.tokens = append(g.tokens, token{ranges: [][2]rune{{r, r}}})
		}
	}
	return g, nil
}

// parseClass reads what follows a bracket.
func parseClass(rest []rune) (token, []rune, error) {
	var t token
	malformed := errors.New("a bracket is never closed, or nothing is in it: expected characters or ranges, as in [a-z0-9], and \\[ for a bracket itself")
	if len(rest) > 0 && rest[0] == '^' {
		t.negated, rest = true, rest[1:]
	}
	next := func() (r rune, ok bool) {
		if len(rest) > 0 && rest[0] == '\\' {
			rest = rest[1:]
		} else if len(rest) > 0 && (rest[0] == ']' || rest[0] == '-') {
			return 0, false
		}
		if len(rest) == 0 {
			return 0, false
		}
		r, rest = rest[0], rest[1:]
		return r, true
	}
	for len(rest) > 0 && (rest[0] != ']' || len(t.ranges) == 0) {
		low, ok := next()
		high := low
		if ok && len(rest) > 0 && rest[0] == '-' {
			rest = rest[1:]
			high, ok = next()
		}
		if !ok {
			return t, nil, malformed
		}
		if high < low {
			return t, nil, errors.New("a range goes from " + string(low) + " down to " + string(high) + ": expected the lesser character first")
		}
		t.ranges = append(t.ranges, [2]rune{low, high})
	}
	if len(rest) == 0 {
		return t, nil, malformed
	}
	return t, rest[1:], nil
}

// everything is true for the pattern of all names.
func (g glob) everything() bool { return g.text == "*" }

// matches is true if the pattern is for the name.
func (g glob) matches(name string) bool {
	switch {
	case g.literal:
		return g.text == name
	case g.everything():
		return true
	}
	// at is the token for the next character; where the characters that follow do not fit, the last * takes one more.
	at, star, again := 0, -1, 0
	for i := 0; i < len(name) || at < len(g.tokens); {
		if at < len(g.tokens) && g.tokens[at].any {
			star, again = at, i
			at++
			continue
		}
		r, size := utf8.DecodeRuneInString(name[i:])
		if at < len(g.tokens) && size > 0 && g.tokens[at].takes(r) {
			at++
			i += size
			continue
		}
		if star < 0 || again >= len(name) {
			return false
		}
		_, size = utf8.DecodeRuneInString(name[again:])
		again += size
		at, i = star+1, again
	}
	return true
}

// anyMatches is true if any of the patterns is for the name.
func anyMatches(globs []glob, name string) bool {
	for _, g := range globs {
		if g.matches(name) {
			return true
		}
	}
	return false
}
