package format_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// What pyarrow.json.read_json of version 26 makes of these texts, found out by asking it. Arrays of records are our own.
func TestJSONMeansWhatPyarrowMakesOfIt(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// Records.
		{`{"a":1}` + "\n" + `{"a":2}` + "\n", "a int64: 1 2\n"},
		{`{"a":1}{"a":2} {"a":3}` + "\r\n\n\t" + `{"a":` + "\n" + `4}`, "a int64: 1 2 3 4\n"},
		{"\ufeff" + `{"a":1}`, "a int64: 1\n"},
		{"\n", ""},
		{`{}` + "\n" + `{}`, ""},
		{`[{"a":1}, {"a":2}]`, "a int64: 1 2\n"},
		{" [ ] ", ""},

		// Columns.
		{`{"b":1,"a":2}` + `{"a":1,"c":2,"b":3}` + `{}`, "b int64: 1 3 (null)\na int64: 2 1 (null)\nc int64: (null) 2 (null)\n"},
		{`{"":1,"a b":2,"\u0061":3}`, " int64: 1\na b int64: 2\na int64: 3\n"},
		{`{"a":null}`, "a null: (null)\n"},
		{`{"a":null}{"a":true}{"a":false}`, "a bool: (null) true false\n"},

		// Numbers.
		{`{"a":9223372036854775807}{"a":-9223372036854775808}{"a":-0}`, "a int64: 9223372036854775807 -9223372036854775808 0\n"},
		{`{"a":1}{"a":1.5}`, "a float64: 1 1.5\n"},
		{`{"a":1}{"a":1e3}`, "a float64: 1 1000\n"},
		{`{"a":9223372036854775808}`, "a float64: 9.223372036854776e+18\n"},
		{`{"a":1e-400}`, "a float64: 0\n"},

		// Strings and timestamps.
		{`{"a":"\u00e9\n\ud83d\ude00 \u0000"}`, "a utf8: \"é\\n😀 \\x00\"\n"},
		{`{"a":""}`, "a utf8: \"\"\n"},
		{
			`{"a":"2020-01-01"}{"a":"2020-01-01 12:34"}{"a":"2020-01-01T00:00:00+01:00"}{"a":"2020-01-01T00\u003a00Z"}{"a":null}`,
			"a timestamp[s]: 2020-01-01T00:00:00 2020-01-01T12:34:00 2019-12-31T23:00:00 2020-01-01T00:00:00 (null)\n",
		},
		{`{"a":"2020-01-01"}{"a":"x"}`, "a utf8: \"2020-01-01\" \"x\"\n"},
		{`{"a":"2020-01-01T00:00:00.5"}`, "a utf8: \"2020-01-01T00:00:00.5\"\n"},
		{`{"a":"12:34:56"}`, "a utf8: \"12:34:56\"\n"},

		// Lists and structs.
		{`{"a":[1,2]}{"a":[]}{"a":null}{"a":[null,2.5]}`, "a list<item: float64, nullable>: [1,2] [] (null) [null,2.5]\n"},
		{`{"a":[]}`, "a list<item: null, nullable>: []\n"},
		{`{"a":[[1],[2,3]]}`, "a list<item: list<item: int64, nullable>, nullable>: [[1],[2,3]]\n"},
		{
			`{"a":{"b":1}}{"a":{"c":"x"}}{"a":null}{}`,
			"a struct<b: int64 nullable, c: utf8 nullable>: {\"b\":1,\"c\":null} {\"b\":null,\"c\":\"x\"} (null) (null)\n",
		},
		{
			`{"a":[{"b":1},{}]}{"a":[{"c":[true]}]}`,
			"a list<item: struct<b: int64 nullable, c: list<item: bool, nullable> nullable>, nullable>: " +
				`[{"b":1,"c":null},{"b":null,"c":null}] [{"b":null,"c":[true]}]` + "\n",
		},
		{`{"a":{}}`, "a struct<>: {}\n"},
	} {
		if d := cmp.Diff(c.want, readAll(t, format.JSON, objects("json", c.text))); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.text, d)
		}
	}
}

func TestJSONTypesFollowFromAllFiles(t *testing.T) {
	got := readAll(t, format.JSON, objects("json", `{"a":1}`, `[{"b":"x"},{"a":2.5}]`, "\n"))
	if d := cmp.Diff("a float64: 1 (null) 2.5\nb utf8: (null) \"x\" (null)\n", got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestJSONRecordsWithoutMembersAreRows(t *testing.T) {
	table, err := read(t.Context(), lookup(t, format.JSON), objects("json", `{}{}{}`), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if table.NumRows() != 3 {
		t.Errorf("%d rows, want 3", table.NumRows())
	}
}

func TestJSONSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"empty", []string{""}, "1.json: the file is empty: expected JSON objects, one on each line, or an array of them"},
		{"number to string", []string{`{"a":1}` + "\n" + `{"a":"x"}`}, "1.json: record 2, /a: expected a number as in record 1, got a string"},
		{
			"in another file",
			[]string{`{"a":{"b":[1]}}`, `{}{"a":{"b":[null,true]}}`},
			"2.json: record 2, /a/b/1: expected a number as in record 1 of 1.json, got a boolean",
		},
		{"in an array of records", []string{`[{"a":[1]},{"a":[1,{}]}]`}, "1.json: record 2, /a/1: expected a number as in record 1, got an object"},
		{"object to array", []string{`{"a":{}}{"a":[]}`}, "1.json: record 2, /a: expected an object as in record 1, got an array"},
		{"name twice", []string{`{"a":1,"b":{"c":1,"c":2}}`}, `1.json: record 1, /b/c: the object has the name "c" twice`},
		{"too large a number", []string{`{"a":1e400}`}, `1.json: record 1, /a: the number "1e400" is beyond double precision`},
		{"not a number", []string{`{"a":NaN}`}, "1.json: record 1, /a, at byte 5: invalid character 'N' at start of value: NaN and Infinity are not JSON, write null"},
		{"infinity", []string{`{"a":-Infinity}`}, "1.json: record 1, /a, at byte 6: invalid character 'I' in number (expecting digit): NaN and Infinity are not JSON, write null"},
		{"no object", []string{`{"a":1} 2`}, "1.json: record 2: expected an object, got a number"},
		{"null", []string{`null`}, "1.json: record 1: expected an object, got null"},
		{"array in array", []string{`[[1]]`}, "1.json: record 1: expected an object, got an array"},
		{"more after the array", []string{`[{"a":1}] {"a":2}`}, "1.json: there is more after the array of records: expected the end of the file"},
		{"comma between records", []string{`{"a":1},{"a":2}`}, "1.json: record 2, at byte 7: invalid character ',' at start of value"},
		{"cut", []string{`{"a":1}` + "\n" + `{"a":`}, "1.json: the file ends in the middle of record 2: it is cut, or still being written"},
		{"cut array", []string{`[{"a":1},`}, "1.json: the file ends in the middle of record 2: it is cut, or still being written"},
		{"invalid UTF-8", []string{"{\"a\":\"\xff\"}"}, "1.json: record 1, /a, at byte 6: invalid UTF-8"},
		{"lone surrogate", []string{`{"a":"\ud800"}`}, "1.json: record 1, /a, at byte 6: invalid surrogate pair `\\ud800\"}` in string"},
		{"too deep", []string{`{"a":` + strings.Repeat("[", 64)}, "1.json: record 1, /a" + strings.Repeat("/0", 39) + "…: arrays and objects are nested more than 64 deep"},
		{"names as data", []string{manyNames(1 << 16)}, "1.json: record 65536, /k65535: there are more than 65536 different columns: are names used as data?"},
		{"never closed", []string{`{"a":["` + strings.Repeat("x", 65<<20)}, "1.json: record 1: it has more than 67108864 bytes: a bracket or quote may be missing"},
		{"a Parquet file", []string{"PAR1\x15\x04"}, "1.json: it is not JSON; it looks like a Parquet file: set format: Parquet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := lookup(t, format.JSON).Inspect(t.Context(), objects("json", c.texts...), nil)
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(c.want, err.Error()); d != "" {
				t.Errorf("message (-want +got):\n%s", d)
			}
		})
	}
}

// manyNames are records of a name each.
func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`{"k` + strconv.Itoa(i) + `":1}`)
	}
	return b.String()
}

func TestJSONFreesItsMemory(t *testing.T) {
	leakless(t, format.JSON, objects("json", `{"a":1,"b":[{"c":"x"}]}{"a":2}{"b":[]}{"a":null,"b":null}{}`))
}

func TestJSONEndsWhenCancelled(t *testing.T) {
	endsWhenCancelled(t, format.JSON, objects("json", `{"a":1}{"a":2}{"a":3}`))
}
