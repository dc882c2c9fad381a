package status_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// ofDatasets are the conditions that tests of certificates and auth are not about.
var ofDatasets = []string{v1alpha1.ConditionAvailable, v1alpha1.ConditionDatasetsReady, v1alpha1.ConditionReachable}

// wantConditions holds conditions, but those of types that are left out, against TYPE=STATUS REASON each, in their order, and the message of one of them
// against a part of it. Each has to have a message and the generation that these tests observe.
func wantConditions(t *testing.T, conditions []metav1.Condition, want []string, of, message string, leftOut ...string) {
	t.Helper()
	var got []string
	for _, c := range conditions {
		if c.ObservedGeneration != 7 || c.Message == "" {
			t.Errorf("condition %s without its generation or a message: %+v", c.Type, c)
		}
		if c.Type == of && !strings.Contains(c.Message, message) {
			t.Errorf("message of %s %q, expected %q in it", of, c.Message, message)
		}
		if !slices.Contains(leftOut, c.Type) {
			got = append(got, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
