package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"
)

// object is a JSON object: Kubernetes reads JSON wherever it reads YAML, and JSON needs no care about quoting.
type object = map[string]any

// nodeName is the name of the cluster's only node.
func (c cluster) nodeName() string { return c.name }

// kubeconfigFor renders the configuration with which the owner of a certificate talks to the API server. Everything is
// inside, so the file may be copied.
func (c cluster) kubeconfigFor(user string, authority []byte, p pair) object {
	return object{
		"apiVersion": "v1",
		"kind":       "Config",
		"clusters": []object{{"name": c.name, "cluster": object{
			"server": apiServerURL, "certificate-authority-data": authority,
		}}},
		"users": []object{{"name": user, "user": object{
			"client-certificate-data": p.certificate, "client-key-data": p.key,
		}}},
		"contexts":        []object{{"name": c.name, "context": object{"cluster": c.name, "user": user}}},
		"current-context": c.name,
	}
}

// kubeletConfig renders the kubelet's configuration.
func (c cluster) kubeletConfig() object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",

		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": c.path("pki", "ca.crt")},
		},
		"authorization":     object{"mode": "Webhook"},
		"tlsCertFile":       c.path("pki", "kubelet.crt"),
		"tlsPrivateKeyFile": c.path("pki", "kubelet.key"),
		"clusterDNS":        []string{dnsServiceIP},
		"clusterDomain":     clusterDomain,
		"resolvConf":        c.path("resolv.conf"),
		"volumePluginDir":   c.path("volume-plugins"),

		// Two kubelets below one group would each remove the other's pods.
		"cgroupRoot":             "/" + c.cgroup(),
		"cgroupDriver":           "cgroupfs",
		"failCgroupV1":           false,
		"failSwapOn":             false,
		"enforceNodeAllocatable": []string{},

		// A machine whose disk is rather full is no reason to evict pods, nor to remove images: no registry has them.
		"evictionHard": object{
			"memory.available": "50Mi", "nodefs.available": "1%", "nodefs.inodesFree": "1%",
			"imagefs.available": "1%", "imagefs.inodesFree": "1%",
		},
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,

		"imagePullCredentialsVerificationPolicy": "NeverVerify",
	}
}

// proxyConfig renders kube-proxy's configuration. Limits of connection tracking are of the whole machine: they stay.
func (c cluster) proxyConfig() object {
	return object{
		"apiVersion":       "kubeproxy.config.k8s.io/v1alpha1",
		"kind":             "KubeProxyConfiguration",
		"mode":             "nftables",
		"clientConnection": object{"kubeconfig": c.kubeconfigOf("kube-proxy")},
		"clusterCIDR":      podSubnet,
		"hostnameOverride": c.nodeName(),
		"conntrack":        object{"maxPerCore": 0, "min": 0},
		"nftables":         object{"minSyncPeriod": "100ms"}, // few Services: soon is worth more than in bulk
	}
}

// networkConfig renders the network plugins' configuration. Each pod has a link of its own to the node, which routes
// between them. A bridge would carry a Service's answer straight from pod to pod, past the kernel's address
// translation, unless the machine has the br_netfilter module.
func (c cluster) networkConfig() object {
	return object{
		"cniVersion": "1.0.0",
		"name":       "pods",
		"plugins": []object{
			{"type": "ptp", "ipMasq": false, "ipam": object{
				"type":    "host-local",
				"ranges":  [][]object{{{"subnet": nodePodSubnet}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
				"dataDir": c.path("ipam"),
			}},
			{"type": "portmap", "backend": "nftables", "capabilities": object{"portMappings": true}},
		},
	}
}

// containerdTemplate is containerd's configuration. TOML's basic strings take what Go's %q writes for paths.
var containerdTemplate = template.Must(template.New("containerd").Parse(`version = 3
root = {{printf "%q" .Root}}
state = "/run/containerd"

[plugins.'io.containerd.internal.v1.opt']
  path = {{printf "%q" .Opt}}

# Its socket is at a path of the machine, and nothing here uses it.
[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = {{printf "%q" .Pause}}

[plugins.'io.containerd.cri.v1.runtime']
  # Where this process may not lower oom_score_adj (in a container, say), runc would fail to start any pod.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [{{printf "%q" .Bin}}]
    conf_dir = {{printf "%q" .Network}}
    use_internal_loopback = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = {{printf "%q" .Runc}}
`))

// containerdConfig renders containerd's configuration; bin is the folder of the container programs.
func (c cluster) containerdConfig(bin string) ([]byte, error) {
	var out strings.Builder
	err := containerdTemplate.Execute(&out, map[string]string{
		"Root":    c.path("containerd"),
		"Opt":     c.path("containerd-opt"),
		"Pause":   pauseImage,
		"Bin":     bin,
		"Network": c.path("cni"),
		"Runc":    filepath.Join(bin, "runc"),
	})
	return []byte(out.String()), err
}

// kubeconfigOf is the path of a component's kubeconfig; the admin's is the user's, at the top of the cluster's folder.
func (c cluster) kubeconfigOf(component string) string {
	if component == "admin" {
		return c.kubeconfig()
	}
	return c.path("config", component+".kubeconfig")
}

// configure renders every configuration file; bin is the folder of the container programs.
func (c cluster) configure(bin string, pairs map[string]pair) (map[string][]byte, error) {
	rendered := map[string]object{
		c.path("config", "kubelet.json"):    c.kubeletConfig(),
		c.path("config", "kube-proxy.json"): c.proxyConfig(),
		c.path("cni", "pods.conflist"):      c.networkConfig(),
	}
	for _, component := range []string{"admin", "kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "coredns"} {
		rendered[c.kubeconfigOf(component)] = c.kubeconfigFor(component, pairs["ca"].certificate, pairs[component])
	}
	files := map[string][]byte{c.path("resolv.conf"): nil} // pods that want the node's resolver get none
	for path, content := range rendered {
		text, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w", path, err)
		}
		files[path] = append(text, '\n')
	}
	containerd, err := c.containerdConfig(bin)
	if err != nil {
		return nil, fmt.Errorf("rendering containerd's configuration: %w", err)
	}
	files[c.path("config", "containerd.toml")] = containerd
	files[c.path("config", "Corefile")] = c.dnsConfig()
	return files, nil
}
