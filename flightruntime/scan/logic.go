package scan

// both is true where both conditions are, and false where any is false.
type both struct{ x, y condition }

func (n *both) eval(b *block, t *truth) {
	u := b.truths.get()
	n.x.eval(b, t)
	n.y.eval(b, u)
	t.and(u)
	b.truths.put(u)
}

func (n *both) outcomes(s Statistics) outcomes { return n.x.outcomes(s).and(n.y.outcomes(s)) }

// anyOf is true where any of both conditions is, and false where both are false.
type anyOf struct{ x, y condition }

func (n *anyOf) eval(b *block, t *truth) {
	u := b.truths.get()
	n.x.eval(b, t)
	n.y.eval(b, u)
	t.or(u)
	b.truths.put(u)
}

func (n *anyOf) outcomes(s Statistics) outcomes { return n.x.outcomes(s).or(n.y.outcomes(s)) }

// not is true where the condition is false, and false where it is true.
type not struct{ x condition }

func (n *not) eval(b *block, t *truth) {
	n.x.eval(b, t)
	t.not()
}

func (n *not) outcomes(s Statistics) outcomes { return n.x.outcomes(s).not() }

// always is the same for every row.
type always outcomes

func (n always) eval(b *block, t *truth) {
	*t = truth{}
	switch {
	case n.yes:
		t.yes.fill(b.n)
	case n.no:
		t.no.fill(b.n)
	}
}

func (n always) outcomes(Statistics) outcomes { return outcomes(n) }

// The conditions that are constant.
var (
	alwaysTrue  = always{yes: true}
	alwaysFalse = always{no: true}
	alwaysNull  = always{null: true}
)

// missing is true where an expression has no value.
type missing[T any] struct{ x values[T] }

func (n *missing[T]) eval(b *block, t *truth) {
	pool := vectors[T](b)
	v := pool.get()
	n.x.eval(b, v)
	t.no = v.valid
	t.yes.fill(b.n)
	for i := range t.yes {
		t.yes[i] &^= t.no[i]
	}
	pool.put(v)
}

func (n *missing[T]) outcomes(s Statistics) outcomes {
	bounds := n.x.bounds(s)
	return outcomes{yes: bounds.null, no: bounds.filled}
}

// unknown is true where a condition is null.
type unknown struct{ x condition }

func (n *unknown) eval(b *block, t *truth) {
	n.x.eval(b, t)
	var all bitmap
	all.fill(b.n)
	for i := range all {
		t.no[i] |= t.yes[i]
		t.yes[i] = all[i] &^ t.no[i]
	}
}

func (n *unknown) outcomes(s Statistics) outcomes {
	o := n.x.outcomes(s)
	return outcomes{yes: o.null, no: o.yes || o.no}
}

// same is true where two conditions are alike.
type same struct{ x, y condition }

func (n *same) eval(b *block, t *truth) {
	u := b.truths.get()
	n.x.eval(b, t)
	n.y.eval(b, u)
	for i := range t.yes {
		yes, no := t.yes[i], t.no[i]
		t.yes[i] = yes&u.yes[i] | no&u.no[i]
		t.no[i] = yes&u.no[i] | no&u.yes[i]
	}
	b.truths.put(u)
}

func (n *same) outcomes(s Statistics) outcomes {
	x, y := n.x.outcomes(s), n.y.outcomes(s)
	return outcomes{
		yes:  x.yes && y.yes || x.no && y.no,
		no:   x.yes && y.no || x.no && y.yes,
		null: x.null || y.null,
	}
}

// below is true where the first condition is false and the second is true, as false is less than true.
type below struct{ x, y condition }

func (n *below) eval(b *block, t *truth) {
	u := b.truths.get()
	n.x.eval(b, t)
	n.y.eval(b, u)
	for i := range t.yes {
		yes, no := t.yes[i], t.no[i]
		t.yes[i] = no & u.yes[i]
		t.no[i] = (yes | no) & (u.yes[i] | u.no[i]) &^ t.yes[i]
	}
	b.truths.put(u)
}

func (n *below) outcomes(s Statistics) outcomes {
	x, y := n.x.outcomes(s), n.y.outcomes(s)
	return outcomes{yes: x.no && y.yes, no: x.yes && (y.yes || y.no) || x.no && y.no, null: x.null || y.null}
}

// choice is what yes is where the condition is true, and what no is where it is false. Where the condition is null, so is the choice.
type choice struct{ test, yes, no condition }

func (n *choice) eval(b *block, t *truth) {
	yes, no := b.truths.get(), b.truths.get()
	n.test.eval(b, t)
	n.yes.eval(b, yes)
	n.no.eval(b, no)
	for i := range t.yes {
		first, second := t.yes[i], t.no[i]
		t.yes[i] = first&yes.yes[i] | second&no.yes[i]
		t.no[i] = first&yes.no[i] | second&no.no[i]
	}
	b.truths.put(yes)
	b.truths.put(no)
}

func (n *choice) outcomes(s Statistics) outcomes {
	test := n.test.outcomes(s)
	var o outcomes
	if test.yes {
		o = o.either(n.yes.outcomes(s))
	}
	if test.no {
		o = o.either(n.no.outcomes(s))
	}
	o.null = o.null || test.null
	return o
}

// choiceOf is choice for values.
type choiceOf[T any] struct {
	test    condition
	yes, no values[T]
	compare func(a, b T) int
}

func (n *choiceOf[T]) eval(b *block, v *vector[T]) {
	pool := vectors[T](b)
	test, yes, no := b.truths.get(), pool.get(), pool.get()
	n.test.eval(b, test)
	n.yes.eval(b, yes)
	n.no.eval(b, no)
	out := v.space(b.n)
	test.yes.and(&yes.valid)
	test.no.and(&no.valid)
	test.yes.each(func(i int) bool { out[i] = yes.values[i]; return true })
	test.no.each(func(i int) bool { out[i] = no.values[i]; return true })
	for i := range v.valid {
		v.valid[i] = test.yes[i] | test.no[i]
	}
	b.truths.put(test)
	pool.put(yes)
	pool.put(no)
}

func (n *choiceOf[T]) bounds(s Statistics) bounds[T] {
	test := n.test.outcomes(s)
	var out bounds[T]
	switch {
	case test.yes && test.no:
		out = either(n.yes.bounds(s), n.no.bounds(s), n.compare)
	case test.yes:
		out = n.yes.bounds(s)
	case test.no:
		out = n.no.bounds(s)
	}
	out.null = out.null || test.null
	return out
}
