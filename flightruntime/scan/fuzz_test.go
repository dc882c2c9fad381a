package scan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// readable makes sure that an error is one for users, but for what they wrote themselves.
func readable(t *testing.T, input string, err error) {
	t.Helper()
	text := err.Error()
	for _, internal := range []string{"runtime error", "goroutine", "nil pointer", "interface conversion", "jsontext", "ERROR:", "%!", "defect"} {
		if strings.Contains(text, internal) && !strings.Contains(input, internal) {
			t.Errorf("an error that users cannot read: %v", err)
		}
	}
	if len(text) > 2000 {
		t.Errorf("an error of %d bytes", len(text))
	}
}

// Whatever the command, it is a query or an error that users can read, and a query is written as it was read.
func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{
		`{"dataset": "trips", "columns": ["fare"], "filter": "fare > 10.0 && city in ['ams', 'ber']", "limit": 100}`,
		`{"dataset": "a", "columns": [], "filter": "", "limit": 0}`,
		`{"dataset": "a", "columns": null, "filter": null, "limit": null}`,
		`{"dataset": "\u0061\ud83d\ude00", "limit": 1e400}`, `{"dataset": "a"}}`, `{"datase": 1`, `[]`, `{"dataset": [[[[`, "\xef\xbb\xbf{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, command []byte) {
		q, err := scan.ParseQuery(command)
		if err != nil {
			readable(t, string(command), err)
			return
		}
		written, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := scan.ParseQuery(written); len(written) <= 64<<10 && (err != nil || !cmp.Equal(q, again)) {
			t.Errorf("%s is written as %s, which is %v, %v", command, written, again, err)
		}
	})
}

// nothingKnown are statistics that tell nothing.
type nothingKnown struct{}

func (nothingKnown) Rows() int64 { return 5 }

func (nothingKnown) Column(int) (scan.ColumnStatistics, bool) { return scan.ColumnStatistics{}, false }

// Whatever the filter, it compiles or is an error that names a position; what compiles evaluates, and is never pruned without reason.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"fare > 10.0 && city in ['ams', 'ber']", "!(id == 1) || paid ? price < 1.5 : at > timestamp('2024-01-01T00:00:00Z')",
		"address.geo.lat > 50 && has(address.city) && attrs['k'] == 1 && 'b' in tags && tags[id - 1] == 'a'",
		"city.matches('^a+') && size(city) > 2 || raw != b'\\xff'", "at.getHours('Europe/Berlin') == 1 && took + duration('1h') > took",
		"row['pick-up'] in [1, null, 2u, 3.5]", "int(city) / 0 == -9223372036854775808 % -1", "points[0].x == null", "(paid ? city : null) == 'x'",
		"double('nan') != tip", "string(at) + 'x' == '\\u00e9'", "date(at) == day && until - at < took", "price == 1e308 || wide > 18446744073709551615u",
		"[1][0] == {'a': 1}.a", "tags.exists(t, t == 'a')", "a.b.c(1)[2]", "\"\"\"\n\"\"\" == r'\\' // comment",
	} {
		f.Add(seed)
	}
	batch := rides(f)
	f.Fuzz(func(t *testing.T, filter string) {
		plan, err := scan.Compile(scan.Query{Filter: filter, Columns: []string{"row_number"}}, batch.Schema())
		if err != nil {
			readable(t, filter, err)
			if text := err.Error(); filter != "" && !strings.HasPrefix(text, "filter, ") && !strings.HasPrefix(text, "the filter ") {
				t.Errorf("an error without a position: %v", err)
			}
			return
		}
		in := input(plan, batch)
		defer in.Release()
		out, err := plan.Start(nil).Apply(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Release()
		if out.NumRows() > 0 && !plan.MayMatch(nothingKnown{}) {
			t.Errorf("%d rows match, and none may", out.NumRows())
		}
		empty := input(plan, batch.NewSlice(0, 0))
		defer empty.Release()
		if none, err := plan.Start(nil).Apply(t.Context(), empty); err != nil || none.NumRows() != 0 {
			t.Errorf("of no rows: %v", err)
		}
	})
}

// Whatever the filter of a rule and whoever calls, it is a view or an error that users can read, and the view shows no more than the filter says.
func FuzzFiltersOfViews(f *testing.F) {
	for _, seed := range []string{
		"city == identity.user", "city in identity.groups", "id == identity.claims.n", "identity.claims.deep.er == city", "has(identity.claims.list) && city in identity.claims.list",
		"identity.claims['a b'] == null", "identity", "identity.claims.n + id > 1", "tags[identity.claims.n] == 'a'", "identity.claims.list[0]", "city.matches(identity.user)",
		"identity.groups == null || identity.x", "attrs[identity.user] == 1", "row['identity'] == 1", "identity.claims.none in tags",
	} {
		f.Add(seed)
	}
	batch := rides(f)
	who := scan.Caller{User: "ams", Groups: []string{"ams", "ber"}, Claims: map[string]any{"n": 1.0, "list": []any{"ams", nil, 2.5}, "deep": map[string]any{"er": "x"}, "b": true, "odd": []any{map[string]any{}}}}
	f.Fuzz(func(t *testing.T, filter string) {
		v, err := scan.NewView(batch.Schema(), []scan.Part{{Filter: filter}}, who)
		if err != nil {
			readable(t, filter, err)
			return
		}
		shown, all := see(t, v, scan.Query{Columns: []string{"row_number"}}, batch), see(t, v, scan.Query{}, batch)
		if shown.NumRows() != all.NumRows() || shown.NumRows() > batch.NumRows() {
			t.Errorf("%d rows of one column, %d of all", shown.NumRows(), all.NumRows())
		}
	})
}
