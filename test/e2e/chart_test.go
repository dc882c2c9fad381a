package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// TestChart installs two operators from the chart into a namespace that enforces the restricted Pod Security Standard, as
// docs/operations.md says, one of them waiting; and takes them away again: what they had made goes on serving.
func TestChart(t *testing.T) {
	helm := os.Getenv("HELM")
	if helm == "" {
		t.Fatal("HELM is not set: hack/e2e sets it to the helm that the project pins")
	}
	apply(t, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: restricted}}}", systemNamespace))
	install := []string{
		"upgrade", "--install", "flight-operator", "charts/flight-operator", "-n", systemNamespace, "--wait", "--timeout", "120s",
		"--set", "replicas=2", "--set", "image.tag=" + version(), "--set", "runtimeImage=ghcr.io/flight-operator/flightruntime:" + version(),
	}
	run(t, "", helm, install...)
	s := server{namespace(t, "e2e-chart"), "charted"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	s.servedByAll(t, "numbers", 1)
	before := s.pods(t)

	leader := leadingPod(t)
	run(t, "", "kubectl", "-n", systemNamespace, "delete", "pod", leader, "--wait=false")
	eventually(t, func() error {
		if next := leadingPod(t); next == leader || next == "" {
			return fmt.Errorf("expected another operator to work than that of pod %s, which is deleted", leader)
		}
		return nil
	})
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Datasets[0].Source.Inline.Data = "a\n1\n2\n" })
	s.servedByAll(t, "numbers", 2)
	s.ready(t)

	// In one namespace alone, by a Role there in place of the ClusterRole.
	run(t, "", helm, append(install, "--set", "watchNamespaces={"+s.namespace+"}")...)
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Datasets[0].Source.Inline.Data = "a\n1\n2\n3\n" })
	s.servedByAll(t, "numbers", 3)
	s.ready(t)
	run(t, "", helm, "uninstall", "flight-operator", "-n", systemNamespace, "--wait")
	s.servedByAll(t, "numbers", 3)
	s.get(t) // the CustomResourceDefinition and the FlightServer are still there
	if after := s.pods(t); len(after) != len(before) || after[0].UID != before[0].UID {
		t.Errorf("expected the pods to be those of before")
	}
	run(t, "", "kubectl", "delete", "flightserver", s.name, "-n", s.namespace)
	run(t, "", "kubectl", "delete", "crd", "flightservers.flightoperator.dev")
}

// leadingPod is the pod of the operator that works: that which holds the lease. It is empty between two of them.
func leadingPod(t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: systemNamespace, Name: "flight-operator"}, lease); err != nil {
		t.Fatal(err)
	}
	pod, _, _ := strings.Cut(ptr.Deref(lease.Spec.HolderIdentity, ""), "_")
	return pod
}
