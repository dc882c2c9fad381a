package status_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/probe"
	"github.com/flight-operator/flight-operator/controllers/status"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// now is when the conditions are computed.
var now = time.Unix(1_000_000, 0)

// observe is what is seen of a FlightServer with one dataset and two servers that are as specified, but for the edits.
func observe(edits ...func(*status.Observation)) *status.Observation {
	o := &status.Observation{
		Generation: 7,
		Wanted:     2,
		Datasets:   []string{"trips"},
		ConfigHash: "new",
		Deployment: &appsv1.Deployment{Status: appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}},
		Pods:       []corev1.Pod{pod("a"), pod("b")},
		Results:    map[string]probe.Result{"a": serving("new"), "b": serving("new")},
	}
	for _, edit := range edits {
		edit(o)
	}
	return o
}

func pod(name string, edits ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: name},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

func deleted(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }

func waiting(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		unready(p)
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "flightruntime", Image: "example.test/i", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func serving(hash string, datasets ...flightruntime.DatasetHealth) probe.Result {
	if datasets == nil {
		datasets = []flightruntime.DatasetHealth{{Name: "trips", State: flightruntime.DatasetReady, Rows: 10, Bytes: 100, Files: 1, SchemaFingerprint: "f"}}
	}
	return probe.Result{
		State:     v1alpha1.ServerServing,
		LastProbe: time.Unix(100, 0),
		Health:    &flightruntime.Health{Status: flightruntime.Serving, Version: "v1", ConfigHash: hash, Datasets: datasets},
	}
}

func unreachable(reason string) probe.Result {
	r := serving("new")
	r.State, r.Reason, r.Message = v1alpha1.ServerUnreachable, reason, "no answer within 2s"
	return r
}

func trips(state flightruntime.DatasetState, message string) flightruntime.DatasetHealth {
	return flightruntime.DatasetHealth{Name: "trips", State: state, Message: message}
}

func results(a, b probe.Result) func(*status.Observation) {
	return func(o *status.Observation) { o.Results = map[string]probe.Result{"a": a, "b": b} }
}

func pods(pods ...corev1.Pod) func(*status.Observation) {
	return func(o *status.Observation) { o.Pods = pods }
}

// starting is a Deployment of which one server is not available yet.
func starting(o *status.Observation) { o.Deployment.Status.AvailableReplicas = 1 }

func progressing(s corev1.ConditionStatus, reason string) func(*status.Observation) {
	return func(o *status.Observation) {
		o.Deployment.Status.Conditions = append(o.Deployment.Status.Conditions, appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: s, Reason: reason})
	}
}

func TestConditions(t *testing.T) {
	pending := probe.Result{State: v1alpha1.ServerPending}
	for _, c := range []struct {
		name string
		seen *status.Observation
		// want is each condition as TYPE=STATUS REASON, in their order.
		want []string
		// message is part of that of Ready.
		message string
	}{
		{
			name:    "all as specified",
			seen:    observe(),
			want:    []string{"Ready=True Ready", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed"},
			message: "2 servers answered HealthCheck and 1 dataset served",
		},
		{
			name: "no datasets are specified",
			seen: observe(func(o *status.Observation) { o.Datasets = nil }),
			want: []string{"Ready=True Ready", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed"},
		},
		{
			name: "just created",
			seen: observe(pods(), results(pending, pending), func(o *status.Observation) { o.Deployment = nil }),
			want: []string{"Ready=False Progressing", "Available=False NoServerAvailable", "DatasetsReady=Unknown NotProbed", "Reachable=Unknown NotProbed", "Reconciling=True Progressing"},
		},
		{
			name:    "the Deployment's controller has not seen the change yet",
			seen:    observe(func(o *status.Observation) { o.Deployment.Generation = 2 }),
			want:    []string{"Ready=False Progressing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Progressing"},
			message: "is being updated",
		},
		{
			name:    "a rollout under way",
			seen:    observe(func(o *status.Observation) { o.Deployment.Status.UpdatedReplicas = 1; o.Deployment.Status.Replicas = 3 }),
			want:    []string{"Ready=False Progressing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Progressing"},
			message: "1 of 2 servers have been created",
		},
		{
			name:    "scaling down",
			seen:    observe(func(o *status.Observation) { o.Wanted = 1; o.Deployment.Status.AvailableReplicas = 2 }),
			want:    []string{"Ready=False Progressing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Progressing"},
			message: "1 servers too many",
		},
		{
			name: "scaled to zero",
			seen: observe(pods(), func(o *status.Observation) {
				o.Wanted = 0
				o.Deployment.Status = appsv1.DeploymentStatus{}
				o.Results = nil
			}),
			want: []string{"Ready=True ScaledToZero", "Available=False ScaledToZero", "DatasetsReady=Unknown ScaledToZero", "Reachable=Unknown NotProbed"},
		},
		{
			name: "a pod that cannot be scheduled",
			seen: observe(starting, pods(pod("a"), pod("b", unready, func(p *corev1.Pod) {
				p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node has a GPU"})
			}))),
			want:    []string{"Ready=False Unschedulable", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Unschedulable"},
			message: "no node has a GPU",
		},
		{
			name:    "no image",
			seen:    observe(starting, pods(pod("a", waiting("ErrImagePull", "not found")))),
			want:    []string{"Ready=False ImagePullFailed", "Available=False ImagePullFailed", "DatasetsReady=Unknown NotProbed", "Reachable=Unknown NotProbed", "Reconciling=True ImagePullFailed"},
			message: "cannot get image example.test/i (ErrImagePull): not found",
		},
		{
			name:    "a container that cannot be made",
			seen:    observe(starting, pods(pod("a", waiting("CreateContainerConfigError", `secret "keys" not found`)))),
			want:    []string{"Ready=False ContainerFailed", "Available=False ContainerFailed", "DatasetsReady=Unknown NotProbed", "Reachable=Unknown NotProbed", "Reconciling=True ContainerFailed"},
			message: `secret "keys" not found`,
		},
		{
			name: "a container that runs again after a crash, and is not ready",
			seen: observe(starting, pods(pod("a", unready, func(p *corev1.Pod) {
				p.Status.ContainerStatuses = []corev1.ContainerStatus{{
					Name: "flightruntime", RestartCount: 2, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
					LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}},
				}}
			}))),
			want:    []string{"Ready=False ContainerFailed", "Available=False ContainerFailed", "DatasetsReady=Unknown NotProbed", "Reachable=Unknown NotProbed", "Reconciling=True ContainerFailed"},
			message: "exit code 137 (OOMKilled) after 2 restarts",
		},
		{
			name: "a container that is on its way",
			seen: observe(starting, pods(pod("a"), pod("b", waiting("ContainerCreating", "")))),
			want: []string{"Ready=False Progressing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Progressing"},
		},
		{
			name: "pods that a quota forbids",
			seen: observe(starting, pods(), func(o *status.Observation) {
				o.Deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota: pods=0"}}
			}),
			want:    []string{"Ready=False PodsForbidden", "Available=False PodsForbidden", "DatasetsReady=Unknown NotProbed", "Reachable=Unknown NotProbed", "Reconciling=True PodsForbidden"},
			message: "exceeded quota",
		},
		{
			name:    "a rollout that comes to nothing",
			seen:    observe(starting, pods(pod("a"), pod("b", waiting("ErrImagePull", "not found"))), progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded")),
			want:    []string{"Ready=False ProgressDeadlineExceeded", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Stalled=True ProgressDeadlineExceeded"},
			message: "not found",
		},
		{
			name: "the deadline of a specification before this one",
			seen: observe(starting, progressing(corev1.ConditionFalse, "ProgressDeadlineExceeded"), func(o *status.Observation) { o.Deployment.Generation = 2 }),
			want: []string{"Ready=False Progressing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Progressing"},
		},
		{
			name: "a specification that is wrong",
			seen: observe(func(o *status.Observation) {
				o.Stalled = &status.Problem{Reason: "InvalidSpec", Message: "spec.x: mend it"}
			}),
			want:    []string{"Ready=False InvalidSpec", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Stalled=True InvalidSpec"},
			message: "spec.x: mend it",
		},
		{
			name: "an object that could not be applied, and is tried again",
			seen: observe(func(o *status.Observation) {
				o.Pending = &status.Problem{Reason: "ApplyFailed", Message: "etcd is away"}
			}),
			want:    []string{"Ready=False ApplyFailed", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True ApplyFailed"},
			message: "etcd is away",
		},
		{
			name: "ready, and not probed yet: no failure",
			seen: observe(results(serving("new"), pending)),
			want: []string{"Ready=False NotProbed", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=Unknown NotProbed", "Reconciling=True NotProbed"},
		},
		{
			name:    "ready, and not to be reached by the operator: not down, and not stalled",
			seen:    observe(results(serving("new"), unreachable("ProbeTimeout"))),
			want:    []string{"Ready=False ProbeTimeout", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=False ProbeTimeout"},
			message: "1 of 2 ready servers (b): no answer within 2s",
		},
		{
			name: "none to be reached: what they serve is not known",
			seen: observe(results(unreachable("ProbeTimeout"), unreachable("ProbeTimeout"))),
			want: []string{"Ready=False ProbeTimeout", "Available=True ServersAvailable", "DatasetsReady=Unknown NotProbed", "Reachable=False ProbeTimeout"},
		},
		{
			name: "a server that is not ready and does not answer is no matter of reach",
			seen: observe(starting, pods(pod("a"), pod("b", unready)), results(serving("new"), unreachable("ConnectionFailed"))),
			want: []string{"Ready=False Progressing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed", "Reconciling=True Progressing"},
		},
		{
			name: "a server on its way out is no matter at all",
			seen: observe(pods(pod("a"), pod("b"), pod("c", deleted)), func(o *status.Observation) { o.Results["c"] = unreachable("ConnectionFailed") }),
			want: []string{"Ready=True Ready", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=True ProbesSucceed"},
		},
		{
			name:    "a server with the configuration before",
			seen:    observe(results(serving("new"), serving("old"))),
			want:    []string{"Ready=False ConfigurationPending", "Available=True ServersAvailable", "DatasetsReady=False ConfigurationPending", "Reachable=True ProbesSucceed", "Reconciling=True ConfigurationPending"},
			message: "waiting for b to serve configuration new",
		},
		{
			name: "a server that cannot take the configuration: nothing is under way",
			seen: observe(func(o *status.Observation) {
				r := serving("old")
				r.Health.ConfigError = "unknown field datasets[0].colour"
				o.Results["b"] = r
			}),
			want:    []string{"Ready=False ConfigurationPending", "Available=True ServersAvailable", "DatasetsReady=False ConfigurationPending", "Reachable=True ProbesSucceed"},
			message: "unknown field datasets[0].colour",
		},
		{
			name: "what failed before the change says nothing of it",
			seen: observe(results(serving("old", trips(flightruntime.DatasetFailed, "broken")), serving("old", trips(flightruntime.DatasetFailed, "broken")))),
			want: []string{"Ready=False ConfigurationPending", "Available=True ServersAvailable", "DatasetsReady=False ConfigurationPending", "Reachable=True ProbesSucceed", "Reconciling=True ConfigurationPending"},
		},
		{
			name:    "a dataset that is loading",
			seen:    observe(results(serving("new"), serving("new", trips(flightruntime.DatasetLoading, "")))),
			want:    []string{"Ready=False DatasetsLoading", "Available=True ServersAvailable", "DatasetsReady=False DatasetsLoading", "Reachable=True ProbesSucceed", "Reconciling=True DatasetsLoading"},
			message: "dataset trips is Loading: on pod b",
		},
		{
			name:    "a dataset that one server cannot read",
			seen:    observe(results(serving("new"), serving("new", trips(flightruntime.DatasetDegraded, "row 3 is too wide")))),
			want:    []string{"Ready=False DatasetsFailed", "Available=True ServersAvailable", "DatasetsReady=False DatasetsFailed", "Reachable=True ProbesSucceed"},
			message: "dataset trips is Degraded: on pod b: row 3 is too wide",
		},
		{
			name: "a source that does not exist",
			seen: observe(func(o *status.Observation) {
				o.Missing = map[string]string{"trips": "ConfigMap data/x does not exist: create it"}
			}),
			want:    []string{"Ready=False SourceNotFound", "Available=True ServersAvailable", "DatasetsReady=False SourceNotFound", "Reachable=True ProbesSucceed"},
			message: "dataset trips: ConfigMap data/x does not exist: create it",
		},
		{
			name: "a server that says it does not serve",
			seen: observe(func(o *status.Observation) {
				r := serving("new")
				r.State, r.Reason, r.Message = v1alpha1.ServerNotServing, v1alpha1.ReasonNotServing, "answers NOT_SERVING"
				o.Results["a"] = r
			}),
			want:    []string{"Ready=False NotServing", "Available=True ServersAvailable", "DatasetsReady=True DatasetsServed", "Reachable=False NotServing"},
			message: "(a): answers NOT_SERVING",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			conditions := status.Conditions(c.seen, status.Datasets(c.seen), now)
			wantConditions(t, conditions, c.want, v1alpha1.ConditionReady, c.message)
		})
	}
}

func TestSuspended(t *testing.T) {
	seen := observe(starting)
	got := status.Suspended(status.Conditions(seen, status.Datasets(seen), now), 9)
	var types []string
	for _, c := range got {
		types = append(types, c.Type+"="+string(c.Status))
	}
	want := []string{"Ready=Unknown", "Available=True", "DatasetsReady=True", "Reachable=True"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
}

func TestDatasets(t *testing.T) {
	for _, c := range []struct {
		name string
		seen *status.Observation
		want v1alpha1.DatasetStatus
	}{
		{"served by all", observe(), v1alpha1.DatasetStatus{Name: "trips", State: "Ready", Rows: ptr.To[int64](10), Bytes: ptr.To[int64](100), Files: ptr.To[int32](1), SchemaFingerprint: "f"}},
		{"nobody has told", observe(pods()), v1alpha1.DatasetStatus{Name: "trips", State: "Unknown"}},
		{"the worst counts", observe(results(serving("new", trips("Loading", "")), serving("new", trips("Failed", "no file")))), v1alpha1.DatasetStatus{Name: "trips", State: "Failed", Message: "on pod b: no file"}},
		{"all say the same", observe(results(serving("new", trips("Failed", "no file")), serving("new", trips("Failed", "no file")))), v1alpha1.DatasetStatus{Name: "trips", State: "Failed", Message: "no file"}},
		{"those with the configuration before do not count beside one with the current", observe(results(serving("old", trips("Failed", "no file")), serving("new", trips("Loading", "")))), v1alpha1.DatasetStatus{Name: "trips", State: "Loading"}},
		{"missing, whatever the servers say", observe(func(o *status.Observation) {
			o.Datasets = []string{"gone"}
			o.Missing = map[string]string{"gone": "create it"}
		}), v1alpha1.DatasetStatus{Name: "gone", State: "Failed", Message: "create it"}},
		{"a state that a newer runtime made up", observe(results(serving("new", trips("Dreaming", "")), serving("new", trips("Dreaming", "")))), v1alpha1.DatasetStatus{Name: "trips", State: "Unknown", Message: `expected one of the states [Failed Degraded Unknown Loading Ready], got "Dreaming": is the runtime newer than the operator?`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]v1alpha1.DatasetStatus{c.want}, status.Datasets(c.seen)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestListsAreBoundedWithTroubleFirst(t *testing.T) {
	seen := observe(pods(), func(o *status.Observation) {
		o.Datasets = nil
		var healths []flightruntime.DatasetHealth
		for i := range 500 {
			name := fmt.Sprintf("d%03d", i)
			state := flightruntime.DatasetReady
			if i == 499 {
				state = flightruntime.DatasetFailed
			}
			o.Datasets = append(o.Datasets, name)
			healths = append(healths, flightruntime.DatasetHealth{Name: name, State: state})
		}
		for i := range 80 {
			p := pod(fmt.Sprintf("p%02d", i))
			o.Pods = append(o.Pods, p)
			o.Results[p.Name] = serving("new", healths...)
		}
		o.Results["p79"] = unreachable("ProbeTimeout")
	})
	got := status.Compute(seen, v1alpha1.FlightServerStatus{}, metav1.Now())
	if len(got.Datasets) != v1alpha1.MaxStatusDatasets || got.Datasets[0].Name != "d499" || got.Datasets[1].Name != "d000" {
		t.Errorf("%d datasets, %s first, then %s", len(got.Datasets), got.Datasets[0].Name, got.Datasets[1].Name)
	}
	if len(got.Servers) != v1alpha1.MaxStatusServers || got.Servers[0].Pod != "p79" || got.Servers[1].Pod != "p00" {
		t.Errorf("%d servers, %s first, then %s", len(got.Servers), got.Servers[0].Pod, got.Servers[1].Pod)
	}
	if got.Summary.Datasets != "499/500" || got.Summary.Servers != "80/2" || got.Replicas != 80 {
		t.Errorf("counts %+v of %d replicas", got.Summary, got.Replicas)
	}
}

func TestSame(t *testing.T) {
	base := func() v1alpha1.FlightServerStatus {
		return status.Compute(observe(), v1alpha1.FlightServerStatus{}, metav1.NewTime(time.Unix(1, 0)))
	}
	for _, c := range []struct {
		name string
		edit func(*v1alpha1.FlightServerStatus)
		same bool
	}{
		{"nothing", func(*v1alpha1.FlightServerStatus) {}, true},
		{"a probe's time", func(s *v1alpha1.FlightServerStatus) { s.Servers[0].LastProbe = nil }, true},
		{"a probe's latency", func(s *v1alpha1.FlightServerStatus) { s.Servers[0].Latency = &metav1.Duration{Duration: 5} }, true},
		{"running calls", func(s *v1alpha1.FlightServerStatus) { s.Servers[0].ActiveStreams = ptr.To[int32](3) }, true},
		{"the time of a refresh", func(s *v1alpha1.FlightServerStatus) { s.Datasets[0].RefreshedAt = ptr.To(metav1.Now()) }, true},
		{"rows", func(s *v1alpha1.FlightServerStatus) { s.Datasets[0].Rows = ptr.To[int64](11) }, false},
		{"a server's state", func(s *v1alpha1.FlightServerStatus) { s.Servers[0].State = v1alpha1.ServerUnreachable }, false},
		{"a message", func(s *v1alpha1.FlightServerStatus) { s.Conditions[0].Message = "another" }, false},
		{"the generation", func(s *v1alpha1.FlightServerStatus) { s.ObservedGeneration++ }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := base(), base()
			c.edit(&b)
			if got := status.Same(&a, &b); got != c.same {
				t.Errorf("same: %t, expected %t", got, c.same)
			}
		})
	}
}

func TestTransitionTimes(t *testing.T) {
	early, late := metav1.NewTime(time.Unix(1, 0)), metav1.NewTime(time.Unix(2, 0))
	before := []metav1.Condition{{Type: "Ready", Status: "True", Reason: "A", LastTransitionTime: early}, {Type: "Available", Status: "True", LastTransitionTime: early}}
	after := []metav1.Condition{{Type: "Ready", Status: "True", Reason: "B"}, {Type: "Available", Status: "False"}}
	got := status.Merge(before, after, late)
	if got[0].LastTransitionTime != early || got[1].LastTransitionTime != late {
		t.Errorf("a transition is a change of the status: %+v", got)
	}
	if changed := status.Changed(before, got); len(changed) != 2 {
		t.Errorf("a new reason and a new status are both news: %+v", changed)
	}
	if changed := status.Changed(nil, []metav1.Condition{{Type: "Ready", Status: "False"}, {Type: "Available", Status: "False"}}); len(changed) != 1 || changed[0].Type != "Ready" {
		t.Errorf("of a new FlightServer, Ready says it all: %+v", changed)
	}
	if changed := status.Changed(before, []metav1.Condition{{Type: "Ready", Status: "Unknown", Reason: v1alpha1.ReasonNotProbed}}); changed != nil {
		t.Errorf("that something is not known yet is no news: %+v", changed)
	}
	if changed := status.Changed(got, got); changed != nil {
		t.Errorf("nothing is no news: %+v", changed)
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct{ name, message string }{
		{"short", "fine"},
		{"of the very length", strings.Repeat("x", v1alpha1.MaxStatusMessage)},
		{"long", strings.Repeat("x", v1alpha1.MaxStatusMessage+1)},
		{"of long characters", strings.Repeat("€", v1alpha1.MaxStatusMessage)},
		{"of no characters", "\xff\xfe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := status.Cut(c.message)
			if len(got) > v1alpha1.MaxStatusMessage || strings.ToValidUTF8(got, "") != got {
				t.Errorf("%d bytes: %q", len(got), got)
			}
			if cut := strings.HasSuffix(got, "…"); cut != (len(c.message) > v1alpha1.MaxStatusMessage) {
				t.Errorf("cut: %t, for %q", cut, got)
			}
		})
	}
}
