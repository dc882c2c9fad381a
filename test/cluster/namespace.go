package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// enterNetwork moves the calling thread, not the whole process, into the network namespace at path. The thread must
// be locked to its goroutine.
func enterNetwork(path string) error {
	namespace, err := os.Open(path)
	if err != nil {
		return err
	}
	defer namespace.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering network namespace %s: %w", path, err)
	}
	return nil
}

// onOwnThread runs f on a thread that ends with it, so that namespaces which f enters leak into no other code.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the runtime ends such a thread with its goroutine
		done <- f()
	}()
	return <-done
}

// dialIn returns a dial function for the network namespace at path. A socket belongs to the namespace of the thread
// that makes it, wherever it is used. Addresses must be numeric: no resolver is asked on this thread.
func dialIn(path string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = onOwnThread(func() error {
			if err := enterNetwork(path); err != nil {
				return err
			}
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// A node is the inside of the cluster's namespaces: a thread of this process that has entered them, which daemons are
// started from. The network namespace has a name and stays until it is deleted. The mount namespace has none: it goes,
// and all mounts in it, with the last process in it.
type node struct {
	work chan func()
}

// newNode makes the mount namespace and enters both. prepare runs inside of them before anything else does.
func newNode(netns string, prepare func() error) (*node, error) {
	n := &node{work: make(chan func())}
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked, as above
		err := enterNode(netns, prepare)
		ready <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	}()
	return n, <-ready
}

func enterNode(netns string, prepare func() error) error {
	if err := enterNetwork(netns); err != nil {
		return err
	}
	// Threads share their working folder and root, and such a thread may not enter a mount namespace.
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("making a mount namespace: %w", err)
	}
	// No mount made inside may be seen outside; inside, the containers' own namespaces may see it.
	for _, propagation := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("setting mount propagation: %w", err)
		}
	}
	return prepare()
}

// do runs f inside of the node.
func (n *node) do(f func() error) error {
	done := make(chan error, 1)
	n.work <- func() { done <- f() }
	return <-done
}

// close leaves the namespaces. Processes that were started in them stay.
func (n *node) close() { close(n.work) }

// A binding shows a folder of the cluster at a path of the node, in the node's mount namespace only.
type binding struct{ folder, path string }

// hostPaths are the fixed paths that the node's programs write to. Each cluster has its own
// of each, and the machine's are not touched.
func (c cluster) hostPaths() []binding {
	return []binding{
		{c.path("kubelet"), "/var/lib/kubelet"},
		{c.path("cni-cache"), "/var/lib/cni"},
		{c.path("run"), "/run/containerd"},
		{c.path("pod-logs"), "/var/log/pods"},
		{c.path("container-logs"), "/var/log/containers"},
		{c.path("run-mount"), "/run/mount"}, // where mount(8), which the kubelet calls, keeps its books
	}
}

// kernelSettings are the settings of the whole machine that a kubelet insists on (it writes what differs). A file with
// the value that it looks for takes the place of each in the node's mount namespace, so that the machine keeps its own.
var kernelSettings = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// mountNode makes the node's own view of the file system. It runs inside of the node.
func (c cluster) mountNode() error {
	for _, b := range c.hostPaths() {
		if err := bind(b.folder, b.path); err != nil {
			return err
		}
	}
	for setting, value := range kernelSettings {
		file := c.path("sysctl", strings.ReplaceAll(setting, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := bind(file, filepath.Join("/proc/sys", setting)); err != nil {
			return err
		}
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", from, to, err)
	}
	return nil
}

// makeHostPaths makes the folders that the node's own are mounted at; outside of nodes they stay empty.
func (c cluster) makeHostPaths() error {
	for _, b := range c.hostPaths() {
		for _, dir := range []string{b.folder, b.path} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(c.path("sysctl"), 0o755)
}

// removeHostPaths removes those that are empty: no other program has a use for them, and each makes its own.
// It must not run while another cluster is up: removing a folder takes away what is mounted at it in any namespace.
func (c cluster) removeHostPaths() {
	for _, b := range c.hostPaths() {
		_ = unix.Rmdir(b.path) // fails if it is not empty or not there
	}
}

// run runs a command to its end and returns an error that has the end of what it said.
func run(command *exec.Cmd) error {
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, lastLines(string(out), maxComplaints))
	}
	return nil
}
