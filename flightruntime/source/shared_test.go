package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What somebody has open can be opened by others when its file is gone, until the last of them has closed it.
func TestASharedObjectOutlivesItsFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.csv")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	objects, err := NewFiles(dir, "a.csv").List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := NewShared(objects[0])
	if o.Name() != "a.csv" || o.Size() != 3 || o.Version() != objects[0].Version() {
		t.Errorf("it is %s of %d bytes in version %s", o.Name(), o.Size(), o.Version())
	}
	first, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // closing once more closes nobody else's
		if err := first.Close(); err != nil {
			t.Error(err)
		}
	}
	b := make([]byte, 3)
	if _, err := second.ReadAt(b, 0); err != nil || string(b) != "old" {
		t.Errorf("the second reader reads %q, %v", b, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := o.Open(t.Context()); !errors.Is(err, ErrChanged) {
		t.Errorf("opened again: %v, want that it has changed", err)
	}
}

func TestASharedObjectIsOpenedOnce(t *testing.T) {
	opened := &counted{}
	o := NewShared(opened)
	for range 2 {
		var readers []Reader
		for range 3 {
			r, err := o.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, r)
		}
		var wg sync.WaitGroup
		for _, r := range readers {
			wg.Go(func() { _ = r.Close() })
		}
		wg.Wait()
	}
	if opened.opened != 2 || opened.closed != 2 {
		t.Errorf("opened %d times and closed %d times, want 2 and 2", opened.opened, opened.closed)
	}
}

// counted is an object that counts how often it is opened and closed.
type counted struct {
	Object
	opened, closed int
}

func (c *counted) Open(context.Context) (Reader, error) {
	c.opened++
	return &countedReader{c: c}, nil
}

type countedReader struct {
	Reader
	c *counted
}

func (r *countedReader) Close() error {
	r.c.closed++
	return nil
}
