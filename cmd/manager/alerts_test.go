package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

var (
	// fullName is that of a metric in its description, which tells it in no other way.
	fullName = regexp.MustCompile(`fqName: "([^"]+)"`)
	// selectors and strings hold labels and their values.
	selectors = regexp.MustCompile(`\{[^}]*\}|"[^"]*"`)
	// words with an underscore are metrics, unless they are functions.
	words = regexp.MustCompile(`\b[a-z]+(?:_[a-z0-9]+)+\b\s*\(?`)
)

var (
	conditions = regexp.MustCompile(`type="([^"]*)"`)
	// conditionTypes are those that are exposed.
	conditionTypes = []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionAvailable, v1alpha1.ConditionReachable, v1alpha1.ConditionDatasetsReady,
		v1alpha1.ConditionCertificateReady, v1alpha1.ConditionCertificateServed,
	}
)

// A rule on a metric that nobody exposes never fires.
func TestAlertsAreOnMetricsThatAreRegistered(t *testing.T) {
	content, err := os.ReadFile("../../config/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec struct {
			Groups []struct {
				Rules []struct{ Alert, Expr string }
			}
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	registered := registeredMetrics(t)
	for _, group := range file.Spec.Groups {
		for _, rule := range group.Rules {
			named := 0
			for _, word := range words.FindAllString(selectors.ReplaceAllString(rule.Expr, " "), -1) {
				if strings.HasSuffix(word, "(") {
					continue
				}
				named++
				if word = strings.TrimSpace(word); !registered[word] {
					t.Errorf("alert %s is on %s, which the operator does not register", rule.Alert, word)
				}
			}
			for _, found := range conditions.FindAllStringSubmatch(rule.Expr, -1) {
				if !slices.Contains(conditionTypes, found[1]) {
					t.Errorf("alert %s is on the condition %s, which FlightServers do not have", rule.Alert, found[1])
				}
			}
			if named == 0 {
				t.Errorf("found no metric in alert %s: %s", rule.Alert, rule.Expr)
			}
		}
	}
	if len(file.Spec.Groups) == 0 {
		t.Error("found no alerts")
	}
}

// registeredMetrics are those of the operator, with and without series.
func registeredMetrics(t *testing.T) map[string]bool {
	t.Helper()
	registry, ok := metrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatalf("the registry is a %T, expected one that describes its metrics", metrics.Registry)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	names := map[string]bool{}
	for d := range descriptions {
		if found := fullName.FindStringSubmatch(d.String()); found != nil {
			names[found[1]] = true
		}
	}
	return names
}
