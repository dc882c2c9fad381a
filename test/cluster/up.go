package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit is how long any one step of the start may take: a few seconds do on an idle machine.
const startLimit = 2 * time.Minute

// up brings the cluster up from whatever it is in: nothing is done to one that runs, and what a crash left is removed
// first. bins are the folders of the parts' programs. If it fails or is interrupted, nothing stays.
func (c cluster) up(ctx context.Context, home string, bins map[string]string) error {
	if err := provide(ctx, runtimeNeeds); err != nil {
		return err
	}
	unlock, err := lockFolder(ctx, home, "starting or stopping a cluster")
	if err != nil {
		return err
	}
	defer unlock()
	if s, err := c.running(); err == nil {
		return c.stayUp(ctx, s, bins)
	}
	stale, err := c.leftovers()
	if err != nil {
		return err
	}
	if len(stale) > 0 {
		progress("removing what an earlier cluster %q left", c.name)
		if err := c.down(ctx, home); err != nil {
			return err
		}
	}
	start := time.Now()
	progress("starting cluster %q", c.name)
	if err := c.start(ctx, bins); err != nil {
		// The interrupt that ended the start does not end the clean-up.
		if cleanup := c.down(context.WithoutCancel(ctx), home); cleanup != nil {
			return errors.Join(err, fmt.Errorf("cleaning up: %w", cleanup))
		}
		return err
	}
	progress("cluster %q is up after %.1f s", c.name, time.Since(start).Seconds())
	return nil
}

// stayUp does the little that is of use to a cluster that is up already.
func (c cluster) stayUp(ctx context.Context, s state, bins map[string]string) error {
	api, err := c.api()
	if err != nil {
		return err
	}
	if err := c.awaitAPI(ctx, api, nil); err != nil {
		return fmt.Errorf("cluster %q runs, but its API server does not get ready: %w", c.name, err)
	}
	recycled, err := c.recycleVolumes(ctx, api)
	if err != nil {
		return err
	}
	progress("cluster %q is up already", c.name)
	if recycled > 0 {
		progress("%d released volumes can be claimed again", recycled)
	}
	if bins[certManagerPart] != "" && s.Bins[certManagerPart] == "" {
		progress("it gets cert-manager")
		l := launch{cluster: c, api: api, bins: bins, state: s}
		if err := l.addCertManager(ctx); err != nil {
			return err
		}
	}
	for part, bin := range s.Bins {
		switch bins[part] {
		case bin:
		case "":
			progress("it has %s; \"cluster down\" before would give one without", part)
		default:
			progress("it runs an older build of %s; \"cluster down\" and \"cluster up\" would start the current one", part)
		}
	}
	return nil
}

// api returns a client of the cluster's API server with the credentials that the cluster keeps.
func (c cluster) api() (apiClient, error) {
	var files [3][]byte
	for i, name := range []string{"ca.crt", "admin.crt", "admin.key"} {
		var err error
		if files[i], err = os.ReadFile(c.path("pki", name)); err != nil {
			return apiClient{}, err
		}
	}
	return newAPIClient(c.netnsPath(), files[0], pair{certificate: files[1], key: files[2]})
}

// start starts a cluster where there is nothing.
func (c cluster) start(ctx context.Context, bins map[string]string) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	// Before anything else, so that whatever happens is found to be stale.
	s := state{Boot: boot, Bins: bins, Daemons: make(map[string]process)}
	if err := s.save(c.stateFile()); err != nil {
		return err
	}
	api, err := c.prepare(ctx, bins)
	if err != nil {
		return err
	}
	n, err := newNode(c.netnsPath(), c.mountNode)
	if err != nil {
		return err
	}
	defer n.close()
	if err := n.do(forwardPackets); err != nil {
		return err
	}
	l := launch{cluster: c, node: n, api: api, bins: bins, daemons: c.daemons(bins), state: s}
	return l.run(ctx)
}

// prepare makes all that the daemons need to find, and a client of the API server that will be there.
func (c cluster) prepare(ctx context.Context, bins map[string]string) (apiClient, error) {
	for _, dir := range []string{"logs", "config", "cni", "volume-plugins"} {
		if err := os.MkdirAll(c.path(dir), 0o755); err != nil {
			return apiClient{}, err
		}
	}
	pairs, err := c.credentials(time.Now())
	if err != nil {
		return apiClient{}, err
	}
	files, err := c.configure(bins[containersPart], pairs)
	if err != nil {
		return apiClient{}, err
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return apiClient{}, err
		}
	}
	if err := c.makeHostPaths(); err != nil {
		return apiClient{}, err
	}
	mounts, err := mountTable()
	if err != nil {
		return apiClient{}, err
	}
	for _, h := range hierarchies(mounts) {
		if err := h.create(c.cgroup()); err != nil {
			return apiClient{}, err
		}
	}
	if err := c.createNetwork(ctx); err != nil {
		return apiClient{}, err
	}
	return newAPIClient(c.netnsPath(), pairs["ca"].certificate, pairs["admin"])
}

// A launch is one start of a cluster.
type launch struct {
	cluster
	node    *node
	api     apiClient
	bins    map[string]string
	daemons map[string]daemon
	state   state
	running []*runningDaemon
}

// run starts the daemons, in the order in which they can use each other, and returns when pods can be created.
func (l *launch) run(ctx context.Context) error {
	if err := l.startDaemons("etcd", "kube-apiserver", "containerd"); err != nil {
		return err
	}
	if err := l.await(ctx, "containerd", l.containerdReady); err != nil {
		return err
	}
	if err := l.loadProgram(ctx, l.bins[containersPart], pauseImage, filepath.Join(l.bins[containersPart], "pause")); err != nil {
		return err
	}
	if err := l.loadCertManager(ctx); err != nil {
		return err
	}
	if err := l.awaitAPI(ctx, l.api, l.check); err != nil {
		return err
	}
	if err := l.startDaemons("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns"); err != nil {
		return err
	}
	if err := l.createStorage(ctx, l.api); err != nil {
		return err
	}
	if err := createDNS(ctx, l.api); err != nil {
		return err
	}
	if err := l.createCertManager(ctx); err != nil {
		return err
	}
	ready := func() (bool, error) { return l.api.nodeReady(ctx, l.nodeName()) }
	if err := l.await(ctx, "the node", ready); err != nil {
		return err
	}
	// No pod can be created in a namespace before its service account is there.
	account := func() (bool, error) { return l.api.exists(ctx, "/api/v1/namespaces/default/serviceaccounts/default") }
	if err := l.await(ctx, "the default service account", account); err != nil {
		return err
	}
	if err := l.await(ctx, "the DNS server", func() (bool, error) { return l.dnsReady(ctx), nil }); err != nil {
		return err
	}
	if err := l.awaitCertManager(ctx); err != nil {
		return err
	}
	l.state.Up = true
	return l.state.save(l.stateFile())
}

func (l *launch) startDaemons(names ...string) error {
	for _, name := range names {
		err := l.node.do(func() error {
			d, err := l.daemons[name].start(l.log(name), l.dir, l.bins)
			if err != nil {
				return err
			}
			l.running = append(l.running, d)
			l.state.Daemons[name] = d.process
			return nil
		})
		if err != nil {
			return err
		}
		if err := l.state.save(l.stateFile()); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error if a daemon that was started has ended.
func (l *launch) check() error {
	for _, d := range l.running {
		if err := d.check(); err != nil {
			return err
		}
	}
	return nil
}

// await waits for what is named, as long as every daemon runs.
func (l *launch) await(ctx context.Context, what string, done func() (bool, error)) error {
	stop := every(func() { progress("waiting for %s", what) })
	defer stop()
	err := poll(ctx, startLimit, func() (bool, error) {
		if err := l.check(); err != nil {
			return false, err
		}
		return done()
	})
	if errors.Is(err, errNotInTime) {
		return fmt.Errorf("%s was not ready within %s; the logs were in %s", what, startLimit, l.path("logs"))
	}
	return err
}

// awaitAPI waits until the API server accepts requests, or check fails.
func (c cluster) awaitAPI(ctx context.Context, api apiClient, check func() error) error {
	stop := every(func() { progress("waiting for the API server") })
	defer stop()
	return poll(ctx, startLimit, func() (bool, error) {
		if check != nil {
			if err := check(); err != nil {
				return false, err
			}
		}
		return api.ready(ctx), nil
	})
}

// containerdReady tells whether containerd's socket accepts connections.
func (l *launch) containerdReady() (bool, error) {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(socket)
	return unix.Connect(socket, &unix.SockaddrUnix{Name: l.containerdSocket()}) == nil, nil
}
