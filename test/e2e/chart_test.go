package e2e

import (
	"os"
	"testing"
)

// TestChart installs the operator from its chart, and takes it away again: what it had made goes on serving.
func TestChart(t *testing.T) {
	helm := os.Getenv("HELM")
	if helm == "" {
		t.Fatal("HELM is not set: hack/e2e sets it to the helm that the project pins")
	}
	install := []string{
		"upgrade", "--install", "flight-operator", "charts/flight-operator", "-n", systemNamespace, "--create-namespace", "--wait", "--timeout", "120s",
		"--set", "image.tag=" + version(), "--set", "runtimeImage=ghcr.io/flight-operator/flightruntime:" + version(),
	}
	run(t, "", helm, install...)
	s := server{namespace(t, "e2e-chart"), "charted"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	s.servedByAll(t, "numbers", 1)
	before := s.pods(t)

	run(t, "", helm, install...)
	s.ready(t)
	run(t, "", helm, "uninstall", "flight-operator", "-n", systemNamespace, "--wait")
	s.servedByAll(t, "numbers", 1)
	s.get(t) // the CustomResourceDefinition and the FlightServer are still there
	if after := s.pods(t); len(after) != len(before) || after[0].UID != before[0].UID {
		t.Errorf("expected the pods to be those of before")
	}
	run(t, "", "kubectl", "delete", "flightserver", s.name, "-n", s.namespace)
	run(t, "", "kubectl", "delete", "crd", "flightservers.flightoperator.dev")
}
