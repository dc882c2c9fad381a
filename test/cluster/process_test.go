package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const after = " S 17 1 1 0 -1 4194560 1 0 0 0 2 3 0 0 20 0 1 0 98765 1000 20"
	for _, test := range []struct {
		name, line string
		want       procStat
		fails      bool
	}{
		{name: "plain", line: "42 (etcd)" + after, want: procStat{'S', 17, 98765}},
		{name: "blanks and parentheses in the command", line: "42 (a) Z (b c)" + after, want: procStat{'S', 17, 98765}},
		{name: "ended", line: "42 (etcd)" + strings.Replace(after, " S ", " Z ", 1), want: procStat{'Z', 17, 98765}},
		{name: "cut off", line: "42 (etcd) S 17 1", fails: true},
		{name: "no command", line: "42", fails: true},
		{name: "empty", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat(test.line)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("got %+v and error %v, want %+v", got, err, test.want)
			}
		})
	}
}

// sleeper starts a process that ends by itself only after the test.
func sleeper(t *testing.T) (*exec.Cmd, process) {
	t.Helper()
	command := exec.Command("sleep", "600")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	p, err := identify(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return command, p
}

func TestKillSparesAnotherProcessOfThatNumber(t *testing.T) {
	_, p := sleeper(t)
	earlier := process{PID: p.PID, Start: p.Start - 1}
	if earlier.alive() {
		t.Error("a process that started at another time is taken for the same")
	}
	if err := earlier.kill(); err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Error("the process that has the number now was killed")
	}
}

func TestKill(t *testing.T) {
	command, p := sleeper(t)
	if !p.alive() {
		t.Fatal("a process that runs is not alive")
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	if p.alive() {
		t.Error("still alive")
	}
	if err := p.kill(); err != nil {
		t.Errorf("killing it again: %v", err)
	}
}

func TestEndedButNotReapedIsNotAlive(t *testing.T) {
	output, input, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("cat")
	command.Stdin = output
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer command.Wait()
	p, err := identify(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	input.Close()
	output.Close()
	// cat has closed its output when it exits, just before it becomes a zombie.
	if _, err := stdout.Read(make([]byte, 1)); err == nil {
		t.Fatal("cat said something")
	}
	err = poll(t.Context(), startLimit, func() (bool, error) { return !p.alive(), nil })
	if err != nil {
		t.Errorf("an ended process that nobody waited for: %v", err)
	}
}

func TestAncestryGoesFromThisProcessToTheFirst(t *testing.T) {
	pids := ancestry()
	if pids[0] != os.Getpid() || !slices.Contains(pids, os.Getppid()) {
		t.Errorf("got %v, want %d, then %d, then further ones", pids, os.Getpid(), os.Getppid())
	}
}

func TestProcessesInWhatIsNoNamespace(t *testing.T) {
	file := t.TempDir() + "/left-over"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "-absent"} {
		if found, err := processesIn(path); len(found) > 0 || err != nil {
			t.Errorf("%s: got %v and error %v, want nothing", path, found, err)
		}
	}
}

func TestProcessesInOwnNamespace(t *testing.T) {
	_, p := sleeper(t)
	found, err := processesIn("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found, p) {
		t.Errorf("a child of this process is not among the processes of its network namespace: %v", found)
	}
}
