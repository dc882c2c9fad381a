package format

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// groupUnits are the row groups of a Parquet file.
func groupUnits(o source.Object, f *file.Reader) ([]Unit, error) {
	firsts, bytes := unitGroups(o, f)
	units := make([]Unit, len(firsts))
	for i := range units {
		from, to := group(firsts, i, len(bytes))
		for g := from; g < to; g++ {
			var err error
			if units[i].Rows, err = addRows(units[i].Rows, groupRows(f, g)); err != nil {
				return nil, err
			}
			units[i].Bytes += bytes[g]
		}
	}
	return units, nil
}

// unitGroups has each row group a unit of its own, as long as there are not very many.
func unitGroups(o source.Object, f *file.Reader) (firsts []int, bytes []int64) {
	bytes = make([]int64, f.NumRowGroups())
	for g, group := range f.MetaData().GetRowGroups() {
		for _, c := range group.GetColumns() {
			if bytes[g] += c.GetMetaData().GetTotalCompressedSize(); bytes[g] > o.Size() {
				bytes[g] = o.Size() // row groups that share their pages
			}
		}
	}
	if len(bytes) <= mostUnits {
		return upTo(len(bytes)), bytes
	}
	return grouped(bytes, 1), bytes
}

func groupRows(f *file.Reader, g int) int64 { return f.MetaData().GetRowGroups()[g].GetNumRows() }

// rowsOf counts rows by row groups, for these are what is read.
func rowsOf(units []Unit) (rows int64, err error) {
	for _, u := range units {
		if rows, err = addRows(rows, u.Rows); err != nil {
			return 0, err
		}
	}
	return rows, nil
}

// groupsOf are the row groups that a request asks for, of those that the file has.
func groupsOf(o source.Object, f *file.Reader, req *request) ([]int, error) {
	firsts, bytes := unitGroups(o, f)
	now, err := groupUnits(o, f)
	if err != nil {
		return nil, err
	}
	if rows, err := rowsOf(now); err != nil || rows != req.part.Rows {
		return nil, changed(o, fmt.Errorf("it has %d rows, it had %d", rows, req.part.Rows))
	}
	if len(now) != len(req.part.Units) {
		return nil, changed(o, errors.New("it has other row groups"))
	}
	var wanted []int
	for _, u := range req.units {
		if now[u] != req.part.Units[u] {
			return nil, changed(o, fmt.Errorf("row group %d is another", firsts[u]))
		}
		from, to := group(firsts, u, len(bytes))
		for g := from; g < to; g++ {
			wanted = append(wanted, g)
		}
	}
	return wanted, nil
}
