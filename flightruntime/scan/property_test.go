package scan_test

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

var (
	propertySeed   = flag.Uint64("seed", 0, "seed of the property test's random part; 0 takes one from the clock")
	propertyTables = flag.Int("tables", 15, "tables of the property test for each seed")
)

// Whatever the schema, the data and the filter, the rows that come out are those for which a row-by-row evaluation says true, and no row group
// that has such rows is pruned.
func TestFiltersAgreeWithTheReference(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if *propertySeed != 0 {
		seeds = []uint64{*propertySeed}
	} else {
		seeds = append(seeds, uint64(time.Now().UnixNano()))
	}
	pruned, matched, asked := 0, 0, 0
	for _, seed := range seeds {
		for table := range *propertyTables {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(table)))}
			g.table()
			for range 25 {
				e := g.boolean(1 + g.IntN(4))
				p, m := g.check(t, e)
				pruned, matched, asked = pruned+p, matched+m, asked+1
				if t.Failed() {
					t.Fatalf("go test -run %s -args -seed %d, table %d", t.Name(), seed, table)
				}
			}
		}
	}
	t.Logf("%d filters, %d matched something, %d row groups were pruned", asked, matched, pruned)
	if pruned < asked/20 || matched < asked/4 {
		t.Errorf("of %d filters %d matched something, %d row groups were pruned: too few to say anything", asked, matched, pruned)
	}
}

// kinds of expressions.
type exprKind string

const (
	aBool    exprKind = "bool"
	anInt    exprKind = "int"
	aUint    exprKind = "uint"
	aDouble  exprKind = "double"
	aDecimal exprKind = "decimal"
	aString  exprKind = "string"
	bytes_   exprKind = "bytes"
	aTime    exprKind = "timestamp"
	aSpan    exprKind = "duration"
)

// expression is a filter, or a part of one: as text, and as what it means for a row.
type expression struct {
	text    string
	kind    exprKind
	tick    int64 // of timestamps and durations
	literal bool
	eval    func(row int) any
}

// generator makes tables and expressions about them.
type generator struct {
	*rand.Rand
	rows    int
	fields  []arrow.Field
	columns []arrow.Array
	// values of each column, by row. nil for nested ones.
	values [][]any
	// roots are the values of all columns, nested ones too, by name.
	roots map[string]func(row int) any
	// plain leaves out what cel-go has other values for, or none: nulls, decimals, and what is beyond its types.
	plain bool
	// cells are all that is a value within a row: columns, fields of structs, elements of lists.
	cells []expression
	// lists are columns of lists, by the kind of their elements.
	lists []expression
	// nullable are cells, lists and structs: what can be tested for null.
	nullable []expression
}

// cell is a value in the table of the given kind, if there is one.
func (g *generator) cell(k exprKind) (expression, bool) {
	start := g.IntN(len(g.cells))
	for i := range g.cells {
		if c := g.cells[(start+i)%len(g.cells)]; c.kind == k {
			return c, true
		}
	}
	return expression{}, false
}

// literal is a constant of the given kind.
func (g *generator) literal(k exprKind) expression {
	for {
		if e := g.anyLiteral(k); !g.plain || forCELToo(e.eval(0)) {
			return e
		}
	}
}

func (g *generator) anyLiteral(k exprKind) expression {
	constant := func(text string, v any) expression {
		return expression{text: text, kind: k, literal: true, eval: func(int) any { return v }}
	}
	switch k {
	case aBool:
		v := g.IntN(2) == 0
		return constant(strconv.FormatBool(v), v)
	case anInt:
		v := pick(g, intPool)
		return constant(strconv.FormatInt(v, 10), v)
	case aUint:
		v := uint64(pick(g, intPool)) & math.MaxInt64
		return constant(strconv.FormatUint(v, 10)+"u", v)
	case aDouble, aDecimal:
		v := pick(g, doublePool)
		text := strconv.FormatFloat(v, 'e', -1, 64)
		if math.IsNaN(v) || math.IsInf(v, 0) {
			text = fmt.Sprintf("double('%g')", v)
		} else if k == aDecimal { // it means what is written
			r, _ := new(big.Rat).SetString(text)
			return expression{text: text, kind: aDouble, literal: true, eval: func(int) any { return r }}
		}
		e := constant(text, v)
		e.kind = aDouble
		return e
	case aString:
		v := pick(g, textPool)
		return constant(strconv.Quote(v), v)
	case bytes_:
		v := pick(g, blobPool)
		text := "b'"
		for i := range len(v) {
			text += fmt.Sprintf("\\x%02x", v[i])
		}
		return constant(text+"'", blob(v))
	case aTime:
		second, nano := pick(g, secondPool[:13]), pick(g, []int64{0, 0, 1e6, 5e8, 123456000})
		at := time.Unix(second, nano).UTC()
		e := constant(fmt.Sprintf("timestamp('%s')", at.Format(time.RFC3339Nano)), instant{nanos(at.Unix(), 1e9)})
		n := e.eval(0).(instant)
		n.Add(n.Int, big.NewInt(nano))
		e.tick = coarsest(nano)
		return e
	default:
		d := time.Duration(pick(g, []int64{0, 1, -1, 1e6, 5e8, 1e9, 3600e9, -86400e9, 1500e6, 1_000}))
		e := constant(fmt.Sprintf("duration('%s')", d), span{big.NewInt(int64(d))})
		e.tick = coarsest(int64(d))
		return e
	}
}

// coarsest is the coarsest unit that so many nanoseconds are whole in.
func coarsest(nano int64) int64 {
	for _, tick := range []int64{1e9, 1e6, 1e3} {
		if nano%tick == 0 {
			return tick
		}
	}
	return 1
}

// term is an expression of the given kind.
func (g *generator) term(k exprKind, depth int) expression {
	if k == aBool {
		return g.boolean(depth)
	}
	if depth > 0 && g.IntN(2) == 0 {
		if e, ok := g.compound(k, depth-1); ok {
			return e
		}
	}
	if g.IntN(4) > 0 {
		if c, ok := g.cell(k); ok {
			return c
		}
	}
	return g.literal(k)
}

// compound is an expression of the given kind that is made of others, unless it finds none.
func (g *generator) compound(k exprKind, depth int) (expression, bool) {
	if g.IntN(6) == 0 && k != aDecimal {
		return g.choice(k, depth), true
	}
	binary := func(ops ...string) expression {
		op := pick(g, ops)
		x, y := g.term(k, depth), g.term(k, depth)
		return expression{text: fmt.Sprintf("(%s %s %s)", x.text, op, y.text), kind: k, eval: func(row int) any { return calculate(op, x.eval(row), y.eval(row)) }}
	}
	converted := func(to string, from ...exprKind) expression {
		x := g.columnar(pick(g, from), depth)
		return expression{text: fmt.Sprintf("%s(%s)", to, x.text), kind: k, eval: func(row int) any { return convert(to, x.eval(row)) }}
	}
	switch k {
	case anInt:
		switch g.IntN(5) {
		case 0:
			return converted("int", aUint, aDouble, aString, aTime), true
		case 1:
			name := pick(g, []string{"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"})
			zone := pick(g, []string{"", "Europe/Amsterdam", "-03:30"})
			in := time.UTC
			if zone == "-03:30" {
				in = time.FixedZone("", -3*3600-1800)
			} else if zone != "" {
				in, _ = time.LoadLocation(zone)
			}
			x := g.term(aTime, depth)
			argument := ""
			if zone != "" {
				argument = "'" + zone + "'"
			}
			return expression{text: fmt.Sprintf("%s.%s(%s)", x.text, name, argument), kind: k, eval: func(row int) any { return calendarValue(name, x.eval(row), in) }}, true
		case 2:
			unit := pick(g, []string{"getHours", "getMinutes", "getSeconds", "getMilliseconds"})
			of := map[string]time.Duration{"getHours": time.Hour, "getMinutes": time.Minute, "getSeconds": time.Second, "getMilliseconds": time.Millisecond}[unit]
			x := g.term(aSpan, depth)
			return expression{text: fmt.Sprintf("%s.%s()", x.text, unit), kind: k, eval: func(row int) any { return spanValue(x.eval(row), of) }}, true
		case 3:
			return g.size(depth), true
		default:
			return binary("+", "-", "*", "/", "%"), true
		}
	case aUint:
		if g.IntN(4) == 0 {
			return converted("uint", anInt, aDouble), true
		}
		return binary("+", "-", "*", "/", "%"), true
	case aDouble:
		if g.IntN(4) == 0 {
			return converted("double", anInt, aUint, aDecimal), true
		}
		return binary("+", "-", "*", "/"), true
	case aString:
		if g.IntN(3) == 0 {
			return converted("string", anInt, aUint, aBool, bytes_), true
		}
		return binary("+"), true
	case bytes_:
		return binary("+"), true
	case aTime:
		x, y := g.term(aTime, depth), g.term(aSpan, depth)
		return g.shifted(k, pick(g, []string{"+", "-"}), x, y), true
	case aSpan:
		if g.IntN(2) == 0 {
			return g.shifted(k, "-", g.term(aTime, depth), g.term(aTime, depth)), true
		}
		return g.shifted(k, pick(g, []string{"+", "-"}), g.term(aSpan, depth), g.term(aSpan, depth)), true
	default:
		return expression{}, false
	}
}

// columnar is an expression that has a column in it: literals that cannot be converted are errors.
func (g *generator) columnar(k exprKind, depth int) expression {
	if c, ok := g.cell(k); ok {
		return c
	}
	if k == aString || k == bytes_ {
		return g.columnar(anInt, depth)
	}
	c := g.cells[0]
	for _, other := range g.cells {
		if other.kind == anInt || other.kind == aUint {
			c = other
		}
	}
	if c.kind != anInt && c.kind != aUint {
		return expression{text: "row_number", kind: anInt, eval: func(row int) any { return int64(row) }}
	}
	return c
}

func (g *generator) shifted(k exprKind, op string, x, y expression) expression {
	tick := min(x.tick, y.tick)
	return expression{text: fmt.Sprintf("(%s %s %s)", x.text, op, y.text), kind: k, tick: tick, eval: func(row int) any { return shift(op, x.eval(row), y.eval(row), tick) }}
}

func (g *generator) size(depth int) expression {
	switch g.IntN(3) {
	case 0:
		x := g.term(aString, depth)
		return expression{text: "size(" + x.text + ")", kind: anInt, eval: func(row int) any {
			if s, ok := x.eval(row).(string); ok {
				return int64(utf8.RuneCountInString(s))
			}
			return nil
		}}
	case 1:
		x := g.term(bytes_, depth)
		return expression{text: x.text + ".size()", kind: anInt, eval: func(row int) any {
			if s, ok := x.eval(row).(blob); ok {
				return int64(len(s))
			}
			return nil
		}}
	default:
		x := pick(g, g.lists)
		return expression{text: "size(" + x.text + ")", kind: anInt, eval: func(row int) any {
			if s, ok := x.eval(row).([]any); ok {
				return int64(len(s))
			}
			return nil
		}}
	}
}

// choice is a ? b : c.
func (g *generator) choice(k exprKind, depth int) expression {
	test, yes, no := g.boolean(depth), g.term(k, depth), g.term(k, depth)
	if g.IntN(8) == 0 {
		no = expression{text: "null", tick: yes.tick, eval: func(int) any { return nil }}
	}
	tick := min(yes.tick, no.tick)
	return expression{text: fmt.Sprintf("(%s ? %s : %s)", test.text, yes.text, no.text), kind: k, tick: tick, eval: func(row int) any {
		var v any
		switch test.eval(row) {
		case true:
			v = yes.eval(row)
		case false:
			v = no.eval(row)
		}
		switch n := v.(type) { // both are brought into one unit, where they may not fit
		case instant:
			if !fits(n.Int, tick) {
				return nil
			}
		case span:
			if !fits(n.Int, tick) {
				return nil
			}
		}
		return v
	}}
}

var numericKinds = []exprKind{anInt, aUint, aDouble}

// boolean is a condition.
func (g *generator) boolean(depth int) expression {
	condition := func(text string, eval func(row int) any) expression {
		return expression{text: text, kind: aBool, eval: eval}
	}
	if depth <= 0 {
		if c, ok := g.cell(aBool); ok && g.IntN(2) == 0 {
			return c
		}
		return g.comparison(0)
	}
	switch g.IntN(12) {
	case 0, 1:
		x, y := g.boolean(depth-1), g.boolean(depth-1)
		return condition(fmt.Sprintf("(%s && %s)", x.text, y.text), func(row int) any { return kleeneAnd(x.eval(row), y.eval(row)) })
	case 2:
		x, y := g.boolean(depth-1), g.boolean(depth-1)
		return condition(fmt.Sprintf("(%s || %s)", x.text, y.text), func(row int) any { return kleeneOr(x.eval(row), y.eval(row)) })
	case 3:
		x := g.boolean(depth - 1)
		return condition(fmt.Sprintf("!(%s)", x.text), func(row int) any { return kleeneNot(x.eval(row)) })
	case 4:
		x := pick(g, g.nullable)
		if g.IntN(3) == 0 {
			x = g.term(pick(g, []exprKind{aBool, anInt, aUint, aDouble, aString, aTime}), depth-1)
		}
		if g.IntN(2) == 0 {
			return condition(fmt.Sprintf("(%s == null)", x.text), func(row int) any { return x.eval(row) == nil })
		}
		return condition(fmt.Sprintf("(null != %s)", x.text), func(row int) any { return x.eval(row) != nil })
	case 5:
		return g.membership(depth - 1)
	case 6:
		return g.textual(depth - 1)
	case 7:
		if g.IntN(3) == 0 {
			return g.choice(aBool, depth-1)
		}
		return g.contained()
	case 8:
		return g.literal(aBool)
	default:
		return g.comparison(depth - 1)
	}
}

// comparison compares expressions of one kind, or numbers of any.
func (g *generator) comparison(depth int) expression {
	op := pick(g, []string{"==", "!=", "<", "<=", ">", ">="})
	x, y := g.operands(depth)
	return expression{text: fmt.Sprintf("(%s %s %s)", x.text, op, y.text), kind: aBool, eval: func(row int) any { return compareAs(op, x.eval(row), y.eval(row)) }}
}

// operands are two expressions that compare.
func (g *generator) operands(depth int) (x, y expression) {
	k := g.cells[g.IntN(len(g.cells))].kind
	switch k {
	case aDecimal:
		x, _ = g.cell(aDecimal)
		switch g.IntN(4) {
		case 0:
			y, _ = g.cell(aDecimal)
		case 1:
			y = g.term(pick(g, []exprKind{anInt, aUint}), 0)
		default:
			y = g.literal(aDecimal)
		}
	case anInt, aUint, aDouble:
		x, y = g.term(k, depth), g.term(pick(g, numericKinds), depth)
	default:
		x, y = g.term(k, depth), g.term(k, depth)
	}
	if g.IntN(3) == 0 {
		x, y = y, x
	}
	return x, y
}

// membership is x in [a, b].
func (g *generator) membership(depth int) expression {
	x, first := g.operands(depth)
	for x.literal || x.kind == aDecimal && first.kind != aDouble { // a literal double means another number to a decimal
		x, first = g.operands(depth)
	}
	if g.plain { // an error in one element is one of the whole list for cel-go
		first = g.literal(first.kind)
	}
	elements := []expression{first}
	for range g.IntN(7) {
		kind := first.kind
		if x.kind == aDecimal {
			elements = append(elements, g.literal(aDecimal))
			continue
		}
		elements = append(elements, g.literal(kind))
	}
	if g.IntN(5) == 0 {
		elements = append(elements, expression{text: "null", eval: func(int) any { return nil }})
	}
	texts := make([]string, len(elements))
	for i, e := range elements {
		texts[i] = e.text
	}
	return expression{text: fmt.Sprintf("(%s in [%s])", x.text, strings.Join(texts, ", ")), kind: aBool, eval: func(row int) any {
		var found any = false
		for _, e := range elements {
			found = kleeneOr(found, compareAs("==", x.eval(row), e.eval(row)))
		}
		return found
	}}
}

// contained is x in list, where list is a column.
func (g *generator) contained() expression {
	list := pick(g, g.lists)
	if list.kind == aBool {
		return g.literal(aBool)
	}
	x := g.literal(list.kind)
	if c, ok := g.cell(list.kind); ok && list.kind != aDecimal && c.tick >= list.tick && g.IntN(2) == 0 {
		x = c
	}
	// What the list can never have is refused, so only what it has is asked for.
	if x.literal && (list.tick != 0 || list.kind == aDecimal) {
		return expression{text: "(size(" + list.text + ") == null)", kind: aBool, eval: func(row int) any { return list.eval(row) == nil }}
	}
	fitting := x.eval
	if list.tick != 0 {
		fitting = func(row int) any {
			switch n := x.eval(row).(type) {
			case instant:
				if fits(n.Int, list.tick) {
					return n
				}
			case span:
				if fits(n.Int, list.tick) {
					return n
				}
			}
			return nil
		}
	}
	return expression{text: fmt.Sprintf("(%s in %s)", x.text, list.text), kind: aBool, eval: func(row int) any { return contains(fitting(row), list.eval(row)) }}
}

// textual is a predicate of strings.
func (g *generator) textual(depth int) expression {
	x := g.term(aString, depth)
	if g.IntN(4) == 0 {
		pattern := pick(g, []string{"^a", "b$", "a+b", "(?i)MORE", "ö", "^$", `\d`})
		re := regexp.MustCompile(pattern)
		return expression{text: fmt.Sprintf("%s.matches(r'%s')", x.text, pattern), kind: aBool, eval: func(row int) any {
			if s, ok := x.eval(row).(string); ok {
				return re.MatchString(s)
			}
			return nil
		}}
	}
	name := pick(g, []string{"startsWith", "endsWith", "contains"})
	f := map[string]func(s, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[name]
	y := g.literal(aString)
	if g.IntN(3) == 0 {
		y = g.term(aString, depth)
	}
	return expression{text: fmt.Sprintf("%s.%s(%s)", x.text, name, y.text), kind: aBool, eval: func(row int) any {
		s, ok := x.eval(row).(string)
		part, okPart := y.eval(row).(string)
		if !ok || !okPart {
			return nil
		}
		return f(s, part)
	}}
}

// check runs a filter over the table, in batches of random sizes, and compares. It returns how many row groups were pruned, and whether rows
// matched.
func (g *generator) check(t *testing.T, e expression) (pruned, matched int) {
	t.Helper()
	schema := arrow.NewSchema(g.fields, nil)
	batch := array.NewRecordBatch(schema, g.columns, int64(g.rows))
	plan, err := scan.Compile(scan.Query{Columns: []string{"row_number"}, Filter: e.text}, schema)
	if err != nil {
		t.Errorf("%s\n%v", e.text, err)
		return 0, 0
	}
	var want []int64
	for row := range g.rows {
		if e.eval(row) == true {
			want = append(want, int64(row))
		}
	}
	var got []int64
	in := input(plan, batch)
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	run := plan.Start(mem)
	for from := 0; from < g.rows; {
		to := min(g.rows, from+1+g.IntN(max(1, g.rows)))
		part := in.NewSlice(int64(from), int64(to))
		out, err := run.Apply(t.Context(), part)
		if err != nil {
			t.Errorf("%s\n%v", e.text, err)
			return 0, 0
		}
		numbers := out.Column(0).(*array.Int64).Int64Values()
		got = append(got, numbers...)
		if !plan.MayMatch(g.statistics(from, to)) {
			pruned++
			if len(numbers) > 0 {
				t.Errorf("%s\nrows %d to %d are pruned, and row %d matches", e.text, from, to, numbers[0])
			}
		}
		out.Release()
		part.Release()
		from = to
	}
	mem.AssertSize(t, 0)
	if fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("%s\nexpected %v\ngot      %v", e.text, want, got)
		for i, f := range g.fields {
			t.Logf("%s: %s = %.300s", f.Name, f.Type, g.columns[i])
		}
	}
	return pruned, min(1, len(want))
}
