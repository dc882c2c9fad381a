package format_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// What pyarrow.csv.read_csv of version 26 makes of these texts, found out by asking it. Where we mean to differ it says so.
func TestCSVMeansWhatPyarrowMakesOfIt(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// Records and fields.
		{"a,b\n1,2\n", "a int64: 1\nb int64: 2\n"},
		{"a,b\n1,2", "a int64: 1\nb int64: 2\n"},
		{"a,b\r\n1,2\r\n3,4\r\n", "a int64: 1 3\nb int64: 2 4\n"},
		{"a,b\r1,2\r3,4", "a int64: 1 3\nb int64: 2 4\n"},
		{"a,b\r\n1,2\n3,4\r5,6\r\n\r\n", "a int64: 1 3 5\nb int64: 2 4 6\n"},
		{"\n\na,b\n\n1,2\n\n\n3,4\n", "a int64: 1 3\nb int64: 2 4\n"},
		{"a,b\n", "a null: \nb null: \n"},
		{"a,b", "a null: \nb null: \n"}, // pyarrow wants a line end
		{"a,a\n1,2\n", "a int64: 1\na int64: 2\n"},
		{",\n1,2\n", " int64: 1\n int64: 2\n"},
		{"\ufeffa,b\n1,2\n", "a int64: 1\nb int64: 2\n"},
		{" a \n 1 \n", " a  int64: 1\n"},

		// Quotes.
		{"a,b\n\"x,\ny\",\"z\"\n", "a utf8: \"x,\\ny\"\nb utf8: \"z\"\n"},
		{"a\n\"x\r\ny\"\r\n", "a utf8: \"x\\r\\ny\"\n"},
		{"a\n\"x\"\"y\"\n", "a utf8: \"x\\\"y\"\n"},
		{"a\n\"\"\"\"\n", "a utf8: \"\\\"\"\n"},
		{"a\nx\"y\"z\n", "a utf8: \"x\\\"y\\\"z\"\n"},
		{"a\n\"x\"y\"z\"\n", "a utf8: \"xy\\\"z\\\"\"\n"},
		{"a\n\"x\" \n", "a utf8: \"x \"\n"},
		{"a\n \"x\"\n", "a utf8: \" \\\"x\\\"\"\n"},
		{"a\n\"x\\\"y\"\n", "a utf8: \"x\\\\y\\\"\"\n"},
		{"a\n\"x\n", "a utf8: \"x\\n\"\n"},
		{"\"a\nb\",c\n1,2\n", "a\nb int64: 1\nc int64: 2\n"},
		{"a\n\"1\"\n\"2\"\n", "a int64: 1 2\n"},

		// Nulls: in columns that are not text, quoted or not.
		{"a\n1\n\"\"\nNA\n\"null\"\n#N/A\nnan\n-1.#IND\n", "a int64: 1 (null) (null) (null) (null) (null) (null)\n"},
		{"a,b\n,x\nNULL,\n", "a null: (null) (null)\nb utf8: \"x\" \"\"\n"},
		{"a,b\n\"\",1\n\"NA\",2\nfoo,3\n", "a utf8: \"\" \"NA\" \"foo\"\nb int64: 1 2 3\n"},
		{"a\nNaN\nNaN\n", "a null: (null) (null)\n"},
		{"a\n NA\n1\n", "a utf8: \" NA\" \"1\"\n"},
		{"a\nNone\n1\n", "a utf8: \"None\" \"1\"\n"},

		// Integers.
		{"a\n007\n-01\n+5\n", "a float64: 7 -1 5\n"},
		{"a\n007\n-01\n-0\n\t1 \n", "a int64: 7 -1 0 1\n"},
		{"a\n9223372036854775807\n-9223372036854775808\n", "a int64: 9223372036854775807 -9223372036854775808\n"},
		{"a\n9223372036854775808\n", "a float64: 9.223372036854776e+18\n"},
		{"a\n00000000000000000000001\n", "a int64: 1\n"},
		{"a\n0x10\n0XfF\n0xFFFFFFFFFFFFFFFF\n", "a int64: 16 255 -1\n"},
		{"a\n0x\n", "a utf8: \"0x\"\n"},
		{"a\n-0x1\n", "a utf8: \"-0x1\"\n"},
		{"a\n1.5\n0x10\n", "a utf8: \"1.5\" \"0x10\"\n"},
		{"a\n1_000\n", "a utf8: \"1_000\"\n"},

		// Booleans.
		{"a\ntrue\nFalse\nTRUE\n0\n1\n", "a bool: true false true false true\n"},
		{"a\n0\n1\n", "a int64: 0 1\n"},
		{"a\ntrue\n1.5\n", "a utf8: \"true\" \"1.5\"\n"},
		{"a\ntRue\n", "a utf8: \"tRue\"\n"},
		{"a\n true\n", "a utf8: \" true\"\n"},

		// Floating-point numbers.
		{"a\n1.5\n.5\n5.\n1E-2\n+2e1\n -0.5 \n", "a float64: 1.5 0.5 5 0.01 20 -0.5\n"},
		{"a\n1e400\n-1e400\n1e-400\n", "a float64: +Inf -Inf 0\n"},
		{"a\ninf\n-Infinity\n+INF\nNAN\nnan(x_1)\n", "a float64: +Inf -Inf +Inf NaN NaN\n"},
		{"a\n1e\n", "a utf8: \"1e\"\n"},
		{"a\n.\n", "a utf8: \".\"\n"},
		{"a\n0x1p3\n", "a utf8: \"0x1p3\"\n"},
		{"a\n1.5.5\n", "a utf8: \"1.5.5\"\n"},

		// Dates and times.
		{"a\n2020-02-29\n0000-01-01\n 9999-12-31 \n", "a date32: 2020-02-29 0000-01-01 9999-12-31\n"},
		{"a\n2021-02-29\n", "a utf8: \"2021-02-29\"\n"},
		{"a\n2020-1-1\n", "a utf8: \"2020-1-1\"\n"},
		{"a\n20200101\n", "a int64: 20200101\n"},
		{"a\n12:34:56\n 00:00\n", "a time32[s]: 12:34:56 00:00:00\n"},
		{"a\n24:00\n", "a utf8: \"24:00\"\n"},
		{"a\n12:34:56.5\n", "a utf8: \"12:34:56.5\"\n"},

		// Timestamps.
		{
			"a\n2020-01-01\n2020-01-01T12\n2020-01-01 12:34\n1960-01-01T12:34:56\n",
			"a timestamp[s]: 2020-01-01T00:00:00 2020-01-01T12:00:00 2020-01-01T12:34:00 1960-01-01T12:34:56\n",
		},
		{
			"a\n2020-01-01T12:00:00Z\n2020-01-01T12+01\n2020-01-01T12:00-0130\n2020-01-01 12:00:00+23:59\n",
			"a timestamp[s, tz=UTC]: 2020-01-01T12:00:00Z 2020-01-01T11:00:00Z 2020-01-01T13:30:00Z 2019-12-31T12:01:00Z\n",
		},
		{"a\n2020-01-01\n1960-01-01T12:34:56.5\n", "a timestamp[ns]: 2020-01-01T00:00:00 1960-01-01T12:34:56.5\n"},
		{"a\n2020-01-01T12:34:56.123456789Z\n2020-01-01T12Z\n", "a timestamp[ns, tz=UTC]: 2020-01-01T12:34:56.123456789Z 2020-01-01T12:00:00Z\n"},
		{"a\n2020-01-01T00:00:00\n2020-01-01T00:00:00Z\n", "a utf8: \"2020-01-01T00:00:00\" \"2020-01-01T00:00:00Z\"\n"},
		{"a\n2020-01-01Z\n", "a utf8: \"2020-01-01Z\"\n"},
		{"a\n2020-01-01T12:34:56.1234567891\n", "a utf8: \"2020-01-01T12:34:56.1234567891\"\n"},
		{"a\n2020-01-01T12:34:56+24:00\n", "a utf8: \"2020-01-01T12:34:56+24:00\"\n"},
		{"a\n 2020-01-01T12:34:56\n", "a utf8: \" 2020-01-01T12:34:56\"\n"},
		{"a\n2262-04-12\n2020-01-01T00:00:00.5\n", "a utf8: \"2262-04-12\" \"2020-01-01T00:00:00.5\"\n"},
		{"a\n1677-09-21T00:12:43.5\n", "a utf8: \"1677-09-21T00:12:43.5\"\n"},

		// Text, and what is none.
		{"a\né\n\x00\n", "a utf8: \"é\" \"\\x00\"\n"},
		{"a,b\nx,\xe9\n1,2\n", "a utf8: \"x\" \"1\"\nb binary: 6Q== Mg==\n"},
	} {
		if d := cmp.Diff(c.want, readAll(t, format.CSV, objects("csv", c.text))); d != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, d)
		}
	}
}

func TestCSVTypesFollowFromAllFiles(t *testing.T) {
	got := readAll(t, format.CSV, objects("csv", "a,b\n1,\n", "a,b\n2.5,x\n", "a,b\n"))
	if d := cmp.Diff("a float64: 1 2.5\nb utf8: \"\" \"x\"\n", got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCSVSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		texts []string
		want  string
	}{
		{"empty", []string{""}, "1.csv: the file is empty: expected CSV, which begins with a line of column names"},
		{"only line ends", []string{"\n\r\n"}, "1.csv: there is no header: the file has empty lines only, expected a line of column names"},
		{"narrow row", []string{"a,b\n1,2\n\n\"x\ny\",3\n3\n"}, `1.csv: row 4: expected 2 columns, got 1: "3"`},
		{"wide row", []string{"a,b\n1,2,3\n"}, `1.csv: row 2: expected 2 columns, got 3: "1,2,3"`},
		{
			"very wide row",
			[]string{"a,b\n" + strings.Repeat("1,", 1e6) + "\n"},
			`1.csv: row 2: expected 2 columns, got 1000001: "` + strings.Repeat("1,", 40)[:80] + `…"`,
		},
		{"header of other text", []string{"a,\xff\n1,2\n"}, `1.csv: its header's column 2, "\xff", is not UTF-8: save the file as UTF-8`},
		{"UTF-16", []string{"\xff\xfea\x00\n\x00"}, `1.csv: its header's column 1, "\xff\xfea\x00", is not UTF-8: save the file as UTF-8`},
		{"other names", []string{"a,b\n", "a,c\n"}, `2.csv: the files of one dataset must have the same header, but it has "c" as column 2, 1.csv has "b" there`},
		{"more columns", []string{"a\n", "a,b\n"}, `2.csv: the files of one dataset must have the same header, but it has 2 columns, 1.csv has 1`},
		{"fewer columns", []string{"a,b\n", "a\n"}, `2.csv: the files of one dataset must have the same header, but it has 1 columns, 1.csv has 2`},
		{"a Parquet file", []string{"PAR1\x15\x04"}, "1.csv: it is not CSV; it looks like a Parquet file: set format: Parquet"},
		{"a gzip file", []string{"\x1f\x8b\x08\x00"}, "1.csv: it is not CSV; it looks like a compressed file: decompress it, or use Parquet, which compresses by itself"},
		{"too many columns", []string{strings.Repeat(",", 1<<16)}, "1.csv: its header has 65537 columns: at most 65536 can be served"},
		{"quote never closed", []string{"a\n\"" + strings.Repeat("x", 64<<20)}, "1.csv: row 2 has more than 67108864 bytes: a quote may be missing at the end of a field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := lookup(t, format.CSV).Inspect(t.Context(), objects("csv", c.texts...), nil)
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(c.want, err.Error()); d != "" {
				t.Errorf("message (-want +got):\n%s", d)
			}
		})
	}
}

// A record may be anywhere in the blocks that are read.
func TestCSVRecordsAcrossBlocks(t *testing.T) {
	for _, pad := range []int{1<<20 - 8, 1<<20 - 6, 1<<20 - 5, 1<<20 - 4, 1<<20 - 3, 1<<20 - 2, 1<<20 - 1, 1 << 20} {
		long := strings.Repeat("x", pad)
		text := "a,b\n" + long + ",\"y\"\"\r\n\",\n"
		text = strings.TrimSuffix(text, ",\n") + "\r\n1,2\n"
		want := "a utf8: \"" + long + "\" \"1\"\nb utf8: \"y\\\"\\r\\n\" \"2\"\n"
		if got := readAll(t, format.CSV, objects("csv", text)); got != want {
			t.Errorf("with %d bytes before: ...%q", pad, got[max(0, len(got)-60):])
		}
	}
}

func TestCSVFreesItsMemory(t *testing.T) {
	leakless(t, format.CSV, objects("csv", "a,b,c\n1,x,2020-01-01\n2,y,\n3,z,\n4,,\n5,,\n"))
}

func TestCSVEndsWhenCancelled(t *testing.T) {
	endsWhenCancelled(t, format.CSV, objects("csv", "a\n1\n2\n3\n"))
}
