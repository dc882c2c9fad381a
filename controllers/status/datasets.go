package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
)

// datasetRanks orders states from the worst to the best.
var datasetRanks = []v1alpha1.DatasetState{v1alpha1.DatasetFailed, v1alpha1.DatasetDegraded, v1alpha1.DatasetUnknown, v1alpha1.DatasetLoading, v1alpha1.DatasetReady}

func datasetRank(s v1alpha1.DatasetState) int { return slices.Index(datasetRanks, s) }

// answer is what one server says of its datasets.
type answer struct {
	pod      string
	health   *flightruntime.Health
	datasets map[string]flightruntime.DatasetHealth
}

// answers are those of the ready servers: of those that serve the current configuration if there is such a one, else of all. Behind are the
// others.
func (o *Observation) answers() (told []answer, behind []answer) {
	for _, pod := range o.ready() {
		r := o.result(pod)
		if !r.Answers() {
			continue
		}
		a := answer{pod: pod.Name, health: r.Health, datasets: make(map[string]flightruntime.DatasetHealth, len(r.Health.Datasets))}
		for _, d := range r.Health.Datasets {
			a.datasets[d.Name] = d
		}
		if r.Health.ConfigHash == o.ConfigHash {
			told = append(told, a)
		} else {
			behind = append(behind, a)
		}
	}
	byPod := func(a, b answer) int { return strings.Compare(a.pod, b.pod) }
	slices.SortFunc(told, byPod)
	slices.SortFunc(behind, byPod)
	return told, behind
}

// Datasets tells how each dataset that is specified fares, over all servers, in the order of the specification.
func Datasets(o *Observation) []v1alpha1.DatasetStatus {
	told, behind := o.answers()
	if len(told) == 0 {
		told = behind
	}
	all := make([]v1alpha1.DatasetStatus, 0, len(o.Datasets))
	for _, name := range o.Datasets {
		d := dataset(name, told)
		if missing, ok := o.Missing[name]; ok {
			d.State, d.Message = v1alpha1.DatasetFailed, missing
		}
		d.Message = Cut(d.Message)
		all = append(all, d)
	}
	return all
}

// Bounded is a list of datasets as the status holds it: those in trouble first, then by name, MaxStatusDatasets at most.
func Bounded(all []v1alpha1.DatasetStatus) []v1alpha1.DatasetStatus {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b v1alpha1.DatasetStatus) int {
		return cmp.Or(cmp.Compare(datasetRank(a.State), datasetRank(b.State)), strings.Compare(a.Name, b.Name))
	})
	return sorted[:min(len(sorted), v1alpha1.MaxStatusDatasets)]
}

// dataset is the worst that the servers say of one dataset. The message names the pod if not all say so.
func dataset(name string, told []answer) v1alpha1.DatasetStatus {
	var worst v1alpha1.DatasetStatus
	pod, agreed := "", 0
	for _, a := range told {
		d := fromHealth(name, a)
		switch {
		case worst.Name == "" || datasetRank(d.State) < datasetRank(worst.State):
			worst, pod, agreed = d, a.pod, 1
		case d.State == worst.State && d.Message == worst.Message:
			agreed++
		}
	}
	if worst.Name == "" {
		return v1alpha1.DatasetStatus{Name: name, State: v1alpha1.DatasetUnknown}
	}
	if agreed < len(told) && worst.State != v1alpha1.DatasetReady {
		worst.Message = fmt.Sprintf("on pod %s%s", pod, afterColon(worst.Message))
	}
	return worst
}

func fromHealth(name string, a answer) v1alpha1.DatasetStatus {
	d, ok := a.datasets[name]
	if !ok {
		return v1alpha1.DatasetStatus{Name: name, State: v1alpha1.DatasetUnknown}
	}
	s := v1alpha1.DatasetStatus{Name: name, State: v1alpha1.DatasetState(d.State), SchemaFingerprint: d.SchemaFingerprint, Message: d.Message}
	if datasetRank(s.State) < 0 {
		s.State = v1alpha1.DatasetUnknown
		s.Message = fmt.Sprintf("expected one of the states %v, got %q: is the runtime newer than the operator?", datasetRanks, d.State)
	}
	if d.SchemaFingerprint != "" {
		s.Rows, s.Bytes, s.Files = ptr.To(d.Rows), ptr.To(d.Bytes), ptr.To(int32(d.Files))
		if d.CachedBytes > 0 {
			s.CachedBytes = ptr.To(d.CachedBytes)
		}
	}
	if !d.RefreshedAt.IsZero() {
		s.RefreshedAt = ptr.To(metav1.NewTime(d.RefreshedAt.Truncate(1e9)))
	}
	return s
}
