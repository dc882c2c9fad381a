package ipcguard

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/flight-operator/flight-operator/internal/arrowtest"
)

var colour = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}

// colours is a stream of batches of one dictionary column: schema, dictionary, rows, and for each further batch its dictionary or delta
// and its rows.
func colours(t testing.TB, deltas bool, batches ...string) []sent {
	t.Helper()
	var records []arrow.RecordBatch
	for _, rows := range batches {
		records = append(records, arrowtest.FromJSON(t, arrowtest.Column(colour), rows))
	}
	return send(t, arrowtest.Column(colour), records, ipc.WithDictionaryDeltas(deltas))
}

const (
	red      = `[{"c":"red"}]`
	redGreen = `[{"c":"red"},{"c":"green"}]`
	noColour = `[{"c":null}]`
)

func TestDictionariesThatAreNotAsSent(t *testing.T) {
	grown := colours(t, true, red, redGreen)
	invalid := colours(t, false, red)
	invalid[1].body[8] = 0xff // the first byte of the text
	for _, c := range []struct {
		name     string
		messages []sent
		want     string
	}{
		{"no dictionary", []sent{grown[0], grown[2]}, `column "c": dictionary 0 has not been sent`},
		{"a delta without a base", []sent{grown[0], grown[3]}, "it adds to dictionary 0, which has not been sent"},
		{"rows that need a delta", []sent{grown[0], grown[1], grown[4]}, `column "c": row 1 is value 1 of a dictionary that has 1`},
		{"a dictionary that the schema does not have", []sent{numbers(t)[0], grown[1]}, "it is for dictionary 0, which the schema does not have"},
		{"values that are not UTF-8", invalid, "dictionary 0: row 0 is not UTF-8: byte 0 is 0xff"},
		{"more rows than values", []sent{grown[0], moreRows(grown[1])}, "dictionary 0: it has 1 values and its batch 2 rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := receive(c.messages, Options{Allocator: counted(t)}); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func moreRows(m sent) sent {
	metadata := append([]byte(nil), m.metadata...)
	setSlot(batchTable(metadata), batchLength, 2, 8)
	return sent{metadata: metadata, body: m.body}
}

// Arrow's format lets rows that are all null come before their dictionary.
func TestNullsMayComeBeforeTheirDictionary(t *testing.T) {
	nulls, later := colours(t, false, noColour), colours(t, false, red)
	_, batches, err := receive([]sent{nulls[0], nulls[2], later[1], later[2]}, Options{Allocator: counted(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer release(batches)
	if first, second := batches[0].Column(0), batches[1].Column(0); !first.IsNull(0) || second.ValueStr(0) != "red" {
		t.Errorf("got %v and %v, want a null and red", first, second)
	}
}

func TestADictionaryThatIsReplacedStaysWithTheBatchesBefore(t *testing.T) {
	_, batches, err := receive(colours(t, false, red, `[{"c":"blue"}]`, redGreen), Options{Allocator: counted(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer release(batches)
	for i, want := range []string{"red", "blue", "red"} {
		if got := batches[i].Column(0).ValueStr(0); got != want {
			t.Errorf("batch %d has %s, want %s", i, got, want)
		}
	}
}

// nestedColours are batches of a dictionary of structs of a dictionary. Only the inner one differs, for the outer has no other values.
func nestedColours(t testing.TB, names ...string) (*arrow.Schema, []arrow.RecordBatch) {
	t.Helper()
	point := arrow.StructOf(arrow.Field{Name: "colour", Type: colour, Nullable: true})
	outer := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: point}
	schema := arrowtest.Column(outer)
	var batches []arrow.RecordBatch
	for _, name := range names {
		inner := arrowtest.FromJSON(t, arrowtest.Column(point), `[{"c":{"colour":"`+name+`"}}]`).Column(0)
		indices := array.MakeFromData(data(arrow.PrimitiveTypes.Int8, 1, []*memory.Buffer{of[int8](0)}))
		batches = append(batches, array.NewRecordBatch(schema, []arrow.Array{array.NewDictionaryArray(outer, indices, inner)}, 1))
	}
	return schema, batches
}

func TestDictionariesInDictionaries(t *testing.T) {
	schema, want := nestedColours(t, "red", "green")
	messages := send(t, schema, want)
	_, got, err := receive(messages, Options{Allocator: counted(t)})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, schema, got, want)
	release(got)

	// The inner dictionary is replaced and the outer is not: rows before have the old one, rows behind the new.
	if len(messages) != 7 {
		t.Fatalf("%d messages, want a schema and twice both dictionaries and rows", len(messages))
	}
	_, got, err = receive([]sent{messages[0], messages[1], messages[2], messages[3], messages[4], messages[6]}, Options{Allocator: counted(t)})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, schema, got, want)
	release(got)

	// The outer comes before the inner.
	_, got, err = receive([]sent{messages[0], messages[2], messages[1], messages[3]}, Options{Allocator: counted(t)})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, schema, got, want[:1])
	release(got)

	for _, c := range []struct {
		name     string
		messages []sent
		want     string
	}{
		{"no inner dictionary", []sent{messages[0], messages[2], messages[3]}, `column "c": dictionary 0: field "colour": dictionary 1 has not been sent`},
		{"no outer dictionary", []sent{messages[0], messages[1], messages[3]}, `column "c": dictionary 0 has not been sent`},
		{"an addition to the outer", []sent{messages[0], messages[1], messages[2], {messages[2].metadata, messages[2].body, true}}, "it adds to dictionary 0, whose values have dictionaries themselves: send it as a whole"},
	} {
		if _, _, err := receive(c.messages, Options{Allocator: counted(t)}); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestDictionariesAreBounded(t *testing.T) {
	grown := colours(t, true, red, redGreen)
	schema, dictionary, delta := grown[0], grown[1], grown[3]
	const limit = 1 << 20
	for name, c := range map[string]struct {
		next    sent
		refused bool
	}{
		"replaced again and again": {dictionary, false},
		"growing without end":      {delta, true},
	} {
		messages := []sent{schema, dictionary}
		for range 2 * limit / partBytes {
			messages = append(messages, c.next)
		}
		_, _, err := receive(messages, Options{Allocator: counted(t), MaxBatchBytes: limit})
		if quota := (*QuotaError)(nil); errors.As(err, &quota) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.refused && (err == nil || !strings.Contains(err.Error(), "bytes for its stream's dictionaries and the limit is 1048576")) {
			t.Errorf("%s: %v does not say what the limit is for", name, err)
		}
	}
}
