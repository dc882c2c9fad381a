package controllers

import (
	"errors"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
)

// Scheme knows all types that the operator works with.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return scheme, errors.Join(cmv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// CacheOptions keep the operator's memory small: of all kinds but FlightServer, ConfigMap and PersistentVolumeClaim only what the operator
// owns is held, of Secrets, ConfigMaps and claims only that they exist. Without namespaces, it watches all.
func CacheOptions(namespaces []string) cache.Options {
	owned := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.LabelManagedByValue})}
	pods := owned
	pods.Transform = stripPod
	secrets := owned
	secrets.Transform = stripMetadata // and of these, no contents: the operator watches their metadata alone
	existence := cache.ByObject{Transform: stripMetadata}
	options := cache.Options{
		// A read that nobody planned for is a mistake: it would fill the memory with all objects of that kind.
		ReaderFailOnMissingInformer: true,
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:            owned,
			&corev1.Service{}:               owned,
			&policyv1.PodDisruptionBudget{}: owned,
			&corev1.Pod{}:                   pods,
			&corev1.Secret{}:                secrets,
			&corev1.ConfigMap{}:             existence,
			&corev1.PersistentVolumeClaim{}: existence,
			&v1alpha1.FlightServer{}:        {Transform: cache.TransformStripManagedFields()},
		},
	}
	options.DefaultNamespaces = CacheNamespaces(namespaces)
	return options
}

// CacheNamespaces are namespaces as caches take them, nil for all.
func CacheNamespaces(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	configs := make(map[string]cache.Config, len(namespaces))
	for _, ns := range namespaces {
		configs[ns] = cache.Config{}
	}
	return configs
}

// stripPod leaves of a pod what the operator looks at.
func stripPod(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	pod.ManagedFields = nil
	pod.Spec = corev1.PodSpec{}
	pod.Annotations = only(pod.Annotations, v1alpha1.AnnotationConfigHash, desired.AnnotationTLS)
	return pod, nil
}

// stripMetadata leaves of an object's metadata what identifies it and its owner. Annotations may hold a copy of the object.
func stripMetadata(object any) (any, error) {
	if m, ok := object.(metav1.Object); ok {
		m.SetManagedFields(nil)
		m.SetAnnotations(nil)
	}
	return object, nil
}

// only is what a map has of some keys, nil if nothing.
func only(m map[string]string, keys ...string) map[string]string {
	var kept map[string]string
	for _, key := range keys {
		if value, ok := m[key]; ok {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[key] = value
		}
	}
	return kept
}
