package scan

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
)

// conversion compiles int(x) and its like. What cannot be converted is null; a literal that cannot be is an error.
func (c *compiler) conversion(e ast.Expr, name string, x operand) (operand, error) {
	if x.kind == kindNull {
		return joined(kindNull, nil, x), nil
	}
	if o, done, err := c.literalTime(name, x); done {
		return o, err
	}
	to := converted(name, x)
	if to.node == nil {
		return operand{}, c.errorf(e, "%s() cannot be made of %s", name, x.describe())
	}
	o := joined(to.kind, to.node, x)
	o.shape = to.shape
	if o.literal && !isNullConstant(x) {
		if fold(&o); isNullConstant(o) {
			return operand{}, c.errorf(e, "%s() cannot be made of %s", name, x.describe())
		}
	}
	return o, nil
}

// literalTime compiles timestamp('...'), date('...') and duration('...'), in the coarsest unit that holds them.
func (c *compiler) literalTime(name string, x operand) (o operand, done bool, err error) {
	literal, ok := x.node.(*constant[string])
	if !ok || x.kind != kindString || literal.null {
		return o, false, nil
	}
	var (
		t        time.Time
		expected string
		k        kind
	)
	switch name {
	case "timestamp":
		t, ok = parseTimestamp(literal.value)
		k, expected = kindTimestamp, "RFC 3339 from year 1 to 9999, such as '2024-01-31T12:00:00Z'"
	case "date":
		t, ok = parseDate(literal.value)
		k, expected = kindTimestamp, "a day from year 1 to 9999, such as '2024-01-31'"
	case "duration":
		var d time.Duration
		d, err = time.ParseDuration(literal.value)
		t, ok = time.Unix(0, int64(d)), err == nil
		k, expected = kindDuration, "numbers with units, such as '1h30m' or '1.5s'"
	default:
		return o, false, nil
	}
	if !ok {
		return o, true, c.errorf(x.expr, "%s is no %s: expected %s", quoted(literal.value), name, expected)
	}
	v, tick, ok := inCoarsest(t)
	if !ok {
		return o, true, c.errorf(x.expr, "%s has nanoseconds, and these reach from 1678 to 2261 only: leave out what is less than a microsecond", quoted(literal.value))
	}
	o = joined(k, &constant[int64]{value: v}, x)
	o.tick = tick
	return o, true, nil
}

// converted is an operand as another type. It has no node if it cannot be.
func converted(name string, x operand) operand {
	switch name {
	case "int":
		return operand{shape: shape{kind: kindInt}, node: toInt(x)}
	case "uint":
		return operand{shape: shape{kind: kindUint}, node: toUint(x)}
	case "double":
		return operand{shape: shape{kind: kindDouble}, node: toDouble(x)}
	case "string":
		return operand{shape: shape{kind: kindString}, node: toText(x)}
	case "bytes":
		if x.kind == kindString || x.kind == kindBytes {
			return operand{shape: shape{kind: kindBytes}, node: x.node}
		}
	case "bool":
		return toBool(x)
	case "timestamp":
		return toTimestamp(x)
	case "date":
		return toDate(x)
	case "duration":
		return toDuration(x)
	}
	return operand{}
}

// toBool is a boolean, or what a few strings say. The other strings are null.
func toBool(x operand) operand {
	switch x.kind {
	case kindBool:
		return x
	case kindString:
		v := x.node.(values[string])
		isTrue := &textTest{x: v, mark: markEach(func(s string) bool { b, _ := strconv.ParseBool(s); return b })}
		isBool := &textTest{x: v, mark: markEach(func(s string) bool { _, err := strconv.ParseBool(s); return err == nil })}
		return operand{shape: shape{kind: kindBool}, node: &choice{isBool, isTrue, alwaysNull}}
	default:
		return operand{}
	}
}

// toDuration is a duration, or the one that a string says.
func toDuration(x operand) operand {
	switch x.kind {
	case kindDuration:
		return x
	case kindString:
		f := func(s string) (int64, bool) {
			d, err := time.ParseDuration(s)
			return int64(d), err == nil
		}
		return operand{shape: shape{kind: kindDuration, tick: 1}, node: &mapped[string, int64]{x: x.node.(values[string]), f: f}}
	default:
		return operand{}
	}
}

func toInt(x operand) any {
	switch n := x.node.(type) {
	case values[int64]:
		switch x.kind {
		case kindTimestamp:
			return secondsOf(n, x.tick)
		case kindDuration:
			return inTick(n, x.tick, 1)
		default:
			return n
		}
	case values[uint64]:
		return &mapped[uint64, int64]{x: n, f: intFromUint, monotone: true}
	case values[float64]:
		return &mapped[float64, int64]{x: n, f: intFromDouble, monotone: true}
	case values[string]:
		if x.kind == kindString {
			return &mapped[string, int64]{x: n, f: func(s string) (int64, bool) {
				v, err := strconv.ParseInt(s, 10, 64)
				return v, err == nil
			}}
		}
	}
	return nil
}

func toUint(x operand) any {
	switch n := x.node.(type) {
	case values[int64]:
		if x.kind == kindInt {
			return &mapped[int64, uint64]{x: n, f: uintFromInt, monotone: true}
		}
	case values[uint64]:
		return n
	case values[float64]:
		return &mapped[float64, uint64]{x: n, f: uintFromDouble, monotone: true}
	case values[string]:
		if x.kind == kindString {
			return &mapped[string, uint64]{x: n, f: func(s string) (uint64, bool) {
				v, err := strconv.ParseUint(s, 10, 64)
				return v, err == nil
			}}
		}
	}
	return nil
}

func toDouble(x operand) any {
	switch n := x.node.(type) {
	case values[int64]:
		if x.kind == kindInt {
			return &mapped[int64, float64]{x: n, f: doubleFromInt, monotone: true}
		}
	case values[uint64]:
		return &mapped[uint64, float64]{x: n, f: doubleFromUint, monotone: true}
	case values[float64]:
		return n
	case values[decimal]:
		return &mapped[decimal, float64]{x: n, f: doubleFromDecimal(x.scale), monotone: true}
	case values[string]:
		if x.kind == kindString {
			return &mapped[string, float64]{x: n, f: func(s string) (float64, bool) {
				v, err := strconv.ParseFloat(s, 64)
				return v, err == nil
			}}
		}
	}
	return nil
}

// toText is an operand as CEL writes it.
func toText(x operand) any {
	switch n := x.node.(type) {
	case values[int64]:
		switch x.kind {
		case kindTimestamp:
			return timestampText(n, x.tick)
		case kindDuration:
			return durationText(n, x.tick)
		default:
			return &mapped[int64, string]{x: n, f: func(v int64) (string, bool) { return strconv.FormatInt(v, 10), true }}
		}
	case values[uint64]:
		return &mapped[uint64, string]{x: n, f: func(v uint64) (string, bool) { return strconv.FormatUint(v, 10), true }}
	case values[float64]:
		return &mapped[float64, string]{x: n, f: func(v float64) (string, bool) { return fmt.Sprintf("%g", v), true }}
	case values[string]:
		if x.kind == kindBytes {
			return &mapped[string, string]{x: n, f: func(s string) (string, bool) { return s, utf8.ValidString(s) }}
		}
		return n
	}
	if x.kind == kindBool {
		text := func(s string) values[string] { return &constant[string]{value: s} }
		return &choiceOf[string]{conditionOf(x), text("true"), text("false"), ofTexts.compare}
	}
	return nil
}

func toTimestamp(x operand) operand {
	to := shape{kind: kindTimestamp, tick: tickSecond}
	switch x.kind {
	case kindTimestamp:
		return x
	case kindInt:
		f := func(v int64) (int64, bool) { return v, v >= firstSecond && v <= lastSecond }
		return operand{shape: to, node: &mapped[int64, int64]{x: x.node.(values[int64]), f: f, monotone: true}}
	case kindString:
		f := func(s string) (int64, bool) {
			t, ok := parseTimestamp(s)
			if !ok {
				return 0, false
			}
			return nanosOf(t)
		}
		to.tick = 1
		return operand{shape: to, node: &mapped[string, int64]{x: x.node.(values[string]), f: f}}
	default:
		return operand{}
	}
}

// toDate is the beginning of a day: of a timestamp's in UTC, or of the day that a string says.
func toDate(x operand) operand {
	to := shape{kind: kindTimestamp, tick: tickDay}
	switch x.kind {
	case kindTimestamp:
		perDay := tickDay / x.tick
		f := func(v int64) (int64, bool) { return floorDivide(v, perDay), true }
		return operand{shape: to, node: &mapped[int64, int64]{x: x.node.(values[int64]), f: f, monotone: true}}
	case kindString:
		f := func(s string) (int64, bool) {
			t, ok := parseDate(s)
			return floorDivide(t.Unix(), tickDay/tickSecond), ok
		}
		return operand{shape: to, node: &mapped[string, int64]{x: x.node.(values[string]), f: f}}
	default:
		return operand{}
	}
}
