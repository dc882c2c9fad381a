package scan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

func limit(n int64) *int64 { return &n }

func TestParseQuery(t *testing.T) {
	for _, c := range []struct {
		command string
		want    scan.Query
	}{
		{`{"dataset": "trips"}`, scan.Query{Dataset: "trips"}},
		{
			` {"dataset": "trips", "columns": ["fare", "city"], "filter": "fare > 10.0 && city in ['ams', 'ber']", "limit": 100}` + "\n",
			scan.Query{Dataset: "trips", Columns: []string{"fare", "city"}, Filter: "fare > 10.0 && city in ['ams', 'ber']", Limit: limit(100)},
		},
		{`{"limit":0,"columns":[],"dataset":"\u0074rips"}`, scan.Query{Dataset: "trips", Columns: []string{}, Limit: limit(0)}},
		{`{"dataset": "trips", "columns": null, "filter": null, "limit": null}`, scan.Query{Dataset: "trips"}},
		{`{"dataset": "trips", "limit": 9223372036854775807}`, scan.Query{Dataset: "trips", Limit: limit(9223372036854775807)}},
	} {
		got, err := scan.ParseQuery([]byte(c.command))
		if err != nil {
			t.Errorf("%s: %v", c.command, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.command, d)
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := scan.ParseQuery(written); err != nil || !cmp.Equal(got, again) {
			t.Errorf("%s is written as %s, which is read as %v, %v", c.command, written, again, err)
		}
	}
}

func TestParseQuerySaysWhatIsWrong(t *testing.T) {
	const example = `{"dataset": "trips", "columns": ["fare"], "filter": "fare > 10.0", "limit": 100}`
	for _, c := range []struct{ command, want string }{
		{"", "the query is empty: expected a JSON object such as " + example},
		{" \n", "the query is empty: expected a JSON object such as " + example},
		{"trips", `the query begins with "trips": expected a JSON object such as ` + example},
		{`["trips"]`, `the query begins with "[\"trips\"]": expected a JSON object such as ` + example},
		{"SELECT * FROM trips", `the query begins with "SELECT * FROM trips": expected a JSON object such as ` + example},
		{"{}", `the query names no dataset: expected a member "dataset", as in ` + example},
		{`{"dataset": ""}`, `the query names no dataset: expected a member "dataset", as in ` + example},
		{`{"dataset": null}`, `the query names no dataset: expected a member "dataset", as in ` + example},
		{`{"dataset": 7}`, "dataset is a number: expected the name of a dataset"},
		{`{"dataset": {"a": 1}}`, "dataset is an object: expected the name of a dataset"},
		{`{"dataset": "trips", "column": ["fare"]}`, `the query has a member "column": did you mean "columns"?`},
		{`{"dataset": "trips", "Limit": 1}`, `the query has a member "Limit": did you mean "limit"?`},
		{`{"dataset": "trips", "order": 1}`, `the query has a member "order": expected only dataset, columns, filter, limit`},
		{`{"dataset": "trips", "dataset": "trips"}`, `the query has the member "dataset" twice`},
		{`{"dataset": "trips", "columns": "fare"}`, `columns is a string: expected an array of names, such as ["fare"]`},
		{`{"dataset": "trips", "columns": {"fare": 1}}`, `columns is an object: expected an array of names, such as ["fare"]`},
		{`{"dataset": "trips", "columns": ["fare", 1]}`, "columns[1] is a number: expected a name"},
		{`{"dataset": "trips", "columns": ["fare", null]}`, "columns[1] is null: expected a name"},
		{`{"dataset": "trips", "columns": [["fare"]]}`, "columns[0] is an array: expected a name"},
		{`{"dataset": "trips", "filter": true}`, `filter is a boolean: expected a string with a condition, such as "fare > 10.0"`},
		{`{"dataset": "trips", "filter": ["a"]}`, `filter is an array: expected a string with a condition, such as "fare > 10.0"`},
		{`{"dataset": "trips", "limit": "10"}`, "limit is a string: expected a whole number of rows, 0 or more"},
		{`{"dataset": "trips", "limit": -1}`, "limit is -1: expected a whole number of rows, 0 or more"},
		{`{"dataset": "trips", "limit": 1.5}`, "limit is 1.5: expected a whole number of rows, 0 or more"},
		{`{"dataset": "trips", "limit": 1e3}`, "limit is 1e3: expected a whole number of rows, 0 or more"},
		{`{"dataset": "trips", "limit": 9223372036854775808}`, "limit is 9223372036854775808: expected a whole number of rows, 0 or more"},
		{`{"dataset": "trips"} {"dataset": "trips"}`, `the query goes on after its closing brace, with "{\"dataset\": \"trips\"}": expected one JSON object and nothing else`},
		{`{"dataset": "trips"}, x`, `the query goes on after its closing brace, with ", x": expected one JSON object and nothing else`},
		{`{"dataset": "trips"`, "the query ends in the middle of its JSON, after 19 bytes: expected an object such as " + example},
		{`{"dataset": "tri`, "the query ends in the middle of its JSON, after 16 bytes: expected an object such as " + example},
		{`{"dataset": trips}`, `the query is no valid JSON at byte 15, where it says "ips}": expected an object such as ` + example},
		{`{'dataset': 'trips'}`, `the query is no valid JSON at byte 2, where it says "'dataset': 'trips'}": expected an object such as ` + example},
		{`{"dataset": "trips", }`, `the query is no valid JSON at byte 20, where it says ", }": expected an object such as ` + example},
		{`{"dataset" "trips"}`, `the query is no valid JSON at byte 12, where it says "\"trips\"}": expected an object such as ` + example},
		{`{"dataset": "trips", "columns": ["a" "b"]}`, `the query is no valid JSON at byte 38, where it says "\"b\"]}": expected an object such as ` + example},
		{"{\"dataset\": \"\xff\"}", "the query is not UTF-8"},
		{`{"dataset": "trips", "x": ` + strings.Repeat("[", 60_000), `the query has a member "x": expected only dataset, columns, filter, limit`},
		{`{"dataset": ` + strings.Repeat("[", 60_000), "dataset is an array: expected the name of a dataset"},
		{`{"dataset": "` + strings.Repeat("x", 64<<10) + `"}`, "the query has 65551 bytes, at most 65536 are read"},
	} {
		_, err := scan.ParseQuery([]byte(c.command))
		if err == nil {
			t.Errorf("%s: no error", c.command)
		} else if err.Error() != c.want {
			t.Errorf("%.100s\n  got      %v\n  expected %s", c.command, err, c.want)
		}
	}
}
