package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Addresses of every cluster. Clusters cannot collide: each has them in its own network namespace.
const (
	nodeAddress   = "172.31.255.1"
	serviceSubnet = "10.96.0.0/16"
	podSubnet     = "10.244.0.0/16"
	nodePodSubnet = "10.244.0.0/24" // of the only node
	apiServiceIP  = "10.96.0.1"     // the first one of the service subnet, by definition
	dnsServiceIP  = "10.96.0.10"
	clusterDomain = "cluster.local"
	apiServerPort = "6443"
	etcdAddress   = "127.0.0.1:2379"
	etcdPeer      = "127.0.0.1:2380"
	apiServerURL  = "https://" + nodeAddress + ":" + apiServerPort
)

// createNetwork makes the node's network namespace and interfaces. The node's address is on a pair of virtual
// interfaces that both stay inside: nothing leaves the machine or reaches it. The default route makes the addresses of
// Services routable, which the kernel demands before kube-proxy's rules can redirect them.
func (c cluster) createNetwork(ctx context.Context) error {
	if err := createNamespace(c.netnsPath()); err != nil {
		return err
	}
	batch := exec.CommandContext(ctx, "ip", "-netns", c.netns(), "-batch", "-")
	batch.Stdin = strings.NewReader(strings.Join([]string{
		"link set lo up",
		"link add node0 type veth peer name node0-peer",
		"link set node0-peer up",
		"address add " + nodeAddress + "/24 dev node0",
		"link set node0 up",
		"route add default via " + nodeAddress + " dev node0",
	}, "\n"))
	return run(batch)
}

// createNamespace makes a network namespace and holds it at path, where ip netns and nsenter find it. (ip netns add
// does so too, but leaves a mount at /run/netns for ever.)
func createNamespace(path string) error {
	if err := os.MkdirAll(namespaces, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0)
	if err != nil {
		return err
	}
	file.Close()
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		return bind("/proc/thread-self/ns/net", path)
	})
}

// forwardPackets lets the kernel route between pods. It runs inside of the node: the setting is the namespace's.
func forwardPackets() error {
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}

// deleteNetwork removes the network namespace, and with it its interfaces, routes and packet filters. It removes the
// file too that a reboot leaves of a namespace where /run is on disk.
func (c cluster) deleteNetwork() error {
	path := c.netnsPath()
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_ = unix.Rmdir(namespaces) // fails unless this was the last one
	return nil
}
