package desired

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

const (
	// ContainerName is the server's container.
	ContainerName = "flightruntime"
	portFlight    = "flight"
	portHTTP      = "http"
	// configDir is where the configuration is mounted: as a directory, for a file mounted by subPath never changes.
	configDir = "/etc/flight"
	// signingDir is where the keys are mounted that tickets are signed with.
	signingDir = "/etc/flight-signing"
	// user is the customary number of "nonroot".
	user = 65532
	// terminationMargin is what the kubelet waits beyond the drain timeout, so that the server ends by itself: its probes go unready, and
	// load balancers take note, before it begins to drain.
	terminationMargin = 15 * time.Second
	// drainDelay is the time between a server's going unready and its refusing calls: load balancers need it to take note.
	drainDelay = 3 * time.Second
	// memoryShare is the part of the memory limit, in percent, that Go's garbage collector aims to stay below: what is mapped or held by
	// the kernel for the process counts against the limit too.
	memoryShare = 90
)

// podTemplate is the pods' template, its image left out.
func podTemplate(p Params) (*corev1ac.PodTemplateSpecApplyConfiguration, error) {
	fs, wish := p.FlightServer, podWish(p.FlightServer)
	container, err := container(fs, wish)
	if err != nil {
		return nil, err
	}
	annotations, err := podAnnotations(fs, wish)
	if err != nil {
		return nil, err
	}
	spec := corev1ac.PodSpec().
		// The name is always said: Kubernetes keeps a deprecated twin of the field, which would bring back the one before.
		WithServiceAccountName(cmp.Or(wish.ServiceAccountName, "default")).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(int64((p.DrainTimeout + terminationMargin).Seconds())).
		WithSecurityContext(securityContext(wish))
	if err := mount(p, wish, spec, container); err != nil {
		return nil, err
	}
	if err := place(fs, wish, spec); err != nil {
		return nil, err
	}
	for _, secret := range wish.ImagePullSecrets {
		spec.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(secret.Name))
	}
	return corev1ac.PodTemplateSpec().
		WithLabels(overlay(wish.Labels, Labels(fs.Name))).
		WithAnnotations(annotations).
		WithSpec(spec.WithContainers(container)), nil
}

// securityContext of the pod meets the restricted Pod Security Standard. There is no fsGroup unless the user wishes one: it has the kubelet
// change the group of users' files, of all the pod's volumes.
func securityContext(wish *v1alpha1.PodTemplate) *corev1ac.PodSecurityContextApplyConfiguration {
	c := corev1ac.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithRunAsUser(user).
		WithRunAsGroup(user).
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault))
	if wish.FSGroup != nil {
		// On a mismatch of the root alone: to look at every file of a large volume at each start takes minutes.
		c.WithFSGroup(*wish.FSGroup).WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch)
	}
	return c
}

// podAnnotations are the user's, and what of the specification a server takes up at its start alone.
func podAnnotations(fs *v1alpha1.FlightServer, wish *v1alpha1.PodTemplate) (map[string]string, error) {
	own := map[string]string{}
	if fs.Spec.Limits != nil {
		limits, err := json.Marshal(fs.Spec.Limits)
		if err != nil {
			return nil, err
		}
		own[AnnotationLimits] = string(limits)
	}
	if fs.Spec.TLS != nil {
		own[AnnotationTLS] = TLSEnabled
	}
	return overlay(usersAnnotations(wish.Annotations), own), nil
}

func podWish(fs *v1alpha1.FlightServer) *v1alpha1.PodTemplate {
	if fs.Spec.PodTemplate == nil {
		return &v1alpha1.PodTemplate{}
	}
	return fs.Spec.PodTemplate
}

// container is the server. It meets the restricted Pod Security Standard.
func container(fs *v1alpha1.FlightServer, wish *v1alpha1.PodTemplate) (*corev1ac.ContainerApplyConfiguration, error) {
	env, err := environment(fs, wish.Env)
	if err != nil {
		return nil, err
	}
	c := corev1ac.Container().
		WithName(ContainerName).
		WithArgs("serve",
			"--config="+configDir+"/"+config.FileName,
			"--signing-keys="+signingDir+"/"+signing.FileName,
			fmt.Sprintf("--http=:%d", v1alpha1.PortHTTP),
			"--drain-delay="+drainDelay.String(),
			"--log-format=json").
		WithPorts(
			corev1ac.ContainerPort().WithName(portFlight).WithContainerPort(v1alpha1.PortFlight).WithProtocol(corev1.ProtocolTCP),
			corev1ac.ContainerPort().WithName(portHTTP).WithContainerPort(v1alpha1.PortHTTP).WithProtocol(corev1.ProtocolTCP)).
		WithEnv(env...).
		// Every second: a new server takes calls at once, and one that is asked to stop is left alone soon.
		WithReadinessProbe(httpProbe("/readyz").WithPeriodSeconds(1).WithTimeoutSeconds(1).WithFailureThreshold(3)).
		// A minute: a server that is merely busy is not helped by a restart.
		WithLivenessProbe(httpProbe("/livez").WithPeriodSeconds(10).WithTimeoutSeconds(5).WithFailureThreshold(6)).
		// The end of the log says why a server could not start, where it wrote no message of its own.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL")))
	if wish.ImagePullPolicy != "" {
		c.WithImagePullPolicy(wish.ImagePullPolicy)
	}
	if r := fs.Spec.Resources; r != nil {
		resources := corev1ac.ResourceRequirements()
		if len(r.Requests) > 0 {
			resources.WithRequests(r.Requests)
		}
		if len(r.Limits) > 0 {
			resources.WithLimits(r.Limits)
		}
		c.WithResources(resources)
	}
	return c, nil
}

func httpProbe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(portHTTP)))
}

// environment is the user's, what room the pod has for caches, and a memory limit for Go unless the user sets one. (Go itself goes by the CPU limit.)
// What datasets are kept in is not Go's, and is left out.
func environment(fs *v1alpha1.FlightServer, users []corev1.EnvVar) ([]*corev1ac.EnvVarApplyConfiguration, error) {
	const goMemLimit = "GOMEMLIMIT"
	env, err := convert[[]*corev1ac.EnvVarApplyConfiguration](users)
	if err != nil {
		return nil, err
	}
	set := func(name string, n int64) {
		if !slices.ContainsFunc(users, func(e corev1.EnvVar) bool { return e.Name == name }) {
			env = append(env, corev1ac.EnvVar().WithName(name).WithValue(strconv.FormatInt(n, 10)))
		}
	}
	if n := config.DiskCacheBytes(fs); n > 0 && config.CacheClaim(fs) == "" {
		set(config.EnvDiskCache, n)
	}
	if fs.Spec.Resources == nil {
		return env, nil
	}
	if memory, ok := fs.Spec.Resources.Limits[corev1.ResourceMemory]; ok {
		cached := config.MemoryCacheBytes(fs)
		set(config.EnvMemoryCache, cached)
		set(goMemLimit, max(memory.Value()-cached, 0)/100*memoryShare)
	}
	return env, nil
}

// place says where the pods may run.
func place(fs *v1alpha1.FlightServer, wish *v1alpha1.PodTemplate, spec *corev1ac.PodSpecApplyConfiguration) error {
	if wish.PriorityClassName != "" {
		spec.WithPriorityClassName(wish.PriorityClassName)
	}
	spec.WithNodeSelector(wish.NodeSelector)
	tolerations, err := convert[[]*corev1ac.TolerationApplyConfiguration](wish.Tolerations)
	if err != nil {
		return err
	}
	spec.WithTolerations(tolerations...)
	if wish.Affinity != nil {
		affinity, err := convert[*corev1ac.AffinityApplyConfiguration](wish.Affinity)
		if err != nil {
			return err
		}
		spec.WithAffinity(affinity)
	}
	for _, constraint := range wish.TopologySpreadConstraints {
		if constraint.LabelSelector == nil {
			constraint.LabelSelector = &metav1.LabelSelector{MatchLabels: Selector(fs.Name)}
		}
		c, err := convert[*corev1ac.TopologySpreadConstraintApplyConfiguration](constraint)
		if err != nil {
			return err
		}
		spec.WithTopologySpreadConstraints(c)
	}
	return nil
}
