package datasets

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/format"
	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// object is one of a name and version; it is never opened.
type object struct {
	source.Object
	name, version string
}

func (o object) Name() string    { return o.name }
func (o object) Version() string { return o.version }

// layout has a part for each list of units' sizes. They are called a, b, c and so on.
func layout(parts ...[]int64) *format.Layout {
	l := &format.Layout{}
	for i, sizes := range parts {
		p := format.Part{Object: object{name: string(rune('a' + i)), version: "1"}}
		for _, size := range sizes {
			p.Units = append(p.Units, format.Unit{Rows: 1, Bytes: size})
		}
		l.Parts = append(l.Parts, p)
	}
	return l
}

func TestPartition(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parts [][]int64
		most  int
		want  []string
	}{
		{"nothing", nil, 8, nil},
		{"a part without units", [][]int64{{}}, 8, nil},
		{"less than is worth a stream", [][]int64{{4, 4}}, 8, []string{"a0-a1"}},
		{"row groups of one file", [][]int64{{10, 10, 10}}, 8, []string{"a0-a0", "a1-a1", "a2-a2"}},
		{"files", [][]int64{{10}, {10}}, 8, []string{"a0-a0", "b0-b0"}},
		{"small files go together", [][]int64{{5}, {5}, {5}, {5}}, 8, []string{"a0-b0", "c0-d0"}},
		{"ranges across files", [][]int64{{5, 5, 5}, {5, 5, 5}}, 8, []string{"a0-a1", "a2-b0", "b1-b2"}},
		{"no more than so many", [][]int64{{10, 10, 10, 10}}, 2, []string{"a0-a1", "a2-a3"}},
		{"a large unit is not cut", [][]int64{{100, 1}}, 8, []string{"a0-a0", "a1-a1"}},
		{"files without rows", [][]int64{{}, {10}, {}, {10}, {}}, 8, []string{"b0-b0", "d0-d0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := layout(tt.parts...)
			var got []string
			var units []string
			for _, r := range partition(l, 10, tt.most) {
				got = append(got, fmt.Sprintf("%s%d-%s%d", r.First.Object, r.First.Unit, r.Last.Object, r.Last.Unit))
				selected, ok := r.resolve(l)
				if !ok {
					t.Fatalf("%+v does not resolve in the layout that it is of", r)
				}
				units = append(units, unitsOf(l, selected)...)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(unitsOf(l, everything(l)), units); diff != "" {
				t.Errorf("the ranges together are not the whole: -want +got:\n%s", diff)
			}
		})
	}
}

func unitsOf(l *format.Layout, selected []catalog.Selection) (units []string) {
	for _, s := range selected {
		all := s.Units
		if all == nil {
			for u := range l.Parts[s.Part].Units {
				all = append(all, u)
			}
		}
		for _, u := range all {
			units = append(units, fmt.Sprintf("%d/%d", s.Part, u))
		}
	}
	return units
}

func TestARangeOutlivesWhatIsAppended(t *testing.T) {
	before := layout([]int64{10, 10}, []int64{10})
	ranges := partition(before, 10, 8)
	after := layout([]int64{10, 10}, []int64{10}, []int64{10})
	for _, r := range ranges {
		got, ok := r.resolve(after)
		want, _ := r.resolve(before)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("after an append, %+v is another: %s", r, diff)
		}
	}
}

func TestARangeOfWhatHasChangedIsNotRead(t *testing.T) {
	l := layout([]int64{10}, []int64{10}, []int64{10})
	r := partition(l, 100, 1)[0]
	changed := layout([]int64{10}, []int64{10}, []int64{10})
	changed.Parts[1].Object = object{name: "b", version: "2"}
	regrouped := layout([]int64{10}, []int64{10}, []int64{10})
	regrouped.Parts[0].Units[0].Rows = 2
	for name, other := range map[string]*format.Layout{
		"a file has more units":   layout([]int64{5, 5}, []int64{10}, []int64{10}),
		"units have other rows":   regrouped,
		"a file has changed":      changed,
		"a file is gone":          {Parts: append(append([]format.Part{}, l.Parts[:1]...), l.Parts[2:]...)},
		"the last file is gone":   {Parts: l.Parts[:2]},
		"a file came in between":  {Parts: append(append(append([]format.Part{}, l.Parts[:1]...), format.Part{Object: object{name: "aa", version: "1"}}), l.Parts[1:]...)},
		"there is nothing at all": {},
	} {
		if got, ok := r.resolve(other); ok {
			t.Errorf("%s: it resolves to %v", name, got)
		}
	}
	for name, wrong := range map[string]unitRange{
		"a unit that there is not":    {First: position{Object: "a", Unit: 1}, Last: r.Last, Objects: r.Objects},
		"a negative unit":             {First: position{Object: "a", Unit: -1}, Last: r.Last, Objects: r.Objects},
		"an end before its beginning": {First: r.Last, Last: r.First, Objects: r.Objects},
	} {
		if got, ok := wrong.resolve(l); ok {
			t.Errorf("%s: it resolves to %v", name, got)
		}
	}
}
