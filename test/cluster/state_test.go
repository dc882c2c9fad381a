package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestStateIsReadAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if _, err := loadState(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before it was saved: error %v, want that it does not exist", err)
	}
	want := state{
		Boot:    "boot",
		Bins:    map[string]string{"kubernetes": "/bins/kubernetes"},
		Daemons: map[string]process{"etcd": {PID: 7, Start: 9}},
		Up:      true,
	}
	if err := want.save(path); err != nil {
		t.Fatal(err)
	}
	got, err := loadState(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v and error %v, want %+v", got, err, want)
	}
}

func TestRunning(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	_, alive := sleeper(t)
	dead := process{PID: alive.PID, Start: alive.Start - 1}
	for _, test := range []struct {
		name  string
		state *state
		fails string // part of the error
	}{
		{name: "never started", fails: "not up"},
		{name: "up", state: &state{Boot: boot, Up: true, Daemons: map[string]process{"etcd": alive}}},
		{name: "its start was killed", state: &state{Boot: boot, Daemons: map[string]process{"etcd": alive}}, fails: "not up"},
		{name: "a daemon died", state: &state{Boot: boot, Up: true, Daemons: map[string]process{"etcd": dead}}, fails: "etcd ended"},
		{name: "the machine booted", state: &state{Boot: "earlier", Up: true, Daemons: map[string]process{"etcd": alive}}, fails: "not up"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cluster{name: "test", dir: t.TempDir()}
			if test.state != nil {
				if err := test.state.save(c.stateFile()); err != nil {
					t.Fatal(err)
				}
			}
			_, err := c.running()
			if test.fails == "" && err != nil || test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
				t.Errorf("error %v, want %q", err, test.fails)
			}
		})
	}
}

func TestLockFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	unlock, err := lockFolder(t.Context(), dir, "testing")
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockFolder(impatient, dir, "testing"); !errors.Is(err, context.Canceled) {
		t.Errorf("taking a lock that is taken: error %v, want that the wait was cancelled", err)
	}
	unlock()
	again, err := lockFolder(impatient, dir, "testing")
	if err != nil {
		t.Fatalf("taking a lock that was given back: %v", err)
	}
	again()
}

func TestProvideSaysWhatIsMissing(t *testing.T) {
	absent := need{what: "a frobnicator", debian: "libfrob-dev", present: func() bool { return false }}
	there := need{what: "a shell", debian: "dash", present: func() bool { return true }}
	if err := provide(t.Context(), []need{there}); err != nil {
		t.Errorf("nothing is missing: %v", err)
	}
	t.Setenv("PATH", t.TempDir()) // no apt-get
	err := provide(t.Context(), []need{there, absent})
	if err == nil || !strings.Contains(err.Error(), absent.what) || !strings.Contains(err.Error(), absent.debian) ||
		strings.Contains(err.Error(), there.what) {
		t.Errorf("got %v, want what is missing and the package that has it", err)
	}
}

func TestEmptyFolder(t *testing.T) {
	dir := writeTree(t, map[string]string{"file": "", ".hidden": "", "a/b/c": ""})
	if err := emptyFolder(dir); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left over: %v, error %v", entries, err)
	}
}
