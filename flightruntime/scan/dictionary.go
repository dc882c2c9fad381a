package scan

import (
	"github.com/apache/arrow-go/v18/arrow"
)

// perValue evaluates a condition on one dictionary-encoded column once for each value of the dictionary instead of once for each row.
type perValue struct {
	condition
	slot   int
	number int // of its verdicts
}

// verdicts are what a condition says of the values of a dictionary.
type verdicts struct {
	// of is the dictionary. As long as it is held here, no other one can have its address.
	of     arrow.ArrayData
	values []verdict
}

// verdict is one of two bits, or none for null.
type verdict uint8

const (
	verdictYes verdict = 1 << iota
	verdictNo
)

// mostValuesPerRow is up to how many times as many values as a block has rows a dictionary is evaluated whole. Most dictionaries are smaller
// than a block, and the same for many batches; one that is a lot larger is used for few of its values.
const mostValuesPerRow = 64

func (n *perValue) eval(b *block, t *truth) {
	bd := &b.columns[n.slot]
	if bd.dictionary == nil || bd.dictionary.values.Len() > mostValuesPerRow*blockRows {
		n.condition.eval(b, t)
		return
	}
	judged := &b.verdicts[n.number]
	if data := bd.dictionary.values.Data(); judged.of != data {
		judged.of = nil
		if n.judge(b, judged); !b.stopped() {
			judged.of = data
		}
	}
	c, v := b.cursors.get(), b.ints.get()
	c.start(b)
	for _, s := range bd.steps {
		s.follow(b, c)
	}
	bd.dictionary.codes.load(c, v)
	yes, no := b.marks.get(), b.marks.get()
	for i, code := range v.values {
		var found verdict // of what is null, and has a code that is anything
		if uint64(code) < uint64(len(judged.values)) {
			found = judged.values[code]
		}
		yes[i], no[i] = byte(found&verdictYes), byte(found&verdictNo)>>1
	}
	t.yes.pack(yes)
	t.no.pack(no)
	t.yes.and(&v.valid)
	t.no.and(&v.valid)
	b.cursors.put(c)
	b.ints.put(v)
	b.marks.put(yes)
	b.marks.put(no)
}

// judge evaluates the condition on the values of the dictionary, as if these were rows.
func (n *perValue) judge(b *block, judged *verdicts) {
	from, rows, bound := b.from, b.n, b.columns[n.slot]
	defer func() { b.from, b.n, b.columns[n.slot] = from, rows, bound }()
	b.columns[n.slot] = binding{end: bound.end}
	total := bound.dictionary.values.Len()
	judged.values = append(judged.values[:0], make([]verdict, total)...)
	t := b.truths.get()
	for b.from = 0; b.from < total; b.from += blockRows {
		b.n = min(blockRows, total-b.from)
		n.condition.eval(b, t)
		for i := range b.n {
			switch {
			case t.yes.has(i):
				judged.values[b.from+i] = verdictYes
			case t.no.has(i):
				judged.values[b.from+i] = verdictNo
			}
		}
	}
	b.truths.put(t)
}
