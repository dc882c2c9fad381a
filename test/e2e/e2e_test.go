// Package e2e tests the whole on a real cluster: kubelet, scheduler, network and all. hack/e2e starts one, loads the images and runs these
// tests in the cluster's network, where pods and Services can be reached.
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
)

const (
	systemNamespace = "flight-operator-system"
	patience        = 90 * time.Second // for what takes a pod's start or two
	repository      = "../.."
)

// cluster is a client of the cluster of KUBECONFIG.
var cluster client.Client

func TestMain(m *testing.M) {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	rest, err := config.GetConfig()
	if err == nil {
		rest.QPS, rest.Burst = 100, 100
		cluster, err = client.NewWithWatch(rest, client.Options{Scheme: scheme})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "no cluster: %v\nhack/e2e starts one and runs these tests in its network\n", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// version is the tag of the images that hack/e2e has loaded.
func version() string {
	if v := os.Getenv("VERSION"); v != "" {
		return v
	}
	return "dev"
}

var ourImages = regexp.MustCompile(`(ghcr\.io/flight-operator/[a-z-]+):[A-Za-z0-9._-]+`)

// withImages names the images that the cluster has.
func withImages(manifests string) string {
	return ourImages.ReplaceAllString(manifests, "${1}:"+version())
}

func file(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// run runs a command with the given standard input, and fails the test if it fails.
func run(t *testing.T, input string, name string, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), input, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func try(ctx context.Context, input string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = repository
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

func apply(t *testing.T, manifests string) {
	t.Helper()
	run(t, manifests, "kubectl", "apply", "--server-side", "--force-conflicts", "-f", "-")
}

// eventually asks until there is no error, for as long as patience, and returns how long that took.
func eventually(t *testing.T, ask func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		err := ask()
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > patience || t.Context().Err() != nil {
			t.Fatalf("after %s: %v", patience, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// namespace makes a namespace that enforces the restricted Pod Security Standard, watches that kstatus agrees with every status in it, and
// is deleted, with all that is in it, at the end.
func namespace(t *testing.T, name string) string {
	t.Helper()
	apply(t, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {pod-security.kubernetes.io/enforce: restricted}}}", name))
	watchAgreement(t, name)
	t.Cleanup(func() {
		if t.Failed() {
			diagnose(t, name)
		}
		if _, err := try(context.Background(), "", "kubectl", "delete", "namespace", name, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	return name
}

// diagnose logs what a failed test left behind.
func diagnose(t *testing.T, ns string) {
	ctx := context.Background()
	for _, args := range [][]string{
		{"-n", ns, "get", "flightservers", "-o", "yaml"},
		{"-n", ns, "get", "all,pvc,configmaps", "-o", "wide"},
		{"-n", ns, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", ns, "logs", "-l", v1alpha1.LabelManagedBy + "=" + v1alpha1.LabelManagedByValue, "--tail=30", "--prefix"},
		{"-n", systemNamespace, "logs", "-l", "app.kubernetes.io/name=flight-operator", "--tail=60"},
	} {
		out, err := try(ctx, "", "kubectl", args...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// watchAgreement fails the test if kstatus ever thinks otherwise of a FlightServer in the namespace than its Ready condition does.
func watchAgreement(t *testing.T, ns string) {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.Kind + "List"))
	watcher, err := cluster.(client.WithWatch).Watch(context.Background(), list, client.InNamespace(ns))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range watcher.ResultChan() {
			if object, ok := event.Object.(*unstructured.Unstructured); ok {
				if err := agreement(object); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		watcher.Stop()
		<-ended
	})
}

// agreement is an error if kstatus and the Ready condition differ.
func agreement(object *unstructured.Unstructured) error {
	var fs v1alpha1.FlightServer
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &fs); err != nil {
		return err
	}
	if len(fs.Status.Conditions) == 0 || fs.Status.ObservedGeneration != fs.Generation || fs.DeletionTimestamp != nil {
		return nil // the operator has not looked at it yet
	}
	computed, err := status.Compute(object)
	if err != nil {
		return err
	}
	want := status.InProgressStatus
	switch {
	case isTrue(&fs, v1alpha1.ConditionReady):
		want = status.CurrentStatus
	case isTrue(&fs, v1alpha1.ConditionStalled):
		want = status.FailedStatus
	}
	if computed.Status != want {
		return fmt.Errorf("%s/%s: kstatus says %s, expected %s by the conditions %+v", fs.Namespace, fs.Name, computed.Status, want, fs.Status.Conditions)
	}
	return nil
}

func isTrue(fs *v1alpha1.FlightServer, conditionType string) bool {
	for _, c := range fs.Status.Conditions {
		if c.Type == conditionType {
			return c.Status == "True"
		}
	}
	return false
}

// server is a FlightServer of a test.
type server struct{ namespace, name string }

func (s server) get(t *testing.T) *v1alpha1.FlightServer {
	t.Helper()
	fs := &v1alpha1.FlightServer{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name}, fs); err != nil {
		t.Fatal(err)
	}
	return fs
}

// edit changes the specification, again if somebody else changed it meanwhile.
func (s server) edit(t *testing.T, change func(*v1alpha1.FlightServerSpec)) {
	t.Helper()
	eventually(t, func() error {
		fs := s.get(t)
		change(&fs.Spec)
		return cluster.Update(t.Context(), fs)
	})
}

// condition waits until a condition of the current generation has a status and a reason, and returns its message.
func (s server) condition(t *testing.T, conditionType, conditionStatus, reason string) string {
	t.Helper()
	var message string
	eventually(t, func() error {
		fs := s.get(t)
		for _, c := range fs.Status.Conditions {
			if c.Type != conditionType {
				continue
			}
			message = c.Message
			if fs.Status.ObservedGeneration == fs.Generation && string(c.Status) == conditionStatus && c.Reason == reason {
				return nil
			}
			return fmt.Errorf("%s/%s: expected %s=%s/%s at generation %d, got %s/%s at generation %d: %s",
				s.namespace, s.name, conditionType, conditionStatus, reason, fs.Generation, c.Status, c.Reason, fs.Status.ObservedGeneration, c.Message)
		}
		return fmt.Errorf("%s/%s: no condition %s yet", s.namespace, s.name, conditionType)
	})
	return message
}

func (s server) ready(t *testing.T) {
	t.Helper()
	s.condition(t, v1alpha1.ConditionReady, "True", v1alpha1.ReasonReady)
}

// pods are the servers' pods that are not about to go.
func (s server) pods(t *testing.T) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := cluster.List(t.Context(), &list, client.InNamespace(s.namespace), client.MatchingLabels{v1alpha1.LabelInstance: s.name}); err != nil {
		t.Fatal(err)
	}
	pods := list.Items[:0]
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			pods = append(pods, pod)
		}
	}
	return pods
}

// location is where the Service is reached from the test: there is no DNS in the cluster's network namespace itself.
func (s server) location(t *testing.T) string {
	t.Helper()
	service := &corev1.Service{}
	if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.name}, service); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("grpc://%s:%d", service.Spec.ClusterIP, service.Spec.Ports[0].Port)
}

// rows are those of a dataset on the server at a location.
func rows(ctx context.Context, location, dataset string) (int64, error) {
	c, err := flightruntime.Connect(location, flightruntime.ClientOptions{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	h, err := c.HealthCheck(ctx)
	if err != nil {
		return 0, err
	}
	for _, d := range h.Datasets {
		if d.Name == dataset {
			return d.Rows, nil
		}
	}
	return 0, fmt.Errorf("%s serves no dataset %q", location, dataset)
}

// servedByAll waits until every pod serves a number of rows of a dataset, and returns how long that took.
func (s server) servedByAll(t *testing.T, dataset string, want int64) time.Duration {
	t.Helper()
	return eventually(t, func() error {
		for _, pod := range s.pods(t) {
			got, err := rows(t.Context(), fmt.Sprintf("grpc://%s:%d", pod.Status.PodIP, v1alpha1.PortFlight), dataset)
			if err != nil || got != want {
				return fmt.Errorf("pod %s: expected %d rows of %s, got %d, %w", pod.Name, want, dataset, got, err)
			}
		}
		return nil
	})
}

// uids are those of pods: equal sets mean that none was replaced.
func uids(pods []corev1.Pod) map[string]int32 {
	set := map[string]int32{}
	for _, pod := range pods {
		restarts := int32(0)
		for _, c := range pod.Status.ContainerStatuses {
			restarts += c.RestartCount
		}
		set[string(pod.UID)] = restarts
	}
	return set
}
