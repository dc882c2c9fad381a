package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// finding is a condition before it has a type.
type finding struct {
	status  metav1.ConditionStatus
	reason  string
	message string
	// moving is whether the finding is expected to pass without anybody's doing.
	moving bool
}

func isTrue(reason, format string, args ...any) finding {
	return finding{status: metav1.ConditionTrue, reason: reason, message: fmt.Sprintf(format, args...)}
}

func isFalse(reason, format string, args ...any) finding {
	return finding{status: metav1.ConditionFalse, reason: reason, message: fmt.Sprintf(format, args...)}
}

func isUnknown(reason, format string, args ...any) finding {
	return finding{status: metav1.ConditionUnknown, reason: reason, message: fmt.Sprintf(format, args...)}
}

func (f finding) inMotion() finding {
	f.moving = true
	return f
}

func (f finding) condition(t string, generation int64) metav1.Condition {
	return metav1.Condition{Type: t, Status: f.status, Reason: f.reason, Message: Cut(f.message), ObservedGeneration: generation}
}

// Conditions are those of a FlightServer, without the times of their transitions: Ready, Available, DatasetsReady and Reachable always,
// CertificateReady and CertificateServed with TLS, AuthReady with auth, Reconciling and Stalled while they hold. The list of datasets has to be of all.
func Conditions(o *Observation, all []v1alpha1.DatasetStatus, now time.Time) []metav1.Condition {
	available, reachable, datasets := available(o), reachable(o), datasetsReady(o, all)
	causes := []finding{available, reachable, datasets}
	var further []metav1.Condition
	if c := o.Certificate; c != nil {
		ready, served := certificateReady(c), certificateServed(o, now)
		further = []metav1.Condition{
			ready.condition(v1alpha1.ConditionCertificateReady, o.Generation),
			served.condition(v1alpha1.ConditionCertificateServed, o.Generation),
		}
		// Without a certificate no server is available, so that it comes first.
		causes = []finding{ready, available, reachable, served, datasets}
	}
	if o.Auth != nil {
		auth := authReady(o)
		further = append(further, auth.condition(v1alpha1.ConditionAuthReady, o.Generation))
		causes = append(causes, auth)
	}
	ready, stalled := summarise(o, causes, isTrue(v1alpha1.ReasonReady, "%s and %s", reachable.message, datasets.message))
	conditions := append([]metav1.Condition{
		ready.condition(v1alpha1.ConditionReady, o.Generation),
		available.condition(v1alpha1.ConditionAvailable, o.Generation),
		datasets.condition(v1alpha1.ConditionDatasetsReady, o.Generation),
		reachable.condition(v1alpha1.ConditionReachable, o.Generation),
	}, further...)
	switch {
	case stalled:
		conditions = append(conditions, isTrue(ready.reason, "%s", ready.message).condition(v1alpha1.ConditionStalled, o.Generation))
	case ready.moving:
		conditions = append(conditions, isTrue(ready.reason, "%s", ready.message).condition(v1alpha1.ConditionReconciling, o.Generation))
	}
	return conditions
}

// Suspended are the conditions of a FlightServer that is left alone. What the others said was true when it was last looked at; Ready cannot
// be known, for neither the specification nor the servers are looked at.
func Suspended(before []metav1.Condition, generation int64) []metav1.Condition {
	after := []metav1.Condition{isUnknown(v1alpha1.ReasonSuspended,
		"the operator leaves the objects of this FlightServer alone and does not probe its servers; to go on, set spec.suspend to None").condition(v1alpha1.ConditionReady, generation)}
	for _, c := range before {
		switch c.Type {
		case v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled:
		default:
			after = append(after, c)
		}
	}
	return after
}

// summarise is the Ready condition: the first thing that is not as specified, from the causes to their effects, or else that all is well.
func summarise(o *Observation, causes []finding, well finding) (ready finding, stalled bool) {
	if o.Stalled != nil {
		return isFalse(o.Stalled.Reason, "%s", o.Stalled.Message), true
	}
	if o.Pending != nil {
		return isFalse(o.Pending.Reason, "%s", o.Pending.Message).inMotion(), false
	}
	if p := o.deadlineExceeded(); p != nil {
		return isFalse(p.Reason, "%s", p.Message), true
	}
	if moving := o.rollingOut(); moving != "" {
		if f := causes[0]; o.Certificate != nil && f.status != metav1.ConditionTrue {
			return f, false
		}
		if t := o.trouble(); t != nil {
			return isFalse(t.Reason, "%s", t.Message).inMotion(), false
		}
		return isFalse(v1alpha1.ReasonProgressing, "%s", moving).inMotion(), false
	}
	if o.Wanted == 0 {
		return isTrue(v1alpha1.ReasonScaledToZero, "spec.replicas is 0: nothing serves, as specified"), false
	}
	for _, f := range causes {
		if f.status != metav1.ConditionTrue {
			f.status = metav1.ConditionFalse
			return f, false
		}
	}
	return well, false
}

func available(o *Observation) finding {
	ready := len(o.ready())
	switch t := o.trouble(); {
	case ready > 0:
		return isTrue(v1alpha1.ReasonServersAvailable, "%d of %d servers take calls", ready, o.Wanted)
	case o.Wanted == 0:
		return isFalse(v1alpha1.ReasonScaledToZero, "spec.replicas is 0")
	case t != nil:
		return isFalse(t.Reason, "%s", t.Message)
	default:
		return isFalse(v1alpha1.ReasonNoServerAvailable, "none of %s takes calls yet", count(int(o.Wanted), "server")).inMotion()
	}
}

// reachable looks at ready servers alone: that others do not answer is no wonder.
func reachable(o *Observation) finding {
	ready := o.ready()
	if len(ready) == 0 {
		return isUnknown(v1alpha1.ReasonNotProbed, "no server is ready to be probed").inMotion()
	}
	slices.SortFunc(ready, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	for _, state := range []v1alpha1.ServerState{v1alpha1.ServerUnreachable, v1alpha1.ServerNotServing} {
		var pods []string
		var reason, message string
		for _, pod := range ready {
			if r := o.result(pod); r.State == state {
				if pods == nil {
					reason, message = r.Reason, r.Message
				}
				pods = append(pods, pod.Name)
			}
		}
		if pods != nil {
			return isFalse(reason, "%d of %d ready servers (%s): %s", len(pods), len(ready), some(pods), message)
		}
	}
	var unprobed []string
	for _, pod := range ready {
		if o.result(pod).State == pendingState {
			unprobed = append(unprobed, pod.Name)
		}
	}
	if unprobed != nil {
		return isUnknown(v1alpha1.ReasonNotProbed, "not probed yet: %s", some(unprobed)).inMotion()
	}
	return isTrue(v1alpha1.ReasonProbesSucceed, "%s answered HealthCheck", count(len(ready), "server"))
}

func datasetsReady(o *Observation, all []v1alpha1.DatasetStatus) finding {
	if o.Wanted == 0 && len(o.live()) == 0 {
		return isUnknown(v1alpha1.ReasonScaledToZero, "spec.replicas is 0: no server can tell")
	}
	if missing := missingSources(o); missing != "" {
		return isFalse(v1alpha1.ReasonSourceNotFound, "%s", missing)
	}
	told, behind := o.answers()
	if len(told) == 0 && len(behind) == 0 {
		return isUnknown(v1alpha1.ReasonNotProbed, "no server has told yet").inMotion()
	}
	if len(told) > 0 {
		if failed := inStates(all, v1alpha1.DatasetFailed, v1alpha1.DatasetDegraded, v1alpha1.DatasetUnknown); failed != "" {
			return isFalse(v1alpha1.ReasonDatasetsFailed, "%s", failed)
		}
	}
	if len(behind) > 0 {
		return pendingConfiguration(o, behind)
	}
	if loading := inStates(all, v1alpha1.DatasetLoading); loading != "" {
		return isFalse(v1alpha1.ReasonDatasetsLoading, "%s", loading).inMotion()
	}
	if len(all) == 0 {
		return isTrue(v1alpha1.ReasonDatasetsServed, "no datasets are specified")
	}
	return isTrue(v1alpha1.ReasonDatasetsServed, "%s served", count(len(all), "dataset"))
}

func pendingConfiguration(o *Observation, behind []answer) finding {
	var pods []string
	for _, a := range behind {
		pods = append(pods, a.pod)
		if a.health.ConfigError != "" {
			return isFalse(v1alpha1.ReasonConfigurationPending, "pod %s goes on serving configuration %s, because it cannot take %s: %s", a.pod, a.health.ConfigHash, o.ConfigHash, a.health.ConfigError)
		}
	}
	return isFalse(v1alpha1.ReasonConfigurationPending, "waiting for %s to serve configuration %s", some(pods), o.ConfigHash).inMotion()
}

// missingSources names the objects that do not exist, those of the first datasets in full.
func missingSources(o *Observation) string {
	var messages []string
	for _, name := range o.Datasets {
		if m, ok := o.Missing[name]; ok {
			messages = append(messages, fmt.Sprintf("dataset %s: %s", name, m))
		}
	}
	return fewOf(messages)
}

// inStates describes the datasets in any of some states, the worst in full; empty if there are none.
func inStates(all []v1alpha1.DatasetStatus, states ...v1alpha1.DatasetState) string {
	var hits []v1alpha1.DatasetStatus
	for _, d := range all {
		if slices.Contains(states, d.State) {
			hits = append(hits, d)
		}
	}
	slices.SortStableFunc(hits, func(a, b v1alpha1.DatasetStatus) int { return datasetRank(a.State) - datasetRank(b.State) })
	var messages []string
	for _, d := range hits {
		messages = append(messages, fmt.Sprintf("dataset %s is %s%s", d.Name, d.State, afterColon(d.Message)))
	}
	return fewOf(messages)
}

func fewOf(messages []string) string {
	if len(messages) <= maxNamed {
		return strings.Join(messages, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(messages[:maxNamed], "; "), len(messages)-maxNamed)
}
