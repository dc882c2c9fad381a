package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
)

func TestChartInstallsWhatKustomizeInstalls(t *testing.T) {
	for _, tc := range []struct {
		name       string
		values     string
		resources  []string
		components []string
	}{
		{name: "as released"},
		{name: "highly available", values: "replicas: 2", components: []string{"high-availability"}},
		{name: "monitored", values: "metrics: {serviceMonitor: {create: true}, prometheusRule: {create: true}}", resources: []string{"prometheus"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := kustomizeObjects(t, tc.resources, tc.components)
			// Helm makes the namespace, or the user does: a chart cannot.
			delete(want, "Namespace//"+namespace)
			got := helmObjects(t, tc.values)
			if diff := cmp.Diff(want.keys(), got.keys()); diff != "" {
				t.Fatalf("other objects: -kustomize +chart:\n%s", diff)
			}
			for _, key := range want.keys() {
				if diff := cmp.Diff(plain(want[key]), plain(got[key])); diff != "" {
					t.Errorf("%s differs: -kustomize +chart:\n%s", key, diff)
				}
			}
		})
	}
}

// plain is an object without the labels and annotations that tell who manages it.
func plain(u *unstructured.Unstructured) map[string]any {
	u = u.DeepCopy()
	u.SetLabels(without(u.GetLabels(), "app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"))
	u.SetAnnotations(without(u.GetAnnotations(), "helm.sh/resource-policy"))
	return u.Object
}

// without removes keys from a map; an empty one becomes nil, which no object carries.
func without(m map[string]string, keys ...string) map[string]string {
	for _, key := range keys {
		delete(m, key)
	}
	if len(m) == 0 {
		return nil
	}
	return m
}

// Every object of Kubernetes' own kinds is decoded as the API server does when it is told to be strict: unknown and repeated fields are errors.
func TestChartRendersNoUnknownField(t *testing.T) {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	for key, u := range helmObjects(t, everyValue) {
		if !scheme.Scheme.Recognizes(u.GroupVersionKind()) {
			continue
		}
		content, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := decoder.Decode(content, nil, nil); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// everyValue sets each value to something that is not its default.
const everyValue = `
fullnameOverride: arrow
replicas: 3
image: {repository: registry.example/manager, tag: v9, pullPolicy: Always}
imagePullSecrets: [pull]
runtimeImage: registry.example/flightruntime:v9
watchNamespaces: [one, two]
maxConcurrentReconciles: 7
log: {level: debug, format: text}
crds: {install: true}
serviceAccount: {name: runner, annotations: {a: b}}
metrics:
  service: {annotations: {c: d}}
  serviceMonitor: {create: true, labels: {team: data}, interval: 15s}
  prometheusRule: {create: true, labels: {team: alerts}}
resources: {requests: {cpu: 1}, limits: {memory: 1Gi}}
podAnnotations: {e: f}
podLabels: {g: h}
priorityClassName: system-cluster-critical
nodeSelector: {disk: fast}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [node-1]}]}]}}}
`

func TestEveryValueTakesEffect(t *testing.T) {
	all := helmObjects(t, everyValue)
	deployment := all.one(t, "Deployment")
	container := at[[]any](t, deployment, "spec", "template", "spec", "containers")[0].(map[string]any)

	equal(t, "name", deployment.GetName(), "arrow-manager")
	equal(t, "replicas", at[int64](t, deployment, "spec", "replicas"), 3)
	equal(t, "disruption budget", all.one(t, "PodDisruptionBudget").GetName(), "arrow-manager")
	equal(t, "image", container["image"], any("registry.example/manager:v9"))
	equal(t, "pull policy", container["imagePullPolicy"], any("Always"))
	equal(t, "pull secrets", at[[]any](t, deployment, "spec", "template", "spec", "imagePullSecrets"), []any{map[string]any{"name": "pull"}})
	equal(t, "arguments", container["args"], any([]any{
		"--leader-elect",
		"--metrics-bind-address=:8080",
		"--health-probe-bind-address=:8081",
		"--runtime-image=registry.example/flightruntime:v9",
		"--namespace=one",
		"--namespace=two",
		"--max-concurrent-reconciles=7",
		"--log-level=debug",
		"--log-format=text",
	}))
	equal(t, "account", at[string](t, deployment, "spec", "template", "spec", "serviceAccountName"), "runner")
	equal(t, "account's annotations", all.one(t, "ServiceAccount").GetAnnotations(), map[string]string{"a": "b"})
	equal(t, "metrics annotations", all.one(t, "Service").GetAnnotations(), map[string]string{"c": "d"})
	equal(t, "monitor's label", all.one(t, "ServiceMonitor").GetLabels()["team"], "data")
	equal(t, "rule's label", all.one(t, "PrometheusRule").GetLabels()["team"], "alerts")
	equal(t, "scrape interval", at[[]any](t, all.one(t, "ServiceMonitor"), "spec", "endpoints")[0].(map[string]any)["interval"], any("15s"))
	equal(t, "memory", container["resources"].(map[string]any)["limits"], any(map[string]any{"memory": "1Gi"}))
	equal(t, "pod annotation", at[string](t, deployment, "spec", "template", "metadata", "annotations", "e"), "f")
	equal(t, "pod label", at[string](t, deployment, "spec", "template", "metadata", "labels", "g"), "h")
	equal(t, "priority", at[string](t, deployment, "spec", "template", "spec", "priorityClassName"), "system-cluster-critical")
	equal(t, "node selector", at[map[string]any](t, deployment, "spec", "template", "spec", "nodeSelector"),
		map[string]any{"disk": "fast", "kubernetes.io/os": "linux"})
	equal(t, "tolerations", len(at[[]any](t, deployment, "spec", "template", "spec", "tolerations")), 1)
	equal(t, "affinity", len(at[map[string]any](t, deployment, "spec", "template", "spec", "affinity")), 1)
}

func TestWatchedNamespacesNeedNoClusterRole(t *testing.T) {
	cluster := helmObjects(t, "").keys()
	if !slices.Contains(cluster, "ClusterRole//flight-operator-manager") {
		t.Fatalf("expected a ClusterRole for the manager of all namespaces, got %q", cluster)
	}
	all := helmObjects(t, "watchNamespaces: [one, two]")
	var managers []string
	for _, key := range all.keys() {
		if strings.Contains(key, "Role") && strings.HasSuffix(key, "/flight-operator-manager") {
			managers = append(managers, key)
		}
	}
	equal(t, "roles of the manager", managers, []string{
		"Role/one/flight-operator-manager",
		"Role/two/flight-operator-manager",
		"RoleBinding/one/flight-operator-manager",
		"RoleBinding/two/flight-operator-manager",
	})
	subject := at[[]any](t, all["RoleBinding/two/flight-operator-manager"], "subjects")[0].(map[string]any)
	equal(t, "bound account's namespace", subject["namespace"], any(namespace))
}

func TestPartsThatCanBeLeftOut(t *testing.T) {
	for _, tc := range []struct{ values, kind string }{
		{"crds: {install: false}", "CustomResourceDefinition"},
		{"serviceAccount: {create: false, name: other}", "ServiceAccount"},
		{"metrics: {service: {create: false}}", "Service"},
		{"{userRoles: {create: false}, watchNamespaces: [one]}", "ClusterRole"},
	} {
		t.Run(tc.values, func(t *testing.T) {
			for _, key := range helmObjects(t, tc.values).keys() {
				if strings.HasPrefix(key, tc.kind+"/") {
					t.Errorf("%s is still there", key)
				}
			}
		})
	}
}

func TestDefinitionsAreKept(t *testing.T) {
	crd := helmObjects(t, "").one(t, "CustomResourceDefinition")
	equal(t, "resource policy", crd.GetAnnotations()["helm.sh/resource-policy"], "keep")
}

func TestReleaseNameBecomesPartOfNames(t *testing.T) {
	all := helmObjects(t, "nameOverride: arrow")
	equal(t, "name", all.one(t, "Deployment").GetName(), "flight-operator-arrow-manager")
	if all["ClusterRole//flight-operator-arrow-flightserver-viewer"] == nil {
		t.Errorf("the roles for users keep another name: %q", all.keys())
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, tc := range []struct{ name, values, want string }{
		{"a name that is none", "replica: 2", "'replica'"},
		{"a nested name that is none", "image: {name: x}", "'name'"},
		{"a string for a number", `replicas: "2"`, "/replicas"},
		{"a policy that is none", "image: {pullPolicy: Sometimes}", "'IfNotPresent'"},
		{"a namespace that is none", "watchNamespaces: [Data]", "/watchNamespaces/0"},
		{"no account", "serviceAccount: {create: false}", "serviceAccount.name"},
		{"a monitor without a Service", "metrics: {service: {create: false}, serviceMonitor: {create: true}}", "needs metrics.service.create"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := helm(t, tc.values)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// at returns a field of an object.
func at[T any](t *testing.T, u *unstructured.Unstructured, fields ...string) T {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(u.Object, fields...)
	if err != nil || !found {
		t.Fatalf("%s %s has no field %s (%v)", u.GetKind(), u.GetName(), strings.Join(fields, "."), err)
	}
	typed, ok := value.(T)
	if !ok {
		t.Fatalf("%s %s: field %s is a %T", u.GetKind(), u.GetName(), strings.Join(fields, "."), value)
	}
	return typed
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: -want +got:\n%s", what, diff)
	}
}
