package desired

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Application protocols, by which gateways and meshes go: HTTP/2 in plain text in Kubernetes' own word, and TLS, whose clients and servers
// agree on HTTP/2 by themselves.
const (
	protocolPlain = "kubernetes.io/h2c"
	protocolTLS   = "https"
)

// Service stands in front of the servers that are ready.
func Service(p Params) *corev1ac.ServiceApplyConfiguration {
	fs, wish := p.FlightServer, p.FlightServer.Spec.Service
	if wish == nil {
		wish = &v1alpha1.Service{}
	}
	protocol := protocolPlain
	if fs.Spec.TLS != nil {
		protocol = protocolTLS
	}
	port := corev1ac.ServicePort().
		WithName(portFlight).
		WithProtocol(corev1.ProtocolTCP).
		WithPort(servicePort(wish)).
		WithTargetPort(intstr.FromString(portFlight)).
		WithAppProtocol(protocol)
	if wish.NodePort != 0 {
		port.WithNodePort(wish.NodePort)
	}
	// The type is always said, so that a Service that somebody opened to the world closes again.
	spec := corev1ac.ServiceSpec().
		WithType(cmp.Or(wish.Type, corev1.ServiceTypeClusterIP)).
		WithSelector(Selector(fs.Name)).
		WithPorts(port).
		WithLoadBalancerSourceRanges(wish.LoadBalancerSourceRanges...)
	if wish.LoadBalancerClass != nil {
		spec.WithLoadBalancerClass(*wish.LoadBalancerClass)
	}
	if wish.ExternalTrafficPolicy != "" {
		spec.WithExternalTrafficPolicy(wish.ExternalTrafficPolicy)
	}
	service := corev1ac.Service(fs.Name, fs.Namespace)
	service.ObjectMetaApplyConfiguration = meta(fs, fs.Name).
		WithLabels(overlay(wish.Labels, Labels(fs.Name))).
		WithAnnotations(usersAnnotations(wish.Annotations))
	return service.WithSpec(spec)
}

func servicePort(wish *v1alpha1.Service) int32 {
	if wish == nil || wish.Port == 0 {
		return v1alpha1.PortFlight
	}
	return wish.Port
}
