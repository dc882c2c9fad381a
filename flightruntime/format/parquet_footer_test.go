package format

import (
	"bytes"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

func footerOfEmptyFile(t *testing.T) *footer {
	t.Helper()
	var b bytes.Buffer
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int64}}, nil)
	w, err := pqarrow.NewFileWriter(schema, &b, nil, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := source.NewInline("a.parquet", b.Bytes()).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := list[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := readParquetFooter(list[0], r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRecentFooters(t *testing.T) {
	f := footerOfEmptyFile(t)
	kept := newRecentFooters(3*f.size() + f.size()/2)
	ids := make([]*fileID, 5)
	for i := range ids {
		ids[i] = new(fileID)
	}
	for _, step := range []struct {
		what string
		do   func()
		want [5]bool // which are kept
	}{
		{"nothing", func() {}, [5]bool{}},
		{"as many as there is room for", func() { kept.put(ids[0], f); kept.put(ids[1], f); kept.put(ids[2], f) }, [5]bool{true, true, true}},
		{"one that is there already", func() { kept.put(ids[2], f) }, [5]bool{true, true, true}},
		{"one more, after the first was used", func() { kept.get(ids[0], f.version); kept.put(ids[3], f) }, [5]bool{true, false, true, true}},
		{"two more", func() { kept.put(ids[1], f); kept.put(ids[4], f) }, [5]bool{false, true, false, true, true}},
		{"one of nobody's", func() { kept.put(nil, f) }, [5]bool{false, true, false, true, true}},
	} {
		step.do()
		for i, id := range ids {
			e := kept.of[id]
			if got := e != nil && e.Value.(keptFooter).footer == f; got != step.want[i] {
				t.Errorf("%s: %d is kept: %t, want %t", step.what, i, got, step.want[i])
			}
		}
	}
	if kept.get(ids[4], "another version") != nil || kept.get(ids[4], f.version) != f {
		t.Error("a footer is one of another version")
	}
	if kept.room < 0 || kept.room >= f.size() || kept.recent.Len() != 3 {
		t.Errorf("%d are kept with room for %d bytes more", kept.recent.Len(), kept.room)
	}
}
