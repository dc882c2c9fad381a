package main

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
	}
}

func TestReplace(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	write(t, filepath.Join(from, "flights.arrow"), "flights")
	write(t, filepath.Join(from, "birdstrikes", "1.parquet"), "one")
	write(t, filepath.Join(to, "lost+found", "inode"), "not ours") // a fresh ext4 volume has it
	write(t, filepath.Join(to, "flights.arrow"), "an older version, and longer")
	write(t, filepath.Join(to, "birdstrikes", "2.parquet"), "a file of an older version")

	for range 2 { // a Job that is run again copies again
		if err := replace(to, from); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, filepath.Join(to, "flights.arrow"), "flights")
	wantFile(t, filepath.Join(to, "birdstrikes", "1.parquet"), "one")
	wantFile(t, filepath.Join(to, "lost+found", "inode"), "not ours")
	if _, err := os.Stat(filepath.Join(to, "birdstrikes", "2.parquet")); !os.IsNotExist(err) {
		t.Errorf("a file of an older version is part of the glob still: %v", err)
	}
}

func TestReplaceKeepsWithinItsFolder(t *testing.T) {
	from, to, outside := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, "1.parquet"), "somebody else's")
	write(t, filepath.Join(from, "birdstrikes", "1.parquet"), "one")
	if err := os.Symlink(outside, filepath.Join(to, "birdstrikes")); err != nil {
		t.Fatal(err)
	}
	if err := replace(to, from); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(outside, "1.parquet"), "somebody else's")
	wantFile(t, filepath.Join(to, "birdstrikes", "1.parquet"), "one")
}

func TestReplaceTellsWhatIsMissing(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if err := replace(t.TempDir(), missing); !os.IsNotExist(err) {
		t.Errorf("from a folder that does not exist: %v", err)
	}
	if err := replace(missing, t.TempDir()); !os.IsNotExist(err) {
		t.Errorf("to a folder that does not exist: %v", err)
	}
}
