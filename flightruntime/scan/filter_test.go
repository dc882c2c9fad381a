package scan_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/flightruntime/scan"
)

// rides has five rows: three ordinary ones, one of extremes and empty values, and one of nulls.
func rides(t testing.TB) arrow.RecordBatch {
	text := arrow.BinaryTypes.String
	fields := []arrow.Field{
		nullable("id", arrow.PrimitiveTypes.Int64),
		nullable("seats", arrow.PrimitiveTypes.Int8),
		nullable("meters", arrow.PrimitiveTypes.Uint32),
		nullable("wide", arrow.PrimitiveTypes.Uint64),
		nullable("fare", arrow.PrimitiveTypes.Float64),
		nullable("tip", arrow.PrimitiveTypes.Float32),
		nullable("half", arrow.FixedWidthTypes.Float16),
		nullable("price", &arrow.Decimal128Type{Precision: 10, Scale: 2}),
		nullable("tax", &arrow.Decimal128Type{Precision: 10, Scale: 4}),
		nullable("city", text),
		nullable("raw", arrow.BinaryTypes.Binary),
		nullable("paid", arrow.FixedWidthTypes.Boolean),
		nullable("at", arrow.FixedWidthTypes.Timestamp_us),
		nullable("until", arrow.FixedWidthTypes.Timestamp_s),
		nullable("day", arrow.FixedWidthTypes.Date32),
		nullable("day64", arrow.FixedWidthTypes.Date64),
		nullable("clock", arrow.FixedWidthTypes.Time32s),
		nullable("took", arrow.FixedWidthTypes.Duration_ms),
		nullable("address", arrow.StructOf(nullable("city", text), nullable("geo", arrow.StructOf(nullable("lat", arrow.PrimitiveTypes.Float64))), nullable("zip code", text))),
		nullable("tags", arrow.ListOf(text)),
		nullable("points", arrow.ListOf(arrow.StructOf(nullable("x", arrow.PrimitiveTypes.Int32)))),
		nullable("attrs", arrow.MapOf(text, arrow.PrimitiveTypes.Int64)),
		nullable("nothing", arrow.Null),
		nullable("pick-up", arrow.PrimitiveTypes.Int32),
		nullable("in", arrow.PrimitiveTypes.Int32),
	}
	return numbered(fromJSON(t, fields, `[
		{"id": 1, "seats": 4, "meters": 1500, "wide": 1, "fare": 10.5, "tip": 0.1, "half": 1.5, "price": "10.10", "tax": "10.1000", "city": "ams", "raw": "AAE=", "paid": true,
		 "at": "2024-02-29T12:30:45.123456Z", "until": "2024-02-29T13:00:00Z", "day": "2024-02-29", "day64": "2024-02-29", "clock": "12:30:45", "took": "1755000ms",
		 "address": {"city": "Amsterdam", "geo": {"lat": 52.4}, "zip code": "1011"}, "tags": ["a", "b"], "points": [{"x": 7}, {"x": 8}], "attrs": [{"key": "k", "value": 1}],
		 "nothing": null, "pick-up": 1, "in": 1},
		{"id": 2, "seats": -1, "meters": 0, "wide": 5, "fare": 0.0, "tip": 2.5, "half": -2, "price": "-3.00", "tax": "-3.0001", "city": "ber", "raw": "/w==", "paid": false,
		 "at": "1999-12-31T23:59:59.999999Z", "until": "2000-01-01T00:00:00Z", "day": "1999-12-31", "day64": "2000-01-01", "clock": "00:00:00", "took": "-1ms",
		 "address": {"city": null, "geo": null, "zip code": ""}, "tags": ["b", null], "points": [null], "attrs": [{"key": "j", "value": 2}, {"key": "k", "value": null}],
		 "nothing": null, "pick-up": 2, "in": 2},
		{"id": 3, "seats": 2, "meters": 7, "wide": 7, "fare": 7, "tip": 7, "half": 7, "price": "7.00", "tax": "7.0000", "city": "größe", "raw": "YW1z", "paid": true,
		 "at": "1970-01-01T00:00:00Z", "until": "1970-01-01T00:00:00Z", "day": "1970-01-01", "day64": "1970-01-01", "clock": "23:59:59", "took": "0ms",
		 "address": null, "tags": [], "points": [], "attrs": [], "nothing": null, "pick-up": 3, "in": 3},
		{"id": 9007199254740993, "seats": 127, "meters": 4294967295, "wide": 18446744073709551615, "fare": 9007199254740992.0, "tip": 3.4028234e38, "half": 65504, "price": "99999999.99",
		 "tax": "999999.9999", "city": "", "raw": "", "paid": false, "at": "9999-12-31T23:59:59Z", "until": "9999-12-31T23:59:59Z", "day": "9999-12-31", "day64": "9999-12-31",
		 "clock": "00:00:01", "took": "9223372036854775807ms", "address": {"city": "", "geo": {"lat": null}, "zip code": null}, "tags": [""], "points": [{"x": null}],
		 "attrs": [{"key": "", "value": 0}], "nothing": null, "pick-up": 4, "in": 4},
		{}
	]`))
}

// Arrays without elements need not have buffers.
func TestFilterOfListsWithoutElements(t *testing.T) {
	for _, typ := range []arrow.DataType{
		arrow.BinaryTypes.String, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.StringView, arrow.BinaryTypes.Binary, &arrow.FixedSizeBinaryType{ByteWidth: 2},
		arrow.PrimitiveTypes.Int8, arrow.PrimitiveTypes.Uint64, arrow.PrimitiveTypes.Float64, &arrow.Decimal128Type{Precision: 3}, &arrow.Decimal256Type{Precision: 3},
		arrow.FixedWidthTypes.Timestamp_ns, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String},
	} {
		buffers := []*memory.Buffer{nil, nil}
		if arrow.IsBaseBinary(typ.ID()) {
			buffers = append(buffers, nil)
		}
		var elements arrow.ArrayData = array.NewData(typ, 0, buffers, nil, 0, 0)
		if d, ok := typ.(*arrow.DictionaryType); ok {
			elements = array.NewDataWithDictionary(typ, 0, buffers, 0, 0, arrayOf(t, d.ValueType, "[]").Data().(*array.Data))
		}
		offsets := memory.NewBufferBytes(make([]byte, 4*4))
		lists := array.MakeFromData(array.NewData(arrow.ListOf(typ), 3, []*memory.Buffer{nil, offsets}, []arrow.ArrayData{elements}, 0, 0))
		batch := oneColumn(lists)
		if got := verdicts(t, "x[0] == x[row_number]", batch); got != "NNN" {
			t.Errorf("%s: %s", typ, got)
		}
		if got := verdicts(t, "x[0] in x", batch); got != "NNN" {
			t.Errorf("%s: %s", typ, got)
		}
		out := apply(t, nil, scan.Query{Filter: "row_number != 1"}, batch)
		if out.NumRows() != 2 {
			t.Errorf("%s: %d rows", typ, out.NumRows())
		}
	}
}

// A literal with more digits than a double has is the decimal that it says.
func TestFilterOfDecimalsOfManyDigits(t *testing.T) {
	for _, typ := range []arrow.DataType{&arrow.Decimal128Type{Precision: 38, Scale: 9}, &arrow.Decimal256Type{Precision: 70, Scale: 9}} {
		batch := oneColumn(arrayOf(t, typ, `["-99999999999999999999.900000000", "99999999999999999999.900000001", "0.123456789", null]`))
		for _, c := range []struct{ filter, want string }{
			{"x == -99999999999999999999.9", "TFFN"},
			{"x == - 99999999999999999999.9", "TFFN"},
			{"x <= -99999999999999999999.9", "TFFN"},
			{"x > -99999999999999999999.9", "FTTN"},
			{"-99999999999999999999.9 < x", "FTTN"},
			{"x == 99999999999999999999.900000001", "FTFN"},
			{"x != 99999999999999999999.900000001", "TFTN"},
			{"x < 99999999999999999999.9000000011", "TTTN"},
			{"x > 99999999999999999999.9000000009", "FTFN"},
			{"x in [0.5, 99999999999999999999.900000001]", "FTFN"},
			{"99999999999999999999.900000001 in [x]", "FTFN"},
			{"x == 123456789e-9", "FFTN"},
			{"x > 1e-400 && x < 1e300", "FTTN"},
			{"'ä🙂' != '' && x == 99999999999999999999.900000001", "FTFN"}, // places are those of characters
		} {
			if got := verdicts(t, c.filter, batch); got != c.want {
				t.Errorf("%s: %s: expected %s, got %s", typ, c.filter, c.want, got)
			}
		}
	}
}

func TestFilter(t *testing.T) {
	batch := rides(t)
	defer batch.Release()
	for _, c := range []struct{ filter, want string }{
		// comparison
		{"id == 1", "TFFFN"},
		{"id != 1", "FTTTN"},
		{"id < 3", "TTFFN"},
		{"id <= 3", "TTTFN"},
		{"id > 2", "FFTTN"},
		{"id >= 2", "FTTTN"},
		{"2 < id", "FFTTN"},
		{"id == id", "TTTTN"},
		{"seats < 300", "TTTTN"}, // a literal that the column's type cannot hold
		{"seats > -300", "TTTTN"},
		{"seats == 300", "FFFFN"},
		{"seats >= 2u", "TFTTN"},
		{"meters > -1", "TTTTN"},
		{"meters == 7", "FFTFN"},
		{"wide > 9223372036854775807", "FFFTN"},
		{"wide == 18446744073709551615u", "FFFTN"},
		{"id > 2.5", "FFTTN"},
		{"id >= 3.0", "FFTTN"},
		{"id < -2.5", "FFFFN"},
		{"id == 2.5", "FFFFN"},
		{"id != 2.5", "TTTTN"},
		{"id == 9007199254740992.0", "FFFFN"}, // 9007199254740993 is no double
		{"id > 9007199254740992.0", "FFFTN"},
		{"fare == 9007199254740993", "FFFFN"},
		{"fare < 9007199254740993", "TTTTN"},
		{"id > fare", "FTFTN"}, // exactly, though the nearest double is equal
		{"fare < id", "FTFTN"},
		{"wide == fare", "FFTFN"},
		{"wide > id", "FTTTN"},
		{"id == meters", "FFFFN"},
		{"id <= meters", "TFTFN"},
		{"fare == 7", "FFTFN"},
		{"fare >= 10.5", "TFFTN"},
		{"tip == 0.1", "FFFFN"}, // a float32 is not 0.1
		{"tip > 0.1", "TTTTN"},
		{"half == 1.5", "TFFFN"},
		{"half < 0", "FTFFN"},
		{"fare > double('NaN')", "FFFFN"},
		{"fare != double('NaN')", "TTTTN"},
		{"fare < double('inf')", "TTTTN"},
		{"id < double('inf')", "TTTTN"},
		{"price == 10.10", "TFFFN"}, // exactly as written
		{"price == 10.101", "FFFFN"},
		{"price < 10.101", "TTTFN"},
		{"price >= 7", "TFTTN"},
		{"price > 1e30", "FFFFN"},
		{"price == tax", "TFTFN"},
		{"price > tax", "FTFTN"},
		{"price == id", "FFFFN"},
		{"price < meters", "TTFTN"},
		{"price in [7, 10.1, 3.33333]", "TFTFN"},
		{"city == 'ams'", "TFFFN"},
		{"city < 'b'", "TFFTN"},
		{"city >= city", "TTTTN"},
		{"raw == b'ams'", "FFTFN"},
		{"raw > b'\\x01'", "FTTFN"},
		{"paid == true", "TFTFN"},
		{"paid != true", "FTFTN"},
		{"paid > false", "TFTFN"},
		{"paid <= false", "FTFTN"},
		{"paid == (id < 2)", "TTFTN"},
		{"paid", "TFTFN"},

		// logic
		{"id < 3 && paid", "TFFFN"},
		{"id < 3 || paid", "TTTFN"},
		{"!paid", "FTFTN"},
		{"!!paid", "TFTFN"},
		{"id == 1 && nothing == 1", "NFFFN"},
		{"id == 1 || nothing == 1", "TNNNN"},
		{"true || paid", "TTTTT"},
		{"paid && false", "FFFFF"},
		{"id == null || id > 2", "FFTTT"},
		{"paid ? id < 3 : id > 3", "TFFTN"},
		{"(paid ? id : 100) == 100", "FTFTN"},
		{"(id == null ? 'none' : city) == 'none'", "FFFFT"},
		{"(paid ? fare : 1) >= 7.0", "TFTFN"},
		{"(paid ? city : null) == null", "FTFTT"},
		{"(nothing == null ? 1 : 2) == 1", "TTTTT"},

		// null
		{"id == null", "FFFFT"},
		{"null != id", "TTTTF"},
		{"tags == null", "FFFFT"},
		{"attrs == null", "FFFFT"},
		{"address == null", "FFTFT"},
		{"address.city == null", "FTTFT"},
		{"nothing == null", "TTTTT"},
		{"nothing < 5", "NNNNN"},
		{"nothing + 1 == 5", "NNNNN"},
		{"nothing", "NNNNN"},
		{"paid == null", "FFFFT"},
		{"(id < 2) == null", "FFFFT"},
		{"id + 1 == null", "FFFFT"},
		{"null == null", "TTTTT"},

		// lists of constants
		{"id in [1, 2, 99]", "TTFFN"},
		{"id in [1.0, 2.5]", "TFFFN"},
		{"id in []", "FFFFF"},
		{"id in [1, null]", "TNNNN"},
		{"!(id in [1, 2])", "FFTTN"},
		{"id in [1, 2, 3, 4, 5, 6, 7]", "TTTFN"},
		{"fare in [7, 10.5, 1, 2, 3, 4]", "TFTFN"},
		{"meters in [7u, 0, 1500]", "TTTFN"},
		{"city in ['ams', 'größe', 'x', 'y', 'z', '']", "TFTTN"},
		{"raw in [b'ams', b'']", "FFTTN"},
		{"id in [seats, 3]", "FFTFN"},
		{"paid in [true]", "TFTFN"},
		{"at in [timestamp('1970-01-01T00:00:00Z'), timestamp('1970-01-01T00:00:00.000000001Z')]", "FFTFN"},

		// arithmetic
		{"id + 1 == 2", "TFFFN"},
		{"id - 4 < 0", "TTTFN"},
		{"id * 2 == 6", "FFTFN"},
		{"id / 2 == 1", "FTTFN"},
		{"id % 2 == 1", "TFTTN"},
		{"-id == -3", "FFTFN"},
		{"id * id * id > 0", "TTTNN"}, // overflow is null
		{"-9223372036854775807 - id < 0", "TNNNN"},
		{"10 / (seats + 1) == 2", "TNFFN"}, // and so is division by zero
		{"seats + 100 > 200", "FFFTN"},     // in 64 bits
		{"meters - 1u == 6u", "FNTFN"},
		{"meters * meters > 0u", "TFTTN"},
		{"wide + 1u > 0u", "TTTNN"},
		{"meters / 2 == 3u", "FFTFN"},
		{"meters % 4u == 3u", "FFTTN"},
		{"fare * 2 == 21.0", "TFFFN"},
		{"fare / 0.0 > 1e308", "TFTTN"}, // floating-point numbers have infinities, and 0/0 is NaN
		{"fare / 0.0 != fare / 0.0", "FTFFN"},
		{"-fare < -7.0", "TFFTN"},
		{"city + '!' == 'ams!'", "TFFFN"},
		{"raw + b'x' == b'x'", "FFFTN"},
		{"seats % -1 == 0", "TTTTN"},
		{"1 / 0 == 1", "NNNNN"},

		// strings
		{"city.startsWith('a')", "TFFFN"},
		{"city.endsWith('e')", "FFTFN"},
		{"city.contains('m')", "TFFFN"},
		{"city.contains('')", "TTTTN"},
		{"city.matches('^[a-b]')", "TTFFN"},
		{"matches(city, 'r')", "FTTFN"},
		{"size(city) == 5", "FFTFN"}, // code points
		{"city.size() > 2", "TTTFN"},
		{"size(raw) == 1", "FTFFN"},
		{"city.startsWith(address.city)", "FNNTN"},
		{"address.city.contains(city)", "FNNTN"},
		{"'ams-ber'.contains(city)", "TTFTN"},

		// time
		{"at > timestamp('2024-01-01T00:00:00Z')", "TFFTN"},
		{"at == timestamp('2024-02-29T12:30:45.123456Z')", "TFFFN"},
		{"at == timestamp('2024-02-29T13:30:45.123456+01:00')", "TFFFN"},
		{"at >= timestamp('2024-02-29T12:30:45.1234561Z')", "FFFTN"},
		{"until > at", "TTFFN"},
		{"at < until", "TTFFN"},
		{"day == date('2024-02-29')", "TFFFN"},
		{"day < timestamp('1999-12-31T00:00:01Z')", "FTTFN"},
		{"day == day64", "TFTTN"},
		{"day <= at", "TTTTN"},
		{"date(at) == day", "TTTTN"},
		{"clock > duration('12h')", "TFTFN"},
		{"clock.getHours() == 23", "FFTFN"},
		{"took > duration('29m')", "TFFTN"},
		{"took < duration('-999us')", "FTFFN"},
		{"until - at > duration('29m')", "TFFFN"},
		{"at + duration('29m15s') < until", "FFFFN"},
		{"at + duration('29m14.8s') < until", "TFFFN"},
		{"at - duration('1us') == timestamp('1969-12-31T23:59:59.999999Z')", "FFTFN"},
		{"duration('1s') + took > duration('0s')", "TTTNN"},
		{"day + duration('24h') == timestamp('2024-03-01T00:00:00Z')", "TFFFN"},
		{"at.getFullYear() == 2024", "TFFFN"},
		{"at.getMonth() == 11", "FTFTN"},
		{"at.getDate() == 29", "TFFFN"},
		{"at.getDayOfMonth() == 28", "TFFFN"},
		{"at.getDayOfWeek() == 4", "TFTFN"},
		{"at.getDayOfYear() == 59", "TFFFN"},
		{"at.getHours() == 12", "TFFFN"},
		{"at.getHours('Europe/Amsterdam') == 13", "TFFFN"},
		{"at.getHours('-02:30') == 10", "TFFFN"},
		{"at.getMinutes() == 30", "TFFFN"},
		{"at.getSeconds() == 45", "TFFFN"},
		{"at.getMilliseconds() == 123", "TFFFN"},
		{"day.getFullYear() < 2000", "FTTFN"},
		{"took.getMinutes() == 29", "TFFFN"},

		// conversions
		{"int(fare) == 10", "TFFFN"},
		{"int(tip) > 0", "FTTNN"},
		{"uint(id) == 1u", "TFFFN"},
		{"uint(seats) > 0u", "TNTTN"},
		{"int(wide) == 7", "FFTNN"},
		{"double(id) / 2.0 == 0.5", "TFFFN"},
		{"double(price) > 10.0", "TFFTN"},
		{"string(id) == '3'", "FFTFN"},
		{"string(fare) == '10.5'", "TFFFN"},
		{"string(paid) == 'true'", "TFTFN"},
		{"string(at) == '1970-01-01T00:00:00Z'", "FFTFN"},
		{"string(raw) == 'ams'", "FNTFN"},
		{"bytes(city) == b'ams'", "TFFFN"},
		{"int(city) == 1", "NNNNN"},
		{"int(at) == 0", "FFTFN"},
		{"timestamp(id) == timestamp('1970-01-01T00:00:03Z')", "FFTNN"},
		{"int(address['zip code']) == 1011", "TNNNN"},
		{"bool('true')", "TTTTT"},

		// nested
		{"address.city == 'Amsterdam'", "TNNFN"},
		{"address.geo.lat > 50", "TNNNN"},
		{"address.`zip code` == ''", "FTNNN"},
		{"address['zip code'] == ''", "FTNNN"},
		{"address['geo']['lat'] > 50", "TNNNN"},
		{"has(address.city)", "TFFTF"},
		{"has(attrs.k)", "TTFFN"},
		{"tags[0] == 'b'", "FTNFN"},
		{"tags[1] == 'b'", "TNNNN"},
		{"tags[id - 1] == 'a'", "TNNNN"},
		{"tags[-1] == 'a'", "NNNNN"},
		{"size(tags) == 2", "TTFFN"},
		{"'b' in tags", "TTFFN"},
		{"'a' in tags", "TNFFN"},
		{"city in tags", "FNFTN"},
		{"!('b' in tags)", "FFTTN"},
		{"points[0].x == 7", "TNNNN"},
		{"points[1].x > points[0].x", "TNNNN"},
		{"attrs['k'] == 1", "TNNNN"},
		{"attrs.j == 2", "NTNNN"},
		{"attrs[city] == 0", "NNNTN"},
		{"'k' in attrs", "TTFFN"},
		{"size(attrs) == 2", "FTFFN"},

		// names
		{"row['pick-up'] == 3", "FFTFN"},
		{"row[\"in\"] == 3", "FFTFN"},
		{"row['id'] == 3", "FFTFN"},
	} {
		if got := verdicts(t, c.filter, batch); got != c.want {
			t.Errorf("%s: %s, expected %s", c.filter, got, c.want)
		}
	}
}
