package status

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// imageReasons are the kubelet's words for an image that it cannot get.
var imageReasons = []string{"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}

// startingReasons are the kubelet's words for a container that is still on its way.
var startingReasons = []string{"", "ContainerCreating", "PodInitializing"}

// trouble is what keeps pods from running, the first in the order of the checks and of the pods' names. Nil means that nothing is known to.
func (o *Observation) trouble() *Problem {
	if c := deploymentCondition(o.Deployment, appsv1.DeploymentReplicaFailure); c != nil && c.Status == corev1.ConditionTrue {
		return &Problem{v1alpha1.ReasonPodsForbidden, fmt.Sprintf("pods cannot be created: %s", c.Message)}
	}
	pods := o.live()
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	for _, check := range []func(*corev1.Pod) *Problem{containerFailed, imagePullFailed, unschedulable} {
		for _, pod := range pods {
			if PodReady(pod) {
				continue
			}
			if p := check(pod); p != nil {
				return p
			}
		}
	}
	return nil
}

func unschedulable(pod *corev1.Pod) *Problem {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return &Problem{v1alpha1.ReasonUnschedulable, fmt.Sprintf("pod %s cannot be scheduled: %s", pod.Name, c.Message)}
		}
	}
	return nil
}

func imagePullFailed(pod *corev1.Pod) *Problem {
	for _, c := range containerStatuses(pod) {
		if w := c.State.Waiting; w != nil && slices.Contains(imageReasons, w.Reason) {
			return &Problem{v1alpha1.ReasonImagePullFailed, fmt.Sprintf("pod %s cannot get image %s (%s): %s; check the image's name and spec.podTemplate.imagePullSecrets", pod.Name, c.Image, w.Reason, w.Message)}
		}
	}
	return nil
}

func containerFailed(pod *corev1.Pod) *Problem {
	for _, c := range containerStatuses(pod) {
		ended := c.State.Terminated
		if ended == nil {
			ended = c.LastTerminationState.Terminated
		}
		switch w := c.State.Waiting; {
		case ended != nil && ended.ExitCode != 0:
			return &Problem{v1alpha1.ReasonContainerFailed, fmt.Sprintf("container %s of pod %s ended with exit code %d%s after %d restarts%s; kubectl logs -n %s %s -c %s --previous tells more",
				c.Name, pod.Name, ended.ExitCode, inParentheses(ended.Reason), c.RestartCount, afterColon(ended.Message), pod.Namespace, pod.Name, c.Name)}
		case w != nil && !slices.Contains(imageReasons, w.Reason) && !slices.Contains(startingReasons, w.Reason):
			return &Problem{v1alpha1.ReasonContainerFailed, fmt.Sprintf("container %s of pod %s cannot start (%s)%s", c.Name, pod.Name, w.Reason, afterColon(w.Message))}
		}
	}
	return nil
}

func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// inParentheses adds the kubelet's word for an end, unless it says no more than that there was an error.
func inParentheses(reason string) string {
	if reason == "" || reason == "Error" {
		return ""
	}
	return " (" + reason + ")"
}

func afterColon(message string) string {
	message = strings.TrimSpace(message)
	if message == "" {
		return ""
	}
	return ": " + message
}

func deploymentCondition(d *appsv1.Deployment, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	if d == nil {
		return nil
	}
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == t {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}

// deadlineExceeded is the problem of a rollout that made no progress for the Deployment's progress deadline. No retry of ours helps.
func (o *Observation) deadlineExceeded() *Problem {
	c := deploymentCondition(o.Deployment, appsv1.DeploymentProgressing)
	if c == nil || c.Status != corev1.ConditionFalse || c.Reason != "ProgressDeadlineExceeded" || o.Deployment.Status.ObservedGeneration != o.Deployment.Generation {
		return nil
	}
	message := "the Deployment made no progress for its progress deadline; the servers before, if any, go on serving"
	if t := o.trouble(); t != nil {
		message += ": " + t.Message
	}
	return &Problem{v1alpha1.ReasonProgressDeadlineExceeded, message}
}

// rollingOut says what the Deployment is still about, empty if it is where it should be.
func (o *Observation) rollingOut() string {
	d := o.Deployment
	switch {
	case d == nil:
		return "the Deployment is being created"
	case d.Status.ObservedGeneration != d.Generation:
		return "the Deployment is being updated"
	case d.Status.UpdatedReplicas < o.Wanted:
		return fmt.Sprintf("%d of %d servers have been created to the current specification", d.Status.UpdatedReplicas, o.Wanted)
	case d.Status.Replicas > d.Status.UpdatedReplicas || d.Status.Replicas > o.Wanted:
		return fmt.Sprintf("%d servers too many are being removed", d.Status.Replicas-o.Wanted)
	case d.Status.AvailableReplicas < o.Wanted:
		return fmt.Sprintf("%d of %d servers are available", d.Status.AvailableReplicas, o.Wanted)
	case len(o.ready()) < int(o.Wanted):
		return fmt.Sprintf("%d of %d servers are ready", len(o.ready()), o.Wanted)
	default:
		return ""
	}
}
