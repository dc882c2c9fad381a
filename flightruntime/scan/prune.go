package scan

import (
	"github.com/flight-operator/flight-operator/flightruntime/format"
)

// Statistics are what a row group tells of its columns without being read.
type Statistics = format.Statistics

// ColumnStatistics are what is known of the values of one column in one row group.
type ColumnStatistics = format.ColumnStatistics

// outcomes are the values that a condition may have in a row group. What is not possible is certain not to occur; what is possible need not
// occur.
type outcomes struct{ yes, no, null bool }

var anyOutcome = outcomes{yes: true, no: true, null: true}

func (o outcomes) not() outcomes { return outcomes{yes: o.no, no: o.yes, null: o.null} }

func (o outcomes) and(p outcomes) outcomes {
	return outcomes{
		yes:  o.yes && p.yes,
		no:   o.no || p.no,
		null: o.null && (p.yes || p.null) || p.null && (o.yes || o.null),
	}
}

func (o outcomes) or(p outcomes) outcomes { return o.not().and(p.not()).not() }

// either is what is possible if one of both holds for each row.
func (o outcomes) either(p outcomes) outcomes {
	return outcomes{yes: o.yes || p.yes, no: o.no || p.no, null: o.null || p.null}
}

// bounds are what is known of the values of an expression in a row group.
type bounds[T any] struct {
	// low and high hold only where hasLow and hasHigh say so.
	low, high       T
	hasLow, hasHigh bool
	// null says that some row may be null, filled that some row may not be.
	null, filled bool
	// nan says that some value may be NaN, which is outside of the bounds.
	nan bool
}

// unbounded is what is known of values of which nothing is.
func unbounded[T any]() bounds[T] { return bounds[T]{null: true, filled: true, nan: true} }

// only is what is known of a constant.
func only[T any](c T) bounds[T] {
	return bounds[T]{low: c, high: c, hasLow: true, hasHigh: true, filled: true}
}

// either is what holds of values that are taken from one of both.
func either[T any](a, b bounds[T], compare func(a, b T) int) bounds[T] {
	if !a.filled || !b.filled {
		if !a.filled {
			a, b = b, a
		}
		a.null = a.null || b.null
		return a
	}
	out := bounds[T]{null: a.null || b.null, filled: true, nan: a.nan || b.nan, hasLow: a.hasLow && b.hasLow, hasHigh: a.hasHigh && b.hasHigh}
	if out.hasLow {
		if out.low = a.low; compare(b.low, a.low) < 0 {
			out.low = b.low
		}
	}
	if out.hasHigh {
		if out.high = a.high; compare(b.high, a.high) > 0 {
			out.high = b.high
		}
	}
	return out
}

// with is what an expression comes to that is o for values, and null for null.
func (b bounds[T]) with(o outcomes) outcomes {
	if !b.filled {
		return outcomes{null: true}
	}
	o.null = o.null || b.null
	return o
}

// against is what may come of comparing values with c.
func (b bounds[T]) against(op operator, c T, compare func(a, b T) int) outcomes {
	low, high := -1, 1 // how the bounds compare with c; unknown ones are as far away as can be
	if b.hasLow {
		low = compare(b.low, c)
	}
	if b.hasHigh {
		high = compare(b.high, c)
	}
	var o outcomes
	switch op {
	case equal:
		o.yes, o.no = low <= 0 && high >= 0, !b.hasLow || !b.hasHigh || low != 0 || high != 0
	case less:
		o.yes, o.no = low < 0, high >= 0
	case lessEqual:
		o.yes, o.no = low <= 0, high > 0
	case greater:
		o.yes, o.no = high > 0, low <= 0
	case greaterEqual:
		o.yes, o.no = high >= 0, low < 0
	}
	o.no = o.no || b.nan
	return b.with(o)
}

// versus is what may come of comparing values with others.
func (b bounds[T]) versus(op operator, c bounds[T], compare func(a, b T) int) outcomes {
	if !b.filled || !c.filled {
		return outcomes{null: true}
	}
	// Whether some value on the left may be less than one on the right, and greater.
	mayLess := !b.hasLow || !c.hasHigh || compare(b.low, c.high) < 0
	mayGreater := !b.hasHigh || !c.hasLow || compare(b.high, c.low) > 0
	// Equal if the ranges have a value in common.
	mayEqual := (!b.hasLow || !c.hasHigh || compare(b.low, c.high) <= 0) && (!b.hasHigh || !c.hasLow || compare(b.high, c.low) >= 0)
	var o outcomes
	switch op {
	case equal:
		o.yes, o.no = mayEqual, mayLess || mayGreater
	case less:
		o.yes, o.no = mayLess, mayEqual || mayGreater
	case lessEqual:
		o.yes, o.no = mayLess || mayEqual, mayGreater
	case greater:
		o.yes, o.no = mayGreater, mayEqual || mayLess
	case greaterEqual:
		o.yes, o.no = mayGreater || mayEqual, mayLess
	}
	o.no = o.no || b.nan || c.nan
	o.null = b.null || c.null
	return o
}
