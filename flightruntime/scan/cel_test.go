package scan_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// The filter language is CEL: where cel-go has types for the columns and a row has no nulls, filters have the value that cel-go's own
// interpreter gives them, row by row, and are null where that has an error.
func TestFiltersAgreeWithCEL(t *testing.T) {
	checked, errors := 0, 0
	for table := range 20 {
		g := &generator{Rand: rand.New(rand.NewPCG(4, uint64(table))), plain: true}
		g.table()
		g.rows = min(g.rows, 100)
		for i, c := range g.columns {
			g.columns[i] = array.NewSlice(c, 0, int64(g.rows))
		}
		batch := array.NewRecordBatch(arrow.NewSchema(g.fields, nil), g.columns, int64(g.rows))
		for range 25 {
			filter := g.boolean(1 + g.IntN(4)).text
			if strings.Contains(filter, "null") { // CEL compares with null too, and has no nulls otherwise
				continue
			}
			evaluate := celProgram(t, filter)
			got := verdicts(t, filter, batch)
			for row := range g.rows {
				want := evaluate(g.activation(row))
				checked++
				if want == 'N' {
					errors++
				}
				if got[row] != want {
					t.Errorf("table %d: %s\nrow %d is %c, for cel-go %c", table, filter, row, got[row], want)
					for name, value := range g.activation(row) {
						t.Logf("%s = %v", name, value)
					}
					break
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d rows, %d errors", checked, errors)
	if checked < 10_000 || errors < 100 {
		t.Errorf("%d rows and %d errors are too few", checked, errors)
	}
}

// celProgram is a filter for cel-go. Types are left to its interpreter, for its checker refuses to compare numbers of different types.
func celProgram(t *testing.T, filter string) func(row map[string]any) byte {
	t.Helper()
	env, err := cel.NewEnv()
	if err != nil {
		t.Fatal(err)
	}
	parsed, issues := env.Parse(filter)
	if issues.Err() != nil {
		t.Fatalf("%s: %v", filter, issues.Err())
	}
	program, err := env.Program(parsed)
	if err != nil {
		t.Fatalf("%s: %v", filter, err)
	}
	return func(row map[string]any) byte {
		v, _, err := program.Eval(row)
		switch {
		case err != nil:
			return 'N'
		case v == types.True:
			return 'T'
		case v == types.False:
			return 'F'
		default:
			t.Fatalf("%s is %v", filter, v)
			return 0
		}
	}
}

// activation is a row for cel-go.
func (g *generator) activation(row int) map[string]any {
	all := map[string]any{}
	for name, value := range g.roots {
		all[name] = forCEL(value(row))
	}
	out := map[string]any{"row": all}
	for name, value := range all {
		out[name] = value
	}
	return out
}

// forCEL is a value as cel-go takes it.
func forCEL(v any) any {
	switch v := v.(type) {
	case blob:
		return []byte(v)
	case instant:
		seconds, nanos := new(big.Int).DivMod(v.Int, big.NewInt(1e9), new(big.Int))
		return time.Unix(seconds.Int64(), nanos.Int64()).UTC()
	case span:
		return time.Duration(v.Int64())
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = forCEL(e)
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			out[name] = forCEL(e)
		}
		return out
	default:
		return v
	}
}

// forCELToo says whether a value is one that cel-go reckons with as exactly as package scan does. It compares integers with floating-point
// numbers as the latter, and has fewer timestamps and durations.
func forCELToo(v any) bool {
	switch v := v.(type) {
	case int64:
		return v == math.MaxInt64 || v == math.MinInt64 || v < 1<<53 && v > -1<<53
	case uint64:
		return v < 1<<53
	case float64:
		return math.Abs(v) < 1<<53 || math.IsInf(v, 0) || math.IsNaN(v)
	case instant:
		t, ok := timeOf(v)
		return ok && t.Year() >= 1950 && t.Year() <= 2050
	case span:
		return v.IsInt64() && v.Int64() < int64(time.Hour)*24*365 && v.Int64() > -int64(time.Hour)*24*365
	case *big.Rat:
		return false
	default:
		return true
	}
}

func TestCELErrorsAreNull(t *testing.T) {
	batch := oneColumn(arrayOf(t, arrow.PrimitiveTypes.Int64, fmt.Sprintf("[0, 1, %d]", int64(math.MaxInt64))))
	for filter, want := range map[string]string{
		"1 / x == 1":                   "NTF",
		"x + 1 > 0":                    "TTN",
		"x != 0 && 1 / x == 1":         "FTF",
		"x == 0 || 1 / x == 1":         "TTF",
		"(x == 0 ? 5 : 1 / x) == 5":    "TFF",
		"!(1 / x == 1)":                "NFT",
		"string(x) == '1'":             "FTF",
		"int(string(x) + '00') == 100": "FTN",
	} {
		evaluate := celProgram(t, filter)
		got := verdicts(t, filter, batch)
		byCEL := ""
		for _, x := range batch.Column(1).(*array.Int64).Int64Values() {
			byCEL += string(evaluate(map[string]any{"x": x}))
		}
		if got != want || byCEL != want {
			t.Errorf("%s: %s, for cel-go %s, expected %s", filter, got, byCEL, want)
		}
	}
}
