package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// progressInterval is the longest that a user waits without a sign of life.
const progressInterval = 10 * time.Second

// progress tells the user what happens. It goes to standard error: standard output carries results only.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...)
}

// buildLog reads what go build -v says: it counts what was downloaded and compiled, and keeps the end of all else,
// which is what the compiler and the linker complained of. It may be written to and read at the same time.
type buildLog struct {
	mu         sync.Mutex
	partial    string
	downloaded int
	compiled   int
	last       string
	complaints []string
}

// maxComplaints bounds the lines that are kept; the last ones of a failed build name its cause.
const maxComplaints = 40

// Write takes a piece of output, which may end in the middle of a line. It never fails.
func (l *buildLog) Write(piece []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(l.partial+string(piece), "\n")
	l.partial = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		l.add(line)
	}
	return len(piece), nil
}

func (l *buildLog) add(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		l.downloaded++
		l.last = strings.TrimPrefix(line, "go: downloading ")
	case isImportPath(line):
		l.compiled++
		l.last = line
	case line != "":
		l.complaints = append(l.complaints, line)
		if len(l.complaints) > maxComplaints {
			l.complaints = l.complaints[1:]
		}
	}
}

// isImportPath tells a package that go build -v names from a message: a message has spaces or colons.
func isImportPath(line string) bool {
	return line != "" && !strings.ContainsAny(line, " \t:")
}

// status says in one line how far the build is.
func (l *buildLog) status() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return "loading packages, or linking"
	}
	return fmt.Sprintf("%d modules downloaded, %d packages compiled, last %s", l.downloaded, l.compiled, l.last)
}

// tail is the end of what the build complained of, one line each.
func (l *buildLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.complaints
	if l.partial != "" {
		lines = append(lines[:len(lines):len(lines)], l.partial)
	}
	return strings.Join(lines, "\n")
}

// every calls report at each progressInterval until stop is called; stop returns after the last report.
func every(report func()) (stop func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				report()
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
