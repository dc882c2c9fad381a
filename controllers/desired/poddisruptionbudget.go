package desired

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"
)

// PodDisruptionBudget lets nodes be drained one server at a time. It is for more than one server: with one, it would only slow drains down.
// Servers that are not ready may always be evicted: they serve nobody, and would block the drain of their node.
func PodDisruptionBudget(p Params) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	fs := p.FlightServer
	pdb := policyv1ac.PodDisruptionBudget(fs.Name, fs.Namespace)
	pdb.ObjectMetaApplyConfiguration = meta(fs, fs.Name)
	return pdb.WithSpec(policyv1ac.PodDisruptionBudgetSpec().
		WithMaxUnavailable(intstr.FromInt32(1)).
		WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
		WithSelector(metav1ac.LabelSelector().WithMatchLabels(Selector(fs.Name))))
}
