package scan_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

func TestCompileSaysWhatIsWrongWithTheFilter(t *testing.T) {
	schema := rides(t).Schema()
	for _, c := range []struct{ filter, want string }{
		{" ", "the filter is blank: expected a condition, such as fare > 10.0, or no filter at all"},
		{"fare >", "filter, column 7: the filter ends where more is expected: is something missing after an operator, or a bracket?"},
		{"fare > 1 1", `filter, column 10: unexpected token after expression, at "1"`},
		{"fare = 1", "filter, column 6: a comparison is written =="},
		{"fare > 'x", `filter, column 8: the quote that begins at "'x" is never closed`},
		{"in > 1", `filter, column 1: "in > 1": a column whose name is a word of CEL's own or has other characters than A-Z, a-z, 0-9 and _ is written row['name']`},
		{"id > 99999999999999999999", "filter, column 6: 99999999999999999999 is no number of 64 bits"},
		{"fair > 1", `filter, column 1: there is no column "fair": did you mean "fare"? The columns are row_number, id, seats, meters, wide, fare, tip, half, price, tax, city, raw, paid, at, until, day, day64, clock, took, address and 6 more`},
		{"id > 1 &&\n  nope == 2", `filter, line 2, column 3: there is no column "nope": the columns are row_number, id, seats, meters, wide, fare, tip, half, price, tax, city, raw, paid, at, until, day, day64, clock, took, address and 6 more`},
		{"row > 1", "filter, column 1: row has the columns whose names need quotes, as in row['pick-up time'], and is nothing by itself"},
		{"row['fair'] > 1", `filter, column 5: there is no column "fair": did you mean "fare"? The columns are row_number, id, seats, meters, wide, fare, tip, half, price, tax, city, raw, paid, at, until, day, day64, clock, took, address and 6 more`},
		{"größe > 1", `filter, column 3: "öße > 1": a column whose name is a word of CEL's own or has other characters than A-Z, a-z, 0-9 and _ is written row['name']`},
		{"address.citi == 'x'", `filter, column 8: address (struct<city: string, geo: struct<lat: double>, zip code: string>) has no field "citi": did you mean "city"? The fields are city, geo, zip code`},
		{"city.name == 'x'", `filter, column 5: city (string) has no fields, so none called "name"`},
		{"fare.x == 1", `filter, column 5: fare (double) has no fields, so none called "x"`},
		{"city > 5", "filter, column 6: city (string) cannot be compared with 5 (int): put the number in quotes, or convert the string, as in double(city)"},
		{"5 < city", "filter, column 3: city (string) cannot be compared with 5 (int): put the number in quotes, or convert the string, as in double(city)"},
		{"fare == '5'", "filter, column 6: fare (double) cannot be compared with '5' (string): leave out the quotes"},
		{"at > '2024-01-01'", "filter, column 4: at (timestamp[us, tz=UTC]) cannot be compared with '2024-01-01' (string): write timestamp('2024-01-31T12:00:00Z') or date('2024-01-31')"},
		{"took > '1h'", "filter, column 6: took (duration[ms]) cannot be compared with '1h' (string): write duration('1h30m')"},
		{"raw == 'x'", "filter, column 5: raw (binary) cannot be compared with 'x' (string): write b'…' for bytes"},
		{"paid == 1", "filter, column 6: paid (bool) cannot be compared with 1 (int): write true or false"},
		{"price > fare", "filter, column 7: price (decimal(10, 2)) cannot be compared with fare (double): convert one, as in double(price)"},
		{"price + 1 > 2", "filter, column 7: there is no arithmetic with decimals, such as price (decimal(10, 2)): convert them, as in double(price)"},
		{"tags == tags", "filter, column 6: tags (list<item: string>) cannot be compared with tags (list<item: string>): only what is within them can"},
		{"address == 'x'", "filter, column 9: address (struct<city: string, geo: struct<lat: double>, zip code: string>) cannot be compared with 'x' (string)"},
		{"id < null", "filter, column 4: null is neither less nor greater than anything: to test for null, write x == null"},
		{"null in [1]", "filter, column 6: null is in no list: to test for null, write x == null"},
		{"id in ['a']", "filter, column 8: id (int64) cannot be compared with 'a' (string)"},
		{"id in [1, 'a']", "filter, column 11: id (int64) cannot be compared with 'a' (string)"},
		{"id in city", "filter, column 4: city (string) is no list: expected one to the right of in, as in x in [1, 2]"},
		{"1.5 in tags", "filter, column 5: 1.5 (double) cannot be looked for in tags (list<item: string>), which has string"},
		{"null in tags", "filter, column 6: null is in no list: to test for null, write x == null"},
		{"id + 1", "filter, column 4: the filter is an int: expected a condition, such as x > 0"},
		{"city", "filter, column 1: the filter is city (string): expected a condition, such as city == 'a'"},
		{"address", "filter, column 1: the filter is address (struct<city: string, geo: struct<lat: double>, zip code: string>): expected a condition, such as address != null"},
		{"null", "filter, column 1: the filter is null: expected a condition, such as x == null"},
		{"'x'", "filter, column 1: the filter is 'x' (string): expected a condition, such as x == 'a'"},
		{"id && paid", "filter, column 1: && takes conditions, and id (int64) is none"},
		{"!id", "filter, column 2: ! takes conditions, and id (int64) is none"},
		{"id ? paid : paid", "filter, column 1: ?: takes conditions, and id (int64) is none"},
		{"paid ? id : city", "filter, column 6: both sides of : have to be of one type, not id (int64) and city (string)"},
		{"paid ? tags : tags", "filter, column 6: a choice between tags (list<item: string>) and tags (list<item: string>) is not supported"},
		{"id + fare > 1.0", "filter, column 4: id (int64) cannot be added to fare (double): convert one, as in double(id)"},
		{"city + 1 == 'x'", "filter, column 6: city (string) cannot be added to 1 (int)"},
		{"fare % 2.0 == 1.0", "filter, column 6: fare (double) cannot be divided, for the remainder, by 2 (double)"},
		{"at + at > at", "filter, column 4: at (timestamp[us, tz=UTC]) cannot be added to at (timestamp[us, tz=UTC])"},
		{"city - 'x' == 'y'", "filter, column 6: 'x' (string) cannot be subtracted from city (string)"},
		{"-city == 'x'", "filter, column 1: city (string) cannot be negated: only int and double can"},
		{"-meters == 1", "filter, column 1: meters (uint32) cannot be negated: only int and double can"},
		{"tags.exists(t, t == 'a')", "filter, column 6: exists() is not supported: a filter looks at one row at a time, and into lists with x in tags, tags[0] and size(tags)"},
		{"tags.map(t, t)", "filter, column 6: map() is not supported: a filter looks at one row at a time, and into lists with x in tags, tags[0] and size(tags)"},
		{"type(id) == int", "filter, column 1: type() is not supported: every column has one type, which the schema tells"},
		{"city.startWith('a')", `filter, column 6: there is no function "startWith": did you mean "startsWith"?`},
		{"frobnicate(id)", `filter, column 1: there is no function "frobnicate": there are bool, bytes, contains, date, double, duration, endsWith, getDate, getDayOfMonth, getDayOfWeek, getDayOfYear, getFullYear, getHours, getMilliseconds, getMinutes, getMonth, getSeconds, has, int, matches, size, startsWith, string, timestamp, uint`},
		{"startsWith(city, 'a')", "filter, column 1: startsWith is a method: write x.startsWith(...)"},
		{"city.int() == 1", "filter, column 6: int is no method: write int(x)"},
		{"city.startsWith(1)", "filter, column 6: startsWith() is for strings, and 1 (int) is none"},
		{"city.startsWith()", "filter, column 6: startsWith() takes 1 argument, and gets 0"},
		{"size(city, city) == 1", "filter, column 1: size() takes 1 argument, and gets 2"},
		{"at.getHours('UTC', 'UTC') == 1", "filter, column 4: getHours() takes 0 or 1 argument, and gets 2"},
		{"size(id) == 1", "filter, column 1: id (int64) has no size(): strings, bytes, lists and maps have"},
		{"city.matches('(')", `filter, column 14: the pattern "(" is no regular expression of RE2's syntax: missing closing ) "("`},
		{"city.matches('(a{100}){10}') || city.matches('(b{100}){10}')", `filter, column 14: the pattern "(a{100}){10}" is too costly: expanded, the patterns of a filter can have 2000 parts together, and this one has 2020`},
		{"city.matches('((a{100}){100}){100}')", `filter, column 14: the pattern "((a{100}){100}){100}" is no regular expression of RE2's syntax: invalid repeat count "{100}"`},
		{"city.matches(city)", "filter, column 6: matches() takes a pattern in quotes, not city (string)"},
		{"id.getHours() == 1", "filter, column 4: id (int64) has no getHours(): timestamps and dates have"},
		{"at.getHours('Mars/Olympus') == 1", `filter, column 13: there is no time zone "Mars/Olympus": expected a name such as 'Europe/Amsterdam', or a distance from UTC such as '+02:00'`},
		{"at.getHours('+25:00') == 1", `filter, column 13: there is no time zone "+25:00": expected a distance from UTC from '-23:59' to '+23:59', or a name such as 'Europe/Amsterdam'`},
		{"at.getHours(city) == 1", "filter, column 4: getHours() takes a time zone in quotes, such as 'Europe/Amsterdam', not city (string)"},
		{"took.getHours('UTC') == 1", "filter, column 6: getHours() of a duration takes no time zone"},
		{"took.getMonth() == 1", "filter, column 6: took (duration[ms]) has no getMonth(): timestamps and dates have"},
		{"timestamp('yesterday') > at", `filter, column 11: "yesterday" is no timestamp: expected RFC 3339 from year 1 to 9999, such as '2024-01-31T12:00:00Z'`},
		{"date('2024-02-30') > at", `filter, column 6: "2024-02-30" is no date: expected a day from year 1 to 9999, such as '2024-01-31'`},
		{"duration('1 hour') > took", `filter, column 10: "1 hour" is no duration: expected numbers with units, such as '1h30m' or '1.5s'`},
		{"timestamp('9000-01-01T00:00:00.000000001Z') > at", `filter, column 11: "9000-01-01T00:00:00.000000001Z" has nanoseconds, and these reach from 1678 to 2261 only: leave out what is less than a microsecond`},
		{"int('x') == 1", "filter, column 1: int() cannot be made of 'x' (string)"},
		{"int(tags) == 1", "filter, column 1: int() cannot be made of tags (list<item: string>)"},
		{"timestamp(fare) > at", "filter, column 1: timestamp() cannot be made of fare (double)"},
		{"has(city)", "filter, column 5: has() takes a field, as in has(address.city)"},
		{"has(city.x)", `filter, column 4: city (string) has no fields, so none called "x"`},
		{"size(null) == 1", "filter, column 1: size() of null is null whatever the row"},
		{"[1, 2] == [1, 2]", "filter, column 1: a list can stand to the right of in and nowhere else, as in x in [1, 2]"},
		{"{'a': 1}.a == 1", "filter, column 1: maps cannot be written in a filter"},
		{"Foo{a: 1} == 1", "filter, column 4: messages cannot be written in a filter"},
		{"tags['a'] == 'b'", "filter, column 5: an element of tags (list<item: string>) is found by an int, not by 'a' (string)"},
		{"attrs[1] == 1", "filter, column 6: 1 (int) cannot be looked for in attrs (map<utf8, int64, items_nullable>), which has string"},
		{"address[0] == 1", "filter, column 8: a field of address (struct<city: string, geo: struct<lat: double>, zip code: string>) is found by its name in quotes, not by 0 (int)"},
		{"id[0] == 1", "filter, column 3: id (int64) has no elements: lists, maps and structs have"},
		{"attrs[paid] == 1", "filter, column 6: paid (bool) cannot be looked for in attrs (map<utf8, int64, items_nullable>), which has string"},
		{".id > 1", `filter, column 1: there is no column ".id": did you mean "id"? The columns are row_number, id, seats, meters, wide, fare, tip, half, price, tax, city, raw, paid, at, until, day, day64, clock, took, address and 6 more`},
		{"a.b.c", `filter, column 1: there is no column "a": did you mean "at"? The columns are row_number, id, seats, meters, wide, fare, tip, half, price, tax, city, raw, paid, at, until, day, day64, clock, took, address and 6 more`},
	} {
		_, err := scan.Compile(scan.Query{Filter: c.filter}, schema)
		if err == nil {
			t.Errorf("%s: no error", c.filter)
		} else if err.Error() != c.want {
			t.Errorf("%s\n  got      %v\n  expected %s", c.filter, err, c.want)
		}
	}
}

func TestCompileSaysWhatIsWrongWithTheQuery(t *testing.T) {
	number := arrow.PrimitiveTypes.Int64
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "fare", Type: number},
		{Name: "twice", Type: number},
		{Name: "twice", Type: number},
		{Name: "u", Type: arrow.SparseUnionOf([]arrow.Field{{Name: "a", Type: number}}, []arrow.UnionTypeCode{0})},
		{Name: "u.a", Type: number},
		{Name: "span", Type: arrow.FixedWidthTypes.MonthDayNanoInterval},
		{Name: "deep", Type: &arrow.Decimal256Type{Precision: 76, Scale: 76}},
		{Name: "high", Type: &arrow.Decimal256Type{Precision: 76, Scale: 0}},
		{Name: "prices", Type: arrow.ListOf(&arrow.Decimal128Type{Precision: 5, Scale: 2})},
	}, nil)
	minus := int64(-1)
	for _, c := range []struct {
		query scan.Query
		want  string
	}{
		{scan.Query{Columns: []string{"fair"}}, `columns: there is no column "fair": did you mean "fare"? The columns are fare, twice, twice, u, u.a, span, deep, high, prices`},
		{scan.Query{Columns: []string{"FARE"}}, `columns: there is no column "FARE": did you mean "fare"? The columns are fare, twice, twice, u, u.a, span, deep, high, prices`},
		{scan.Query{Columns: []string{""}}, `columns: there is no column "": the columns are fare, twice, twice, u, u.a, span, deep, high, prices`},
		{scan.Query{Columns: []string{"fare", "u.a", "fare"}}, `columns: "fare" is there twice`},
		{scan.Query{Columns: []string{"twice"}}, `columns: there are 2 columns called "twice": which one is meant cannot be said`},
		{scan.Query{Limit: &minus}, "limit is -1: expected 0 or more"},
		{scan.Query{Filter: "twice > 1"}, `filter, column 1: there are 2 columns called "twice": which one is meant cannot be said`},
		{scan.Query{Filter: "u == null"}, "filter, column 1: u (sparse_union<a: type=int64=0>) is a union: a filter can name none"},
		{scan.Query{Filter: "span == span"}, "filter, column 6: span (month_day_nano_interval) cannot be compared with span (month_day_nano_interval): only what is within them can"},
		{scan.Query{Filter: "deep == high"}, "filter, column 6: deep (decimal256(76, 76)) cannot be compared with high (decimal256(76, 0)): convert one, as in double(deep)"},
		{scan.Query{Filter: "1.001 in prices"}, "filter, column 7: 1.001 (double) cannot be looked for in prices (list<item: decimal(5, 2)>), which has decimal(5, 2)"},
		{scan.Query{Filter: "fare > \xff"}, "the filter is not UTF-8"},
	} {
		_, err := scan.Compile(c.query, schema)
		if err == nil {
			t.Errorf("%v: no error", c.query)
		} else if err.Error() != c.want {
			t.Errorf("%v\n  got      %v\n  expected %s", c.query, err, c.want)
		}
	}
	if _, err := scan.Compile(scan.Query{Filter: "x > 1"}, arrow.NewSchema(nil, nil)); err == nil || err.Error() != `filter, column 1: there is no column "x": there are no columns` {
		t.Errorf("no columns: %v", err)
	}
}

// Hostile filters are refused before they cost anything.
func TestCompileRefusesHostileFilters(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	repeat := strings.Repeat
	const (
		long = "bytes, at most 32768 are read"
		deep = "the filter is nested more than 100 deep: write it flatter"
	)
	for _, c := range []struct{ name, filter, want string }{
		{"long", repeat("(", 100_000), long},
		{"parentheses", repeat("(", 16_000), deep},
		{"closed parentheses", repeat("(", 10_000) + "x" + repeat(")", 10_000), deep},
		{"brackets", repeat("[", 30_000), deep},
		{"braces", repeat("{1:", 10_000), deep},
		{"calls", repeat("size(", 5_000), deep},
		{"has", repeat("has(", 5_000), deep},
		{"fields", "x" + repeat(".x", 10_000), deep},
		{"elements", "x" + repeat("[0]", 10_000), deep},
		{"sums", "x" + repeat("+x", 10_000), deep},
		{"choices", repeat("s=='a'?x:", 3_000) + "x", deep},
		{"nested choices", repeat("s=='a'?", 2_000) + "x" + repeat(":x", 2_000), ""},
		{"negations", repeat("!", 31_999) + "x", "takes conditions"},
		{"minus signs", repeat("-", 31_999) + "x", "the filter is an int"},
		{"quotes", repeat("'", 32_000), ""},
		{"nonsense", repeat("@#$%^", 6_000), "unexpected character"},
		{"words", repeat("a b ", 8_000), "unexpected token"},
		{"long strings", "size(s" + repeat(" + s", 50) + ") > 1", "a filter can put strings together 16 times at most"},
		{"patterns", "s.matches('" + repeat("(a|b)*", 2_000) + "')", "too costly"},
		{"repetitions", "s.matches('((((a{9}){9}){9}){9}){9}')", "regular expression"},
	} {
		_, err := scan.Compile(scan.Query{Filter: c.filter}, schema)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: a message of %d bytes", c.name, len(err.Error()))
		}
	}
}

// Filters that are long for a good reason are not refused.
func TestCompileTakesLongFilters(t *testing.T) {
	batch := oneColumn(arrayOf(t, arrow.PrimitiveTypes.Int64, "[0, 7, 123456, null]"))
	for name, filter := range map[string]string{
		"list":         "x in [" + strings.Repeat("123456, ", 4_000) + "7]",
		"alternatives": "x == 7" + strings.Repeat(" || x == 123456", 2_000),
		"conditions":   "x > 0" + strings.Repeat(" && x >= 7", 3_000),
	} {
		if got := verdicts(t, filter, batch); got != "FTTN" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
