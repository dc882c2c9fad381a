package desired

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
)

const (
	// progressDeadlineSeconds is Kubernetes' own default: time for an image to be pulled, a volume to be attached and datasets to be read.
	progressDeadlineSeconds = 600
	// revisionHistoryLimit is how many old ReplicaSets stay, for kubectl rollout history; the operator does not roll back to them.
	revisionHistoryLimit = 3
)

// Deployment runs the servers. A rollout adds a server before it takes one away, so that there are never fewer than specified.
func Deployment(p Params) (*appsv1ac.DeploymentApplyConfiguration, error) {
	fs := p.FlightServer
	template, err := podTemplate(p)
	if err != nil {
		return nil, fmt.Errorf("spec.podTemplate: %w", err)
	}
	annotations, err := chooseImage(p, template)
	if err != nil {
		return nil, err
	}
	spec := appsv1ac.DeploymentSpec().
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(fs.Name))).
		WithTemplate(template).
		WithStrategy(appsv1ac.DeploymentStrategy().
			WithType(appsv1.RollingUpdateDeploymentStrategyType).
			WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
				WithMaxSurge(intstr.FromInt32(1)).
				WithMaxUnavailable(intstr.FromInt32(0)))).
		WithRevisionHistoryLimit(revisionHistoryLimit).
		WithProgressDeadlineSeconds(progressDeadlineSeconds)
	if fs.Spec.Replicas != nil {
		// Left out, the number is anybody's to set, an autoscaler's for instance.
		spec.WithReplicas(*fs.Spec.Replicas)
	}
	deployment := appsv1ac.Deployment(fs.Name, fs.Namespace)
	deployment.ObjectMetaApplyConfiguration = meta(fs, fs.Name).WithAnnotations(annotations)
	return deployment.WithSpec(spec), nil
}

// chooseImage sets the image of the server's container, and gives the annotations of the Deployment that remember the choice. A release of
// the operator brings another default image; as long as the pod template is the same otherwise, the pods keep the one they have, so that an
// upgrade of the operator alone restarts nothing.
func chooseImage(p Params, template *corev1ac.PodTemplateSpecApplyConfiguration) (annotations map[string]string, err error) {
	container := &template.Spec.Containers[0]
	if image := p.FlightServer.Spec.Image; image != "" {
		container.WithImage(image)
		return nil, nil
	}
	data, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("hash the pod template: %w", err)
	}
	templateHash, image := hash(data), p.DefaultImage
	if b := p.Before; b != nil && b.ObjectMetaApplyConfiguration != nil && b.Annotations[AnnotationTemplateHash] == templateHash && b.Annotations[AnnotationRuntimeImage] != "" {
		image = b.Annotations[AnnotationRuntimeImage]
	}
	container.WithImage(image)
	return map[string]string{AnnotationTemplateHash: templateHash, AnnotationRuntimeImage: image}, nil
}
