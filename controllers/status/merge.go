package status

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// Merge gives conditions the times of their last transitions: that of the condition before, as long as its status is the same.
func Merge(before, after []metav1.Condition, now metav1.Time) []metav1.Condition {
	merged := make([]metav1.Condition, 0, len(after))
	for _, c := range after {
		c.LastTransitionTime = now
		if b := meta.FindStatusCondition(before, c.Type); b != nil && b.Status == c.Status {
			c.LastTransitionTime = b.LastTransitionTime
		}
		merged = append(merged, c)
	}
	return merged
}

// Changed are the conditions whose status or reason is another than before, as far as that is news: not that something cannot be known
// yet, and not the state of the other conditions when a FlightServer is new, which Ready sums up. That Reconciling or Stalled came to an
// end is not among them: another condition says what it came to.
func Changed(before, after []metav1.Condition) []metav1.Condition {
	var changed []metav1.Condition
	for _, c := range after {
		b := meta.FindStatusCondition(before, c.Type)
		switch {
		case c.Reason == v1alpha1.ReasonNotProbed:
		case b == nil && len(before) == 0 && c.Type != v1alpha1.ConditionReady:
		case b == nil || b.Status != c.Status || b.Reason != c.Reason:
			changed = append(changed, c)
		}
	}
	return changed
}

// calm are the reasons for which a condition is not True in the ordinary course of things.
var calm = []string{
	v1alpha1.ReasonProgressing,
	v1alpha1.ReasonSuspended,
	v1alpha1.ReasonScaledToZero,
	v1alpha1.ReasonNoServerAvailable,
	v1alpha1.ReasonDatasetsLoading,
	v1alpha1.ReasonConfigurationPending,
	v1alpha1.ReasonNotProbed,
	v1alpha1.ReasonIssuing,
	v1alpha1.ReasonRotating,
	v1alpha1.ReasonAuthPending,
}

// Trouble tells whether a condition says that something is wrong.
func Trouble(c metav1.Condition) bool {
	switch {
	case c.Type == v1alpha1.ConditionStalled, c.Reason == v1alpha1.ReasonAuthInsecure:
		return true
	case c.Type == v1alpha1.ConditionReconciling || c.Status == metav1.ConditionTrue:
		return false
	default:
		return !slices.Contains(calm, c.Reason)
	}
}
