package e2e

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// caOverlap is how long old and new CA certificates are trusted together.
const caOverlap = 5 * time.Second

// TestKustomize installs the operator from config/default, as README says, and has it do all that it is for.
func TestKustomize(t *testing.T) {
	// With an overlap of CAs that a test can wait for.
	apply(t, strings.Replace(withImages(run(t, "", "kubectl", "kustomize", "config/default")), "- --leader-elect\n", "- --leader-elect\n        - --ca-overlap="+caOverlap.String()+"\n", 1))
	run(t, "", "kubectl", "-n", systemNamespace, "rollout", "status", "deployment/flight-operator-manager", "--timeout=120s")
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Quickstart", testQuickstart},
		{"Edits", testEdits},
		{"Scale", testScale},
		{"Drift", testDrift},
		{"Resilience", testResilience},
		{"BrokenDataset", testBrokenDataset},
		{"CreatedLater", testCreatedLater},
		{"Pods that cannot run", testPodsThatCannotRun},
		{"Suspend", testSuspend},
		{"Caches", testCaches},
		{"Rotations under load", testRotations},
		{"Disturbed rotations", testDisturbedRotations},
		{"Clients' certificates", testClientCertificates},
		{"cert-manager", testCertManager},
		{"The operator's CA", testOperatorCA},
		{"Auth", testAuth},
		{"Auth without TLS", testInsecureAuth},
		{"No key in sight", testNoKeyInSight},
		{"Namespaces", testNamespaces},
		{"Delete", testDelete},
		{"Idle", testIdle},
		{"Refused manifests", testRefusedManifests},
	} {
		t.Run(test.name, test.run)
	}
	run(t, "", "kubectl", "delete", "flightservers", "--all", "--all-namespaces")
	run(t, withImages(run(t, "", "kubectl", "kustomize", "config/default")), "kubectl", "delete", "-f", "-")
}

// testQuickstart is `make demo` without its cluster.
func testQuickstart(t *testing.T) {
	namespace(t, "flight-demo")
	apply(t, file(t, "config/samples/quickstart.yaml"))
	apply(t, withImages(file(t, "config/samples/quickstart-data.yaml")))
	run(t, "", "kubectl", "-n", "flight-demo", "wait", "--for=condition=Complete", "job/quickstart-data", "--timeout=90s")
	s := server{"flight-demo", "quickstart"}
	s.ready(t)
	fs := s.get(t)
	if fs.Status.Summary.Servers != "2/2" || fs.Status.Summary.Datasets != "6/6" || fs.Status.Address != "grpc://quickstart.flight-demo.svc:8815" {
		t.Errorf("expected 2/2 servers and 6/6 datasets at grpc://quickstart.flight-demo.svc:8815, got %+v at %s", fs.Status.Summary, fs.Status.Address)
	}
	out := run(t, "", "hack/pyarrow", "test/conformance/checks/run.py", "quickstart", s.location(t), "config/samples/data", "config/samples/quickstart.yaml")
	if strings.Contains(strings.ReplaceAll(out, `"failure": ""`, ""), "failure") {
		t.Error(out)
	}
	printed := run(t, "", "kubectl", "-n", "flight-demo", "get", "fls")
	if !strings.Contains(printed, "True") || !strings.Contains(printed, "6/6") {
		t.Errorf("expected the printer columns to tell of it, got\n%s", printed)
	}
	timeApplyToReady(t)
}

// timeApplyToReady logs how long a FlightServer takes from its creation until it is Ready, the image being on the node.
func timeApplyToReady(t *testing.T) {
	s := server{"flight-demo", "timed"}
	begin := time.Now()
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	t.Logf("FIGURE apply to Ready: %.1fs", time.Since(begin).Seconds())
}

// inlineServer is a manifest of one dataset, "numbers".
func inlineServer(s server, csv string) string {
	return fmt.Sprintf(`apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: %s, namespace: %s}
spec:
  replicas: 2
  healthCheck: {interval: 2s}
  datasets:
  - {name: numbers, format: CSV, source: {inline: {data: %q}}}
`, s.name, s.namespace, csv)
}

// configMapServer is a manifest of one dataset, "numbers", in a ConfigMap.
func configMapServer(s server) string {
	return fmt.Sprintf(`apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: %s, namespace: %s}
spec:
  replicas: 2
  healthCheck: {interval: 2s}
  datasets:
  - {name: numbers, source: {configMap: {name: numbers, key: numbers.csv}}}
  - {name: steady, format: CSV, source: {inline: {data: "a\n1\n"}}}
`, s.name, s.namespace)
}

func configMap(ns, csv string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: numbers, namespace: %s}, data: {numbers.csv: %q}}", ns, csv)
}

// testEdits: what is edited is served by every pod within a moment, and no pod is replaced.
func testEdits(t *testing.T) {
	s := server{namespace(t, "e2e-edits"), "edits"}
	apply(t, configMap(s.namespace, "a\n1\n"))
	apply(t, configMapServer(s))
	s.ready(t)
	before := uids(s.pods(t))

	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Datasets[1].Source.Inline.Data = "a\n1\n2\n3\n" })
	t.Logf("FIGURE dataset edit to served by all pods: %.2fs", s.servedByAll(t, "steady", 3).Seconds())
	s.ready(t)

	apply(t, configMap(s.namespace, "a\n1\n2\n"))
	t.Logf("FIGURE ConfigMap edit to served by all pods: %.2fs", s.servedByAll(t, "numbers", 2).Seconds())
	s.ready(t)

	s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
		spec.Datasets = append(spec.Datasets, v1alpha1.Dataset{
			Name: "more", Format: v1alpha1.FormatJSON, Source: v1alpha1.DatasetSource{Inline: &v1alpha1.InlineSource{Data: `{"a": 1}`}},
		})
	})
	s.servedByAll(t, "more", 1)
	s.ready(t)
	if after := uids(s.pods(t)); !maps.Equal(before, after) {
		t.Errorf("expected the same pods without restarts, %v, got %v", before, after)
	}

	// What the pod itself must change rolls the pods, and there are never fewer than two that take calls.
	stop := make(chan struct{})
	fewest := make(chan int, 1)
	go func() { fewest <- fewestReady(s, stop) }()
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
		spec.PodTemplate = &v1alpha1.PodTemplate{Labels: map[string]string{"rolled": "yes"}}
	})
	s.ready(t)
	eventually(t, func() error {
		for _, pod := range s.pods(t) {
			if pod.Labels["rolled"] != "yes" {
				return fmt.Errorf("pod %s is of before the edit", pod.Name)
			}
		}
		return nil
	})
	close(stop)
	if n := <-fewest; n < 2 {
		t.Errorf("expected two servers at all times, there were %d", n)
	}
}

// fewestReady is the smallest number of ready pods that was seen until stop is closed.
func fewestReady(s server, stop <-chan struct{}) int {
	fewest := 1 << 30
	for {
		select {
		case <-stop:
			return fewest
		case <-time.After(50 * time.Millisecond):
		}
		var pods corev1.PodList
		if err := cluster.List(context.Background(), &pods, client.InNamespace(s.namespace), client.MatchingLabels{v1alpha1.LabelInstance: s.name}); err != nil {
			continue
		}
		n := 0
		for _, pod := range pods.Items {
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					n++
				}
			}
		}
		fewest = min(fewest, n)
	}
}

func testScale(t *testing.T) {
	s := server{namespace(t, "e2e-scale"), "scaled"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	for _, n := range []int{3, 1} {
		run(t, "", "kubectl", "-n", s.namespace, "scale", "flightserver/"+s.name, "--replicas="+strconv.Itoa(n))
		s.ready(t)
		eventually(t, func() error {
			if got := len(s.pods(t)); got != n {
				return fmt.Errorf("expected %d pods, got %d", n, got)
			}
			return nil
		})
		if got := s.get(t).Status.Summary.Servers; got != fmt.Sprintf("%d/%d", n, n) {
			t.Errorf("expected %d/%d servers, got %s", n, n, got)
		}
	}
	run(t, "", "kubectl", "-n", s.namespace, "scale", "flightserver/"+s.name, "--replicas=0")
	s.condition(t, v1alpha1.ConditionReady, "True", v1alpha1.ReasonScaledToZero)
	run(t, "", "kubectl", "-n", s.namespace, "scale", "flightserver/"+s.name, "--replicas=1")
	s.ready(t)
	testAutoscalers(t, s)
}

// testAutoscalers: Kubernetes' own autoscaler brings a FlightServer, or the Deployment of one that leaves the number out, to its minimum, for
// which it needs no metrics. Applying the manifest again does not take the number back.
func testAutoscalers(t *testing.T, s server) {
	free := server{s.namespace, "free"}
	withoutNumber := func(s server) string { return strings.Replace(inlineServer(s, "a\n1\n"), "  replicas: 2\n", "", 1) }
	apply(t, withoutNumber(free))
	free.ready(t)
	apply(t, autoscaler(s, "flightoperator.dev/v1alpha1", v1alpha1.Kind))
	apply(t, autoscaler(free, "apps/v1", "Deployment"))
	for _, s := range []server{s, free} {
		eventually(t, func() error {
			if got := s.get(t).Status.Summary.Servers; got != "2/2" {
				return fmt.Errorf("%s: expected 2/2 servers, got %s", s.name, got)
			}
			return nil
		})
		apply(t, withoutNumber(s))
		s.ready(t)
		if got := s.get(t).Status.Summary.Servers; got != "2/2" {
			t.Errorf("%s: expected 2/2 servers after the manifest was applied again, got %s", s.name, got)
		}
	}
	if n := free.get(t).Spec.Replicas; n != nil {
		t.Errorf("expected the FlightServer to go on without a number, got %d", *n)
	}
}

// autoscaler is a manifest of one that wants two servers at least.
func autoscaler(s server, apiVersion, kind string) string {
	return fmt.Sprintf(`apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  scaleTargetRef: {apiVersion: %[3]s, kind: %[4]s, name: %[1]s}
  minReplicas: 2
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
`, s.name, s.namespace, apiVersion, kind)
}

// testDrift: whatever of the owned objects somebody changes or deletes comes back.
func testDrift(t *testing.T) {
	s := server{namespace(t, "e2e-drift"), "drift"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	key := client.ObjectKey{Namespace: s.namespace, Name: s.name}
	configKey := client.ObjectKey{Namespace: s.namespace, Name: s.name + "-config"}
	tests := map[string]struct {
		kubectl []string
		mended  func() error
	}{
		"Deployment changed": {[]string{"set", "image", "deployment/drift", "flightruntime=example.com/other:1"}, func() error {
			d := &appsv1.Deployment{}
			if err := cluster.Get(t.Context(), key, d); err != nil {
				return err
			}
			if image := d.Spec.Template.Spec.Containers[0].Image; strings.HasPrefix(image, "example.com") {
				return fmt.Errorf("the image is still %s", image)
			}
			return nil
		}},
		"Service deleted": {[]string{"delete", "service", "drift"}, func() error { return cluster.Get(t.Context(), key, &corev1.Service{}) }},
		"Service changed": {[]string{"patch", "service", "drift", "--type=json", `-p=[{"op":"replace","path":"/spec/ports/0/port","value":1234}]`}, func() error {
			service := &corev1.Service{}
			if err := cluster.Get(t.Context(), key, service); err != nil {
				return err
			}
			if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 8815 {
				return fmt.Errorf("expected port 8815, got %+v", service.Spec.Ports)
			}
			return nil
		}},
		"ConfigMap changed": {[]string{"patch", "configmap", "drift-config", "-p", `{"data":{"runtime.yaml":"broken"}}`}, func() error {
			cm := &corev1.ConfigMap{}
			if err := cluster.Get(t.Context(), configKey, cm); err != nil {
				return err
			}
			if cm.Data["runtime.yaml"] == "broken" {
				return fmt.Errorf("the ConfigMap is still broken")
			}
			return nil
		}},
		"ConfigMap deleted":           {[]string{"delete", "configmap", "drift-config"}, func() error { return cluster.Get(t.Context(), configKey, &corev1.ConfigMap{}) }},
		"PodDisruptionBudget deleted": {[]string{"delete", "poddisruptionbudget", "drift"}, func() error { return cluster.Get(t.Context(), key, &policyv1.PodDisruptionBudget{}) }},
		"Deployment deleted":          {[]string{"delete", "deployment", "drift"}, func() error { return cluster.Get(t.Context(), key, &appsv1.Deployment{}) }},
		"label taken off a Deployment": {[]string{"label", "deployment/drift", "app.kubernetes.io/managed-by-"}, func() error {
			d := &appsv1.Deployment{}
			if err := cluster.Get(t.Context(), key, d); err != nil {
				return err
			}
			if d.Labels[v1alpha1.LabelManagedBy] == "" {
				return fmt.Errorf("the label is missing")
			}
			return nil
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			run(t, "", "kubectl", append([]string{"-n", s.namespace}, test.kubectl...)...)
			t.Logf("mended after %.2fs", eventually(t, test.mended).Seconds())
			s.ready(t)
		})
	}
}

// testResilience: a pod that is killed is replaced; the operator, killed in the middle of a change, ends where it would have.
func testResilience(t *testing.T) {
	s := server{namespace(t, "e2e-resilience"), "resilient"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	victim := s.pods(t)[0]
	run(t, "", "kubectl", "-n", s.namespace, "delete", "pod", victim.Name, "--grace-period=0", "--force")
	eventually(t, func() error {
		for _, listed := range s.get(t).Status.Servers {
			if listed.Pod == victim.Name {
				return fmt.Errorf("the status still lists %s", victim.Name)
			}
		}
		return nil
	})
	s.ready(t)

	for i := range 3 {
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
			spec.Datasets[0].Source.Inline.Data = "a\n" + strings.Repeat("1\n", i+2)
			spec.PodTemplate = &v1alpha1.PodTemplate{Annotations: map[string]string{"round": strconv.Itoa(i)}}
		})
		run(t, "", "kubectl", "-n", systemNamespace, "delete", "pod", "-l", "app.kubernetes.io/name=flight-operator", "--grace-period=0", "--force", "--wait=false")
		s.ready(t)
		s.servedByAll(t, "numbers", int64(i+2))
	}
}

// testBrokenDataset: an edit that breaks a dataset leaves what was served, and says why; the mend is served.
func testBrokenDataset(t *testing.T) {
	s := server{namespace(t, "e2e-broken"), "broken"}
	apply(t, configMap(s.namespace, "a,b\n1,2\n"))
	apply(t, configMapServer(s))
	s.ready(t)
	apply(t, configMap(s.namespace, "a,b\n1,2\n3,4,5\n"))
	message := s.condition(t, v1alpha1.ConditionDatasetsReady, "False", v1alpha1.ReasonDatasetsFailed)
	for _, want := range []string{"numbers", "row 3", "expected 2 columns, got 3"} {
		if !strings.Contains(message, want) {
			t.Errorf("expected a message with %q, got %q", want, message)
		}
	}
	if s.servedByAll(t, "numbers", 1); isTrue(s.get(t), v1alpha1.ConditionReady) {
		t.Error("expected Ready to be False")
	}
	if !isTrue(s.get(t), v1alpha1.ConditionAvailable) {
		t.Error("expected Available to stay True")
	}
	apply(t, configMap(s.namespace, "a,b\n1,2\n3,4\n"))
	s.ready(t)
	s.servedByAll(t, "numbers", 2)
}

// testCreatedLater: a FlightServer recovers by itself when what it names is created.
func testCreatedLater(t *testing.T) {
	s := server{namespace(t, "e2e-later"), "later"}
	apply(t, configMapServer(s)+"  - {name: files, source: {volume: {claimName: files, path: penguins.json}}}\n")
	message := s.condition(t, v1alpha1.ConditionDatasetsReady, "False", v1alpha1.ReasonSourceNotFound)
	if !strings.Contains(message, "create it") {
		t.Errorf("expected a message with the mend, got %q", message)
	}
	s.servedByAll(t, "steady", 1) // the rest is served meanwhile
	apply(t, configMap(s.namespace, "a\n1\n2\n"))
	s.servedByAll(t, "numbers", 2)

	claim := fmt.Sprintf("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: files, namespace: %s}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}", s.namespace)
	apply(t, claim)
	job := withImages(file(t, "config/samples/quickstart-data.yaml"))
	job = strings.NewReplacer("flight-demo", s.namespace, "claimName: data", "claimName: files").Replace(job)
	apply(t, job)
	s.ready(t)
	s.servedByAll(t, "files", 344)
}

func testPodsThatCannotRun(t *testing.T) {
	ns := namespace(t, "e2e-cannot")
	t.Run("image that does not exist", func(t *testing.T) {
		s := server{ns, "image"}
		apply(t, inlineServer(s, "a\n1\n"))
		s.ready(t)
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Image = "127.0.0.1:1/absent:1" })
		message := s.condition(t, v1alpha1.ConditionReady, "False", v1alpha1.ReasonImagePullFailed)
		if !strings.Contains(message, "127.0.0.1:1/absent:1") {
			t.Errorf("expected a message that names the image, got %q", message)
		}
		if !isTrue(s.get(t), v1alpha1.ConditionAvailable) {
			t.Error("expected the servers of before to take calls")
		}
		s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Image = "" })
		s.ready(t)
	})
	t.Run("image that cannot start", func(t *testing.T) {
		s := server{ns, "start"}
		manifest := inlineServer(s, "a\n1\n") + "  image: ghcr.io/flight-operator/quickstart-data:" + version() + "\n"
		apply(t, manifest)
		message := s.condition(t, v1alpha1.ConditionReady, "False", v1alpha1.ReasonContainerFailed)
		if !strings.Contains(message, "usage: quickstart-data") {
			t.Errorf("expected a message with the container's last words, got %q", message)
		}
	})
	t.Run("no node fits", func(t *testing.T) {
		s := server{ns, "node"}
		apply(t, inlineServer(s, "a\n1\n")+"  podTemplate: {nodeSelector: {nowhere: \"true\"}}\n")
		message := s.condition(t, v1alpha1.ConditionReady, "False", v1alpha1.ReasonUnschedulable)
		if !strings.Contains(message, "0/1 nodes are available") {
			t.Errorf("expected the scheduler's message, got %q", message)
		}
	})
}

func testSuspend(t *testing.T) {
	s := server{namespace(t, "e2e-suspend"), "suspended"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Suspend = v1alpha1.SuspendReconciliation })
	s.condition(t, v1alpha1.ConditionReady, "Unknown", v1alpha1.ReasonSuspended)
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Datasets[0].Source.Inline.Data = "a\n1\n2\n" })
	run(t, "", "kubectl", "-n", s.namespace, "delete", "service", s.name)
	time.Sleep(2 * time.Second) // long enough for what must not happen
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name}, &corev1.Service{}); !apierrors.IsNotFound(err) {
		t.Errorf("expected the Service to stay deleted while suspended, got %v", err)
	}
	s.servedByAll(t, "numbers", 1)
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) { spec.Suspend = "" })
	s.ready(t)
	s.servedByAll(t, "numbers", 2)
}

// testNamespaces: FlightServers of one name in two namespaces have nothing to do with each other.
func testNamespaces(t *testing.T) {
	a, b := server{namespace(t, "e2e-side-a"), "twin"}, server{namespace(t, "e2e-side-b"), "twin"}
	apply(t, inlineServer(a, "a\n1\n"))
	apply(t, inlineServer(b, "a\n1\n2\n"))
	a.ready(t)
	b.ready(t)
	a.servedByAll(t, "numbers", 1)
	b.servedByAll(t, "numbers", 2)
	if err := cluster.Delete(t.Context(), a.get(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if n := len(a.pods(t)); n > 0 {
			return fmt.Errorf("%d pods are left in %s", n, a.namespace)
		}
		return nil
	})
	b.ready(t)
	b.servedByAll(t, "numbers", 2)
}

// testDelete: nothing that the operator made outlives its FlightServer, and nobody probes what is gone.
func testDelete(t *testing.T) {
	s := server{namespace(t, "e2e-delete"), "deleted"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	if err := cluster.Delete(t.Context(), s.get(t)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		for _, list := range []client.ObjectList{&corev1.PodList{}, &corev1.ServiceList{}, &corev1.ConfigMapList{}, &appsv1.DeploymentList{}, &appsv1.ReplicaSetList{}, &policyv1.PodDisruptionBudgetList{}} {
			if err := cluster.List(t.Context(), list, client.InNamespace(s.namespace), client.HasLabels{v1alpha1.LabelInstance}); err != nil {
				return err
			}
			if n := listLength(list); n > 0 {
				return fmt.Errorf("%d of %T are left", n, list)
			}
		}
		return nil
	})
	eventually(t, func() error {
		if text := operatorMetrics(t); strings.Contains(text, `namespace="`+s.namespace+`"`) {
			return fmt.Errorf("the operator's metrics still tell of %s", s.namespace)
		}
		return nil
	})
}

func listLength(list client.ObjectList) int {
	switch l := list.(type) {
	case *corev1.PodList:
		return len(l.Items)
	case *corev1.ServiceList:
		return len(l.Items)
	case *corev1.ConfigMapList:
		return len(l.Items)
	case *appsv1.DeploymentList:
		return len(l.Items)
	case *appsv1.ReplicaSetList:
		return len(l.Items)
	case *policyv1.PodDisruptionBudgetList:
		return len(l.Items)
	}
	return -1
}

// testIdle: while nothing happens the operator writes nothing but its lease.
func testIdle(t *testing.T) {
	// A new process: events that repeated are written again some minutes later, and those of the tests before are not the matter here.
	run(t, "", "kubectl", "-n", systemNamespace, "rollout", "restart", "deployment/flight-operator-manager")
	run(t, "", "kubectl", "-n", systemNamespace, "rollout", "status", "deployment/flight-operator-manager", "--timeout=120s")
	s := server{namespace(t, "e2e-idle"), "idle"}
	apply(t, inlineServer(s, "a\n1\n"))
	s.ready(t)
	idle := 20 * time.Second
	if text := os.Getenv("IDLE"); text != "" {
		var err error
		if idle, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(5 * time.Second) // events of the start are still being written
	before := operatorWrites(t)
	time.Sleep(idle)
	after := operatorWrites(t)
	if after != before {
		t.Errorf("expected no write in %s, there were %v", idle, after-before)
	}
	t.Logf("FIGURE writes in %s of nothing happening: %v; resident memory of the operator: %s MiB", idle, after-before, residentMiB(t))
}

// operatorWrites counts the operator's requests that write, but for PUT: that is how the lease is renewed, and how nothing else is written.
func operatorWrites(t *testing.T) float64 {
	t.Helper()
	var n float64
	for method, count := range operatorRequests(t) {
		if method != http.MethodGet && method != http.MethodPut { // PUT is the lease
			n += count
		}
	}
	return n
}

// operatorRequests are the operator's requests to the API server so far, by method.
func operatorRequests(t *testing.T) map[string]float64 {
	t.Helper()
	byMethod := map[string]float64{}
	for line := range strings.Lines(operatorMetrics(t)) {
		if !strings.HasPrefix(line, "rest_client_requests_total{") {
			continue
		}
		_, method, _ := strings.Cut(line, `method="`)
		method, _, _ = strings.Cut(method, `"`)
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
		if err != nil {
			t.Fatal(err)
		}
		byMethod[method] += value
	}
	return byMethod
}

func residentMiB(t *testing.T) string {
	for line := range strings.Lines(operatorMetrics(t)) {
		if value, ok := strings.CutPrefix(line, "process_resident_memory_bytes "); ok {
			bytes, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return strconv.FormatFloat(bytes/(1<<20), 'f', 1, 64)
		}
	}
	return "?"
}

// operatorMetrics are those of the operator's pod, by its address.
func operatorMetrics(t *testing.T) string {
	t.Helper()
	var text string
	eventually(t, func() error {
		var pods corev1.PodList
		if err := cluster.List(t.Context(), &pods, client.InNamespace(systemNamespace), client.MatchingLabels{"app.kubernetes.io/name": "flight-operator"}); err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp != nil || pod.Status.PodIP == "" {
				continue
			}
			var err error
			text, err = metrics(t.Context(), pod.Status.PodIP)
			return err
		}
		return fmt.Errorf("the operator has no pod")
	})
	return text
}

// metrics are those of the pod with an address.
func metrics(ctx context.Context, ip string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/metrics", ip, v1alpha1.PortHTTP), nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// testRefusedManifests: the API server refuses what breaks a rule, and says the mend.
func testRefusedManifests(t *testing.T) {
	ns := namespace(t, "e2e-refused")
	base := func() *v1alpha1.FlightServer {
		return &v1alpha1.FlightServer{
			ObjectMeta: metav1.ObjectMeta{Name: "refused", Namespace: ns},
			Spec: v1alpha1.FlightServerSpec{Datasets: []v1alpha1.Dataset{{
				Name: "a", Format: v1alpha1.FormatCSV, Source: v1alpha1.DatasetSource{Inline: &v1alpha1.InlineSource{Data: "a\n1\n"}},
			}}},
		}
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.FlightServer)
		want   string
	}{
		"two sources": {func(fs *v1alpha1.FlightServer) {
			fs.Spec.Datasets[0].Source.Volume = &v1alpha1.VolumeSource{ClaimName: "c", Path: "a.csv"}
		}, "set exactly one of inline, configMap and volume"},
		"unclean path": {func(fs *v1alpha1.FlightServer) {
			fs.Spec.Datasets[0].Source = v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "c", Path: "../a.csv"}}
		}, "the path has to be clean"},
		"dataset's name": {func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets[0].Name = "A_b" }, "RFC 1123 label"},
		"replicas":       {func(fs *v1alpha1.FlightServer) { fs.Spec.Replicas = ptr.To[int32](-1) }, "greater than or equal to 0"},
		"server's name":  {func(fs *v1alpha1.FlightServer) { fs.Name = "1st" }, "becomes the name of a Service"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := base()
			test.change(fs)
			if err := cluster.Create(t.Context(), fs); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("expected a refusal with %q, got %v", test.want, err)
			}
		})
	}
}
