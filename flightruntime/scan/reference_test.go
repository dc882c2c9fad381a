package scan_test

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// This file is the filter language once more, row by row and as simple as can be, for the property test to compare with. It knows nothing
// of Arrow and nothing of package scan. Values are nil for null, bool, int64, uint64, float64, string, blob, *big.Rat for decimals, instant,
// span, and []any for lists.

// blob is bytes.
type blob string

// instant is a timestamp in nanoseconds, span a duration.
type (
	instant struct{ *big.Int }
	span    struct{ *big.Int }
)

// kleene is a truth value: nil, true or false.
func kleeneAnd(x, y any) any {
	switch {
	case x == false || y == false:
		return false
	case x == nil || y == nil:
		return nil
	default:
		return true
	}
}

func kleeneNot(x any) any {
	if x == nil {
		return nil
	}
	return !x.(bool)
}

func kleeneOr(x, y any) any { return kleeneNot(kleeneAnd(kleeneNot(x), kleeneNot(y))) }

// ratOf is a number as a fraction. nan is true for NaN, infinity is its sign.
func ratOf(v any) (r *big.Rat, infinity int, nan bool) {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v), 0, false
	case uint64:
		return new(big.Rat).SetInt(new(big.Int).SetUint64(v)), 0, false
	case float64:
		switch {
		case math.IsNaN(v):
			return nil, 0, true
		case math.IsInf(v, 0):
			return nil, int(math.Copysign(1, v)), false
		}
		return new(big.Rat).SetFloat64(v), 0, false
	default:
		return v.(*big.Rat), 0, false
	}
}

// compareValues is -1, 0 or 1, and false if the values do not compare.
func compareValues(x, y any) (int, bool) {
	switch a := x.(type) {
	case string:
		return strings.Compare(a, y.(string)), true
	case blob:
		return strings.Compare(string(a), string(y.(blob))), true
	case instant:
		return a.Cmp(y.(instant).Int), true
	case span:
		return a.Cmp(y.(span).Int), true
	case bool:
		b := y.(bool)
		switch {
		case a == b:
			return 0, true
		case b:
			return -1, true
		default:
			return 1, true
		}
	}
	if a, ok := x.(int64); ok { // short ways for what is the most frequent
		if b, ok := y.(int64); ok {
			return cmp.Compare(a, b), true
		}
	}
	if a, ok := x.(float64); ok {
		if b, ok := y.(float64); ok {
			return cmp.Compare(a, b), a == a && b == b
		}
	}
	a, infA, nanA := ratOf(x)
	b, infB, nanB := ratOf(y)
	switch {
	case nanA || nanB:
		return 0, false
	case infA != 0 || infB != 0:
		return infA - infB, true
	default:
		return a.Cmp(b), true
	}
}

// compareAs is a comparison, null if any operand is.
func compareAs(op string, x, y any) any {
	if x == nil || y == nil {
		return nil
	}
	c, ok := compareValues(x, y)
	switch op {
	case "==":
		return ok && c == 0
	case "!=":
		return !ok || c != 0
	case "<":
		return ok && c < 0
	case "<=":
		return ok && c <= 0
	case ">":
		return ok && c > 0
	default:
		return ok && c >= 0
	}
}

// calculate is arithmetic, null where it overflows or divides by zero.
func calculate(op string, x, y any) any {
	if x == nil || y == nil {
		return nil
	}
	switch a := x.(type) {
	case float64:
		b := y.(float64)
		switch op {
		case "+":
			return a + b
		case "-":
			return a - b
		case "*":
			return a * b
		default:
			return a / b
		}
	case string:
		return a + y.(string)
	case blob:
		return a + y.(blob)
	case int64:
		r := exact(op, big.NewInt(a), big.NewInt(y.(int64)))
		if r == nil || !r.IsInt64() {
			return nil
		}
		if op == "%" && a == math.MinInt64 && y == int64(-1) {
			return nil // CEL calls it an overflow
		}
		return r.Int64()
	default:
		r := exact(op, new(big.Int).SetUint64(a.(uint64)), new(big.Int).SetUint64(y.(uint64)))
		if r == nil || !r.IsUint64() {
			return nil
		}
		return r.Uint64()
	}
}

// exact is arithmetic without bounds. It is nil for a division by zero.
func exact(op string, x, y *big.Int) *big.Int {
	r := new(big.Int)
	switch op {
	case "+":
		return r.Add(x, y)
	case "-":
		return r.Sub(x, y)
	case "*":
		return r.Mul(x, y)
	}
	if y.Sign() == 0 {
		return nil
	}
	if op == "/" {
		return r.Quo(x, y)
	}
	return r.Rem(x, y)
}

// fits says whether so many nanoseconds fit in 64 bits of the given unit.
func fits(nanos *big.Int, tick int64) bool {
	return new(big.Int).Quo(nanos, big.NewInt(tick)).IsInt64()
}

// shift adds and subtracts times, in the finer unit of both. It is null if any of operands and result does not fit in that.
func shift(op string, x, y any, tick int64) any {
	if x == nil || y == nil {
		return nil
	}
	nanos := func(v any) *big.Int {
		if i, ok := v.(instant); ok {
			return i.Int
		}
		return v.(span).Int
	}
	a, b := nanos(x), nanos(y)
	r := exact(op, a, b)
	if !fits(a, tick) || !fits(b, tick) || !fits(r, tick) {
		return nil
	}
	_, left := x.(instant)
	_, right := y.(instant)
	if left != right {
		return instant{r}
	}
	return span{r}
}

// timeOf is an instant in the calendar, which has the years from 1 to 9999.
func timeOf(i instant) (time.Time, bool) {
	seconds, nanos := new(big.Int).DivMod(i.Int, big.NewInt(1e9), new(big.Int))
	if !seconds.IsInt64() {
		return time.Time{}, false
	}
	s := seconds.Int64()
	if s < time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix() || s >= time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix() {
		return time.Time{}, false
	}
	return time.Unix(s, nanos.Int64()).UTC(), true
}

// calendarValue is a function of an instant.
func calendarValue(name string, v any, zone *time.Location) any {
	if v == nil {
		return nil
	}
	t, ok := timeOf(v.(instant))
	if !ok {
		return nil
	}
	t = t.In(zone)
	switch name {
	case "getFullYear":
		return int64(t.Year())
	case "getMonth":
		return int64(t.Month() - 1)
	case "getDate":
		return int64(t.Day())
	case "getDayOfMonth":
		return int64(t.Day() - 1)
	case "getDayOfWeek":
		return int64(t.Weekday())
	case "getDayOfYear":
		return int64(t.YearDay() - 1)
	case "getHours":
		return int64(t.Hour())
	case "getMinutes":
		return int64(t.Minute())
	case "getSeconds":
		return int64(t.Second())
	default:
		return int64(t.Nanosecond() / 1e6)
	}
}

// spanValue is a duration in whole units.
func spanValue(v any, unit time.Duration) any {
	if v == nil {
		return nil
	}
	r := new(big.Int).Quo(v.(span).Int, big.NewInt(int64(unit)))
	if !r.IsInt64() {
		return nil
	}
	return r.Int64()
}

// convert is a conversion, null for what cannot be converted.
func convert(to string, v any) any {
	if v == nil {
		return nil
	}
	switch to {
	case "int":
		switch v := v.(type) {
		case string:
			if i, err := strconv.ParseInt(v, 10, 64); err == nil {
				return i
			}
			return nil
		case instant:
			r := new(big.Int).Div(v.Int, big.NewInt(1e9)) // rounds down
			if !r.IsInt64() {
				return nil
			}
			return r.Int64()
		case float64:
			if v <= math.MinInt64 {
				return nil
			}
		}
		if i := truncated(v); i != nil && i.IsInt64() {
			return i.Int64()
		}
		return nil
	case "uint":
		if i := truncated(v); i != nil && i.IsUint64() && !negative(v) {
			return i.Uint64()
		}
		return nil
	case "double":
		if f, ok := v.(float64); ok {
			return f
		}
		r, _, _ := ratOf(v)
		f, _ := r.Float64()
		return f
	default:
		switch v := v.(type) {
		case int64:
			return strconv.FormatInt(v, 10)
		case uint64:
			return strconv.FormatUint(v, 10)
		case bool:
			return strconv.FormatBool(v)
		case blob:
			if utf8.ValidString(string(v)) {
				return string(v)
			}
			return nil
		default:
			return v
		}
	}
}

func negative(v any) bool {
	f, ok := v.(float64)
	return ok && f < 0
}

// truncated is a number without its fraction. It is nil for NaN and infinities.
func truncated(v any) *big.Int {
	r, infinity, nan := ratOf(v)
	if infinity != 0 || nan {
		return nil
	}
	return new(big.Int).Quo(r.Num(), r.Denom())
}

// contains is what x in list says.
func contains(x, list any) any {
	if x == nil || list == nil {
		return nil
	}
	var found any = false
	for _, element := range list.([]any) {
		found = kleeneOr(found, compareAs("==", x, element))
	}
	return found
}
