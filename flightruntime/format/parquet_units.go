package format

import (
	"errors"
	"fmt"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// divide makes units of the row groups: of each one, as long as there are not very many. Rows are counted by row groups, for these are what is read.
func (f *footer) divide(o source.Object) (err error) {
	bytes := make([]int64, f.meta.NumRowGroups())
	for g, group := range f.meta.GetRowGroups() {
		for _, c := range group.GetColumns() {
			if bytes[g] += c.GetMetaData().GetTotalCompressedSize(); bytes[g] > o.Size() {
				bytes[g] = o.Size() // row groups that share their pages
			}
		}
	}
	f.firsts = upTo(len(bytes))
	if len(bytes) > mostUnits {
		f.firsts = grouped(bytes, 1)
	}
	f.units = make([]Unit, len(f.firsts))
	for i := range f.units {
		u := &f.units[i]
		from, to := f.groups(i)
		for g := from; g < to; g++ {
			if u.Rows, err = addRows(u.Rows, f.groupRows(g)); err != nil {
				return err
			}
			u.Bytes += bytes[g]
		}
		if f.rows, err = addRows(f.rows, u.Rows); err != nil {
			return err
		}
	}
	return nil
}

// groups are the row groups of a unit.
func (f *footer) groups(unit int) (from, to int) { return group(f.firsts, unit, f.meta.NumRowGroups()) }

// groupsOf are the row groups that a request asks for, of those that the file has.
func (f *footer) groupsOf(req *request) ([]int, error) {
	o := req.part.Object
	if f.rows != req.part.Rows {
		return nil, changed(o, fmt.Errorf("it has %d rows, it had %d", f.rows, req.part.Rows))
	}
	if len(f.units) != len(req.part.Units) {
		return nil, changed(o, errors.New("it has other row groups"))
	}
	var wanted []int
	for _, u := range req.units {
		from, to := f.groups(u)
		if f.units[u] != req.part.Units[u] {
			return nil, changed(o, fmt.Errorf("row group %d is another", from))
		}
		for g := from; g < to; g++ {
			wanted = append(wanted, g)
		}
	}
	return wanted, nil
}
