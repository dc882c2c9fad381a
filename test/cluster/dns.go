package main

import (
	"context"
	"fmt"
)

// dnsUser is the DNS server in the eyes of the API server.
const dnsUser = "coredns"

const dnsPort = 53

// dnsConfig renders the DNS server's configuration. Names of the world do not exist here: no resolver can be reached.
func (c cluster) dnsConfig() []byte {
	return fmt.Appendf(nil, `.:%d {
  errors
  loadbalance
  kubernetes %s in-addr.arpa ip6.arpa {
    kubeconfig %q
    ttl 5
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`, dnsPort, clusterDomain, c.kubeconfigOf("coredns"))
}

// createDNS makes what the DNS server may read, and the Service that pods find it by. It runs on the node, not in a
// pod, so the Service's only endpoint is the node.
func createDNS(ctx context.Context, api apiClient) error {
	const (
		role      = "flight-cluster-dns"
		namespace = "kube-system"
		service   = "kube-dns" // the name that tools look for
		rbac      = "/apis/rbac.authorization.k8s.io/v1/"
	)
	ports := []object{
		{"name": "dns", "protocol": "UDP", "port": dnsPort},
		{"name": "dns-tcp", "protocol": "TCP", "port": dnsPort},
	}
	read := []string{"list", "watch"}
	for _, o := range []struct {
		collection string
		object     object
	}{
		{rbac + "clusterroles", object{
			"metadata": object{"name": role},
			"rules": []object{
				{"apiGroups": []string{""}, "resources": []string{"namespaces", "services"}, "verbs": read},
				{"apiGroups": []string{"discovery.k8s.io"}, "resources": []string{"endpointslices"}, "verbs": read},
			},
		}},
		{rbac + "clusterrolebindings", object{
			"metadata": object{"name": role},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
			"subjects": []object{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": dnsUser}},
		}},
		{"/api/v1/namespaces/" + namespace + "/services", object{
			"metadata": object{"name": service},
			"spec":     object{"clusterIP": dnsServiceIP, "ports": ports},
		}},
		{"/apis/discovery.k8s.io/v1/namespaces/" + namespace + "/endpointslices", object{
			"metadata":    object{"name": service, "labels": object{"kubernetes.io/service-name": service}},
			"addressType": "IPv4",
			"endpoints":   []object{{"addresses": []string{nodeAddress}, "conditions": object{"ready": true}}},
			"ports":       ports,
		}},
	} {
		if err := api.create(ctx, o.collection, o.object); err != nil {
			return err
		}
	}
	return nil
}

// dnsReady tells whether the DNS server answers: it listens once it knows the cluster's Services.
func (l *launch) dnsReady(ctx context.Context) bool {
	conn, err := dialIn(l.netnsPath())(ctx, "tcp", fmt.Sprintf("%s:%d", nodeAddress, dnsPort))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
