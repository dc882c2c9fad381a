package scan

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// textTest is a predicate of strings, or of bytes.
type textTest struct {
	x values[string]
	// mark marks with 1 the rows that are valid for which the predicate is true, and with 0 those for which it is not.
	mark func(b *block, v *vector[string], marks []byte)
	// prefix is what those begin with for which the predicate is true, if it is nothing else that it asks for.
	prefix   string
	isPrefix bool
}

func (n *textTest) eval(b *block, t *truth) {
	v, marks := b.texts.get(), b.marks.get()
	n.x.eval(b, v)
	n.mark(b, v, marks[:])
	t.yes.pack(marks)
	t.settle(&v.valid)
	b.texts.put(v)
	b.marks.put(marks)
}

// markEach is for predicates that take their time.
func markEach(f func(string) bool) func(b *block, v *vector[string], marks []byte) {
	return func(b *block, v *vector[string], marks []byte) {
		v.valid.each(func(i int) bool {
			marks[i] = bit(f(v.values[i]))
			return i%64 != 0 || !b.stopped()
		})
	}
}

// markAll is for predicates that are as quick for what is null.
func markAll(name, part string) func(b *block, v *vector[string], marks []byte) {
	switch name {
	case "startsWith":
		return func(_ *block, v *vector[string], marks []byte) {
			for i, s := range v.values {
				marks[i] = bit(strings.HasPrefix(s, part))
			}
		}
	case "endsWith":
		return func(_ *block, v *vector[string], marks []byte) {
			for i, s := range v.values {
				marks[i] = bit(strings.HasSuffix(s, part))
			}
		}
	default:
		return markEach(func(s string) bool { return strings.Contains(s, part) })
	}
}

func (n *textTest) outcomes(s Statistics) outcomes {
	bounds := n.x.bounds(s)
	o := outcomes{yes: true, no: true}
	if n.isPrefix {
		// Strings with the prefix stand side by side in the order of strings.
		o.yes = (!bounds.hasHigh || bounds.high >= n.prefix) &&
			(!bounds.hasLow || bounds.low <= n.prefix || strings.HasPrefix(bounds.low, n.prefix))
		o.no = !bounds.hasLow || !bounds.hasHigh || !strings.HasPrefix(bounds.low, n.prefix) || !strings.HasPrefix(bounds.high, n.prefix)
	}
	return bounds.with(o)
}

// textPairTest is a predicate of two strings.
type textPairTest struct {
	x, y values[string]
	f    func(a, b string) bool
}

func (n *textPairTest) eval(b *block, t *truth) {
	v, w := b.texts.get(), b.texts.get()
	n.x.eval(b, v)
	n.y.eval(b, w)
	v.valid.and(&w.valid)
	t.yes = bitmap{}
	v.valid.each(func(i int) bool {
		if n.f(v.values[i], w.values[i]) {
			t.yes.set(i)
		}
		return i%64 != 0 || !b.stopped()
	})
	t.settle(&v.valid)
	b.texts.put(v)
	b.texts.put(w)
}

func (n *textPairTest) outcomes(s Statistics) outcomes {
	x, y := n.x.bounds(s), n.y.bounds(s)
	return y.with(x.with(outcomes{yes: true, no: true}))
}

// textTests are the predicates that are methods of strings.
var textTests = map[string]func(s, part string) bool{
	"startsWith": strings.HasPrefix,
	"endsWith":   strings.HasSuffix,
	"contains":   strings.Contains,
}

// maxPatternCost bounds what the regular expressions of a filter take in memory, and in time for each byte that they are matched with. Those
// that people write cost some tens; a{1000} costs a thousand.
const maxPatternCost = 2000

// compilePattern compiles a regular expression of RE2's syntax, and says what it costs, which is at most the given number.
func compilePattern(pattern string, most int) (*regexp.Regexp, int, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	var invalid *syntax.Error
	if errors.As(err, &invalid) {
		return nil, 0, fmt.Errorf("the pattern %s is no regular expression of RE2's syntax: %s %s", quoted(pattern), invalid.Code, quoted(invalid.Expr))
	}
	if err != nil {
		return nil, 0, err
	}
	cost := patternCost(parsed)
	if cost > most {
		return nil, 0, fmt.Errorf("the pattern %s is too costly: expanded, the patterns of a filter can have %d parts together, and this one has %d",
			quoted(pattern), maxPatternCost, cost)
	}
	compiled, err := regexp.Compile(pattern)
	return compiled, cost, err
}

// patternCost is about the number of instructions that a regular expression is compiled to, found without compiling it.
func patternCost(re *syntax.Regexp) int {
	const enough = 1 << 20 // whatever comes on top
	cost := 1
	if re.Op == syntax.OpLiteral {
		cost = len(re.Rune)
	}
	for _, sub := range re.Sub {
		cost = min(cost+patternCost(sub), enough)
	}
	if re.Op == syntax.OpRepeat {
		cost *= max(re.Min, re.Max, 1) // Max is -1 if there is none
	}
	return min(cost, enough)
}
