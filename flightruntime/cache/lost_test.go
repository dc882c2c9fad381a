package cache

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// cut takes the bytes of a part's file away, as a disk does that fails.
func cut(t *testing.T, dir string, src Source) {
	t.Helper()
	if err := os.Truncate(filepath.Join(dir, partName(src.Key)), 100); err != nil {
		t.Fatal(err)
	}
}

// A read that finds the disk failing ends with an error; the next one does not find the part.
func TestAPartThatCannotBeReadAnyMoreIsLetGoOf(t *testing.T) {
	src := numbers("numbers", 1<<18)
	for how, read := range map[string]func(l *Lease, p *Part) error{
		"messages": func(_ *Lease, p *Part) error {
			for _, err := range p.Messages(everyUnit) {
				if err != nil {
					return err
				}
			}
			return nil
		},
		"batches": func(_ *Lease, p *Part) error {
			for _, err := range p.Batches(everyUnit, []int{0}, src.Schema) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			c := onDisk(t, dir, ample)
			fill(t, c, src)
			l, p := lent(t, c, src)
			if err := read(l, p); err != nil {
				t.Fatal(err)
			}
			cut(t, dir, src)
			var lost *LostError
			for range 2 {
				if err := read(l, p); !errors.As(err, &lost) {
					t.Errorf("the error is %v, want a LostError", err)
				}
			}
			l.Release()
			wantThere(t, c, false, src)
			if s := c.Stats(); s.Failures != 1 {
				t.Errorf("%+v", s)
			}
			fill(t, c, src)
			wantPart(t, c, src, collect(src))
			checkNothingHeld(t, c)
		})
	}
}

// Pages may go between the moment when they were fetched and that when they are looked at.
func TestAPartIsLostWhileItIsLookedAt(t *testing.T) {
	dir := t.TempDir()
	c := onDisk(t, dir, ample)
	src := numbers("numbers", 1<<18)
	fill(t, c, src)
	l, p := lent(t, c, src)
	sum := func(b arrow.RecordBatch) (n int64) {
		for _, v := range b.Column(0).(*array.Int64).Int64Values() {
			n += v
		}
		return n
	}
	func() {
		defer func() {
			if _, ok := recover().(runtime.Error); !ok {
				t.Error("what is gone could be read")
			}
		}()
		for b := range p.Batches(everyUnit, []int{0}, src.Schema) {
			cut(t, dir, src)
			t.Error(sum(b))
		}
	}()
	l.Release()
	wantThere(t, c, false, src)
	checkNothingHeld(t, c)
}

// A file that is there and cannot be read makes way for one that can.
func TestAFileThatCannotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root can read every file")
	}
	dir := t.TempDir()
	src := numbers("numbers", 1000)
	first := onDisk(t, dir, ample)
	fill(t, first, src)
	first.Close()
	if err := os.Chmod(filepath.Join(dir, partName(src.Key)), 0); err != nil {
		t.Fatal(err)
	}
	c := onDisk(t, dir, ample)
	fill(t, c, src)
	wantPart(t, c, src, collect(src))
}
