package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A daemon is a program of the node that runs as long as the cluster does.
type daemon struct {
	name    string // also of its log file
	program string // its path
	args    []string
}

// daemons lists the cluster's daemons by name; bins are the folders of the parts' programs.
func (c cluster) daemons(bins map[string]string) map[string]daemon {
	pki := func(file string) string { return c.path("pki", file) }
	config := func(file string) string { return c.path("config", file) }
	list := []daemon{
		{"etcd", kubernetesPart, []string{
			"--data-dir=" + c.path("etcd"),
			"--listen-client-urls=http://" + etcdAddress,
			"--advertise-client-urls=http://" + etcdAddress,
			"--listen-peer-urls=http://" + etcdPeer,
			"--unsafe-no-fsync", // the cluster does not outlive a crash of the machine
		}},
		{"kube-apiserver", kubernetesPart, []string{
			"--etcd-servers=http://" + etcdAddress,
			"--advertise-address=" + nodeAddress,
			"--secure-port=" + apiServerPort,
			"--service-cluster-ip-range=" + serviceSubnet,
			"--tls-cert-file=" + pki("kube-apiserver.crt"),
			"--tls-private-key-file=" + pki("kube-apiserver.key"),
			"--client-ca-file=" + pki("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc." + clusterDomain,
			"--service-account-key-file=" + pki("service-accounts.pub"),
			"--service-account-signing-key-file=" + pki("service-accounts.key"),
			"--authorization-mode=Node,RBAC",
			"--allow-privileged",
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority=" + pki("ca.crt"),
			"--kubelet-client-certificate=" + pki("kubelet-client.crt"),
			"--kubelet-client-key=" + pki("kubelet-client.key"),
		}},
		{"kube-controller-manager", kubernetesPart, []string{
			"--kubeconfig=" + c.kubeconfigOf("kube-controller-manager"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--use-service-account-credentials",
			// Every controller gets its token through this client, one after the other, before any of them starts.
			"--kube-api-qps=500",
			"--kube-api-burst=500",
			"--service-account-private-key-file=" + pki("service-accounts.key"),
			"--root-ca-file=" + pki("ca.crt"),
			"--cluster-signing-cert-file=" + pki("ca.crt"),
			"--cluster-signing-key-file=" + pki("ca.key"),
			"--allocate-node-cidrs",
			"--cluster-cidr=" + podSubnet,
			"--flex-volume-plugin-dir=" + c.path("volume-plugins"),
		}},
		{"kube-scheduler", kubernetesPart, []string{
			"--kubeconfig=" + c.kubeconfigOf("kube-scheduler"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
		}},
		{"containerd", containersPart, []string{
			"--config=" + config("containerd.toml"),
		}},
		{"kubelet", kubernetesPart, []string{
			"--config=" + config("kubelet.json"),
			"--kubeconfig=" + c.kubeconfigOf("kubelet"),
			"--hostname-override=" + c.nodeName(),
			"--node-ip=" + nodeAddress,
		}},
		{"kube-proxy", kubernetesPart, []string{
			"--config=" + config("kube-proxy.json"),
		}},
		{"coredns", dnsPart, []string{
			"-conf=" + config("Corefile"),
		}},
	}
	daemons := make(map[string]daemon, len(list))
	for _, d := range list {
		d.program = filepath.Join(bins[d.program], d.name)
		daemons[d.name] = d
	}
	return daemons
}

// A running daemon is one that this process started.
type runningDaemon struct {
	daemon
	process
	log  string
	done chan struct{} // closed once it has ended
}

// start starts a daemon on the calling thread, in its namespaces. It is a session of its own: no signal of a terminal
// reaches it, and it lives on when this process ends.
func (d daemon) start(logPath, dir string, bins map[string]string) (*runningDaemon, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(d.program, d.args...) //nolint:noctx // it outlives every context of this process
	command.Dir = dir
	command.Env = append(os.Environ(), "PATH="+searchPath(bins))
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", d.name, err)
	}
	p, err := identify(command.Process.Pid)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", d.name, err)
	}
	running := &runningDaemon{daemon: d, process: p, log: logPath, done: make(chan struct{})}
	go func() {
		_ = command.Wait() // how it ended is in its log
		close(running.done)
	}()
	return running, nil
}

// check returns an error with the end of the daemon's log if it has ended.
func (d *runningDaemon) check() error {
	select {
	case <-d.done:
	default:
		return nil
	}
	const lines = 25 // a panic's message and where it was, or some last log lines
	log, err := os.ReadFile(d.log)
	if err != nil {
		return fmt.Errorf("%s ended: %w", d.name, err)
	}
	return fmt.Errorf("%s ended; the end of its log:\n%s", d.name, lastLines(string(log), lines))
}

// searchPath is PATH with the parts' programs first.
func searchPath(bins map[string]string) string {
	folders := []string{bins[kubernetesPart], bins[containersPart], os.Getenv("PATH")}
	return strings.Join(folders, string(filepath.ListSeparator))
}
