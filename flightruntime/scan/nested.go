package scan

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// lists are lists, or maps, whose entries they are lists of.
type lists struct {
	lists array.ListLike
	nulls nulls
	// among leads from the elements, or the keys of maps, to what is looked for among them.
	among binding
}

// openLists opens lists whose elements are not looked at.
func openLists(a arrow.Array) any {
	return lists{lists: a.(array.ListLike), nulls: nullsOf(a)}
}

// openElements opens lists to look for values among their elements, or maps to look for keys.
func openElements(open func(arrow.Array) any) func(a arrow.Array) any {
	return func(a arrow.Array) any {
		l := openLists(a).(lists)
		if m, ok := a.(*array.Map); ok {
			l.among = bind(m.Keys(), nil, open)
		} else {
			l.among = bind(l.lists.ListValues(), nil, open)
		}
		return l
	}
}

// sizes is the number of elements of lists, or of entries of maps.
type sizes struct{ slot int }

func (n *sizes) eval(b *block, v *vector[int64]) {
	bd := &b.columns[n.slot]
	c := b.cursors.get()
	bd.find(b, c)
	l := bd.end.(lists)
	c.drop(l.nulls)
	v.valid = c.valid
	out := v.space(b.n)
	c.valid.each(func(i int) bool {
		start, end := l.lists.ValueOffsets(c.place(i))
		out[i] = end - start
		return true
	})
	b.cursors.put(c)
}

func (n *sizes) bounds(Statistics) bounds[int64] { return unbounded[int64]() }

// elementStep opens the step from lists to the element at an index.
func elementStep(index values[int64]) pathStep {
	return func(a arrow.Array) (step, arrow.Array) {
		l := openLists(a).(lists)
		return element{l, index}, l.lists.ListValues()
	}
}

// element leads to the element at an index. Where the list has none, the result is null.
type element struct {
	lists
	index values[int64]
}

func (s element) follow(b *block, c *cursor) {
	c.drop(s.nulls)
	index := b.ints.get()
	s.index.eval(b, index)
	c.valid.and(&index.valid)
	c.valid.each(func(i int) bool {
		start, end := s.lists.lists.ValueOffsets(c.place(i))
		at := index.values[i]
		if at < 0 || at >= end-start {
			c.valid.clear(i)
			return true
		}
		c.at[i] = int(start + at)
		return true
	})
	c.scattered = true
	b.ints.put(index)
}

// entryStep opens the step from maps to the value of a key.
func entryStep[T comparable](key values[T], open func(arrow.Array) any) pathStep {
	elements := openElements(open)
	return func(a arrow.Array) (step, arrow.Array) {
		return entry[T]{elements(a).(lists), key}, a.(*array.Map).Items()
	}
}

// entry leads to the value of a key, the first if there are several. Where the map has no such key, the result is null.
type entry[T comparable] struct {
	lists
	key values[T]
}

func (s entry[T]) follow(b *block, c *cursor) {
	var found bitmap
	search(b, c, s.lists, s.key, func(row, place int) {
		if !found.has(row) {
			found.set(row)
			c.at[row] = place
		}
	}, nil)
	c.valid = found
	c.scattered = true
}

// contained is true where a list has the value among its elements, or a map has it as a key. A list that does not have it, but an element
// that is null, makes the result null.
type contained[T comparable] struct {
	slot int
	want values[T]
}

func (n *contained[T]) eval(b *block, t *truth) {
	bd := &b.columns[n.slot]
	c := b.cursors.get()
	bd.find(b, c)
	t.yes = bitmap{}
	var null bitmap
	search(b, c, bd.end.(lists), n.want, func(row, _ int) { t.yes.set(row) }, null.set)
	t.settle(&c.valid)
	for i := range t.no {
		t.no[i] &^= null[i]
	}
	b.cursors.put(c)
}

func (n *contained[T]) outcomes(Statistics) outcomes { return anyOutcome }

// search calls found with row and place of each element that is what the row wants, and null, which may be nil, with each row that has an
// element that is null. The cursor, which is on the lists, keeps the rows that have a list and want something. found may change its places.
func search[T comparable](b *block, c *cursor, l lists, wanted values[T], found func(row, place int), null func(row int)) {
	c.drop(l.nulls)
	pool := vectors[T](b)
	want, elements := pool.get(), pool.get()
	wanted.eval(b, want)
	c.valid.and(&want.valid)
	// Elements of several rows are loaded together.
	rows, places, e := b.ints.get(), b.ints.get(), b.cursors.get()
	rowOf, placeOf := rows.space(blockRows), places.space(blockRows)
	n := 0
	load := func() {
		e.n, e.scattered = n, true
		e.valid.fill(n)
		for i, place := range placeOf[:n] {
			e.at[i] = int(place)
		}
		l.among.follow(b, e)
		l.among.end.(leaf[T]).load(e, elements)
		for i, row := range rowOf[:n] {
			switch {
			case !elements.valid.has(i):
				if null != nil {
					null(int(row))
				}
			case elements.values[i] == want.values[row]:
				found(int(row), int(placeOf[i]))
			}
		}
		n = 0
	}
	c.valid.each(func(row int) bool {
		start, end := l.lists.ValueOffsets(c.place(row))
		for place := start; place < end; place++ {
			rowOf[n], placeOf[n] = int64(row), place
			if n++; n == blockRows {
				load()
			}
		}
		return !b.stopped()
	})
	load()
	pool.put(want)
	pool.put(elements)
	b.ints.put(rows)
	b.ints.put(places)
	b.cursors.put(e)
}
