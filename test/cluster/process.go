package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is one process for ever: the kernel gives its number to another one some day, but never with the same
// start time (until the machine boots again, which the state file takes note of).
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after the machine booted
}

// identify finds the identity of the process that has the number now.
func identify(pid int) (process, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return process{}, err
	}
	parsed, err := parseStat(string(stat))
	if err != nil {
		return process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return process{PID: pid, Start: parsed.start}, nil
}

// alive tells whether the process still runs. One that has ended but was not reaped does not.
func (p process) alive() bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "stat"))
	if err != nil {
		return false
	}
	parsed, err := parseStat(string(stat))
	return err == nil && parsed.start == p.Start && !parsed.ended()
}

// kill ends the process if it still runs. The file descriptor pins the process, so that between looking at its
// identity and sending the signal its number cannot pass to another one.
func (p process) kill() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", p.PID, err)
	}
	return nil
}

// procStat is what matters here of /proc/PID/stat.
type procStat struct {
	state  byte
	parent int
	start  uint64
}

func (s procStat) ended() bool { return s.state == 'Z' || s.state == 'X' }

// parseStat reads a line of /proc/PID/stat. Its second field, the command in parentheses, may contain anything, further
// parentheses and spaces too; none of the others do.
func parseStat(line string) (procStat, error) {
	const (
		stateField  = 3 // as proc(5) numbers them
		parentField = 4
		startField  = 22
	)
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("no command in %q", line)
	}
	fields := strings.Fields(line[end+1:]) // from the third on
	if len(fields) <= startField-stateField {
		return procStat{}, fmt.Errorf("%d fields after the command in %q, want %d or more", len(fields), line, startField-stateField+1)
	}
	parent, err := strconv.Atoi(fields[parentField-stateField])
	if err != nil {
		return procStat{}, fmt.Errorf("parent: %w", err)
	}
	start, err := strconv.ParseUint(fields[startField-stateField], 10, 64)
	if err != nil {
		return procStat{}, fmt.Errorf("start time: %w", err)
	}
	return procStat{state: fields[0][0], parent: parent, start: start}, nil
}

// processesIn lists the processes whose network namespace is the one at path, a file below /run/netns. It is empty if
// no namespace is there.
func processesIn(path string) ([]process, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	// A plain file is left over from a namespace that a reboot took away. Its inode number is of another file system
	// and could equal that of some namespace.
	if fs.Type != unix.NSFS_MAGIC {
		return nil, nil
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", path, err)
	}
	want := fmt.Sprintf("net:[%d]", stat.Ino)
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, link := range links {
		// Processes come and go: one that is gone is none of ours.
		if namespace, err := os.Readlink(link); err != nil || namespace != want {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err != nil {
			continue
		}
		if p, err := identify(pid); err == nil {
			found = append(found, p)
		}
	}
	return found, nil
}

// ancestry lists the numbers of this process and of all that it descends from.
func ancestry() []int {
	var pids []int
	for pid := os.Getpid(); pid > 0; {
		pids = append(pids, pid)
		stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			break
		}
		parsed, err := parseStat(string(stat))
		if err != nil {
			break
		}
		pid = parsed.parent
	}
	return pids
}
