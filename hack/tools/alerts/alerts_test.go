package alerts

import (
	"log/slog"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"go.yaml.in/yaml/v2"
)

const (
	root = "../../.."
	// pages is where runbook_url finds the documentation.
	pages = "https://github.com/flight-operator/flight-operator/blob/main/"
)

// rules are those of config/prometheus/alerts.yaml, as Prometheus takes them.
func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	content, err := os.ReadFile(root + "/config/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object struct {
		Spec yaml.MapSlice `yaml:"spec"`
	}
	if err := yaml.Unmarshal(content, &object); err != nil {
		t.Fatal(err)
	}
	file, err := yaml.Marshal(object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(file, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// now is when the rules are evaluated, after the beginning of the series.
const now = 10 * time.Minute

// pending are the alerts whose expression holds at a time, each with what it is about. For how long it has to is left to Prometheus.
func pending(t *testing.T, series string) (alerts []string) {
	t.Helper()
	store := promqltest.LoadedStorage(t, "load 1m\n"+series)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 10000)
	for _, rule := range rules(t) {
		query, err := engine.NewInstantQuery(t.Context(), store, nil, rule.Expr, time.Unix(0, 0).Add(now))
		if err != nil {
			t.Fatal(err)
		}
		result := query.Exec(t.Context())
		if result.Err != nil {
			t.Fatalf("%s: %v", rule.Alert, result.Err)
		}
		vector, ok := result.Value.(promql.Vector)
		if !ok {
			t.Fatalf("%s gives a %s, expected a vector", rule.Alert, result.Value.Type())
		}
		for _, sample := range vector {
			alerts = append(alerts, strings.TrimSpace(rule.Alert+" "+sample.Metric.Get("namespace")+"/"+sample.Metric.Get("flightserver")))
		}
		query.Close()
	}
	slices.Sort(alerts)
	return alerts
}

// leads is the series of an operator that leads.
const leads = `leader_election_master_status{name="flight-operator"} 1x20` + "\n"

// condition is the series of a condition of the FlightServer data/taxi, as an operator's pod exposes it.
func condition(kind, value string) string {
	return `flight_operator_condition{namespace="data", flightserver="taxi", type="` + kind + `", pod="a"} ` + value + "x20\n"
}

// certificate is that of data/taxi, valid from one time to another, in seconds from the beginning of the series.
func certificate(from, until string) string {
	const of = `{namespace="data", flightserver="taxi", pod="a"} `
	return "flight_operator_certificate_not_before_timestamp_seconds" + of + from + "x20\nflight_operator_certificate_not_after_timestamp_seconds" + of + until + "x20\n"
}

func TestAlerts(t *testing.T) {
	const day = "86400"
	for _, tt := range []struct {
		name, series string
		want         []string
	}{
		{"all is well", leads + condition("Ready", "1") + condition("Available", "1") + condition("Reachable", "1") + condition("CertificateReady", "1") +
			condition("CertificateServed", "1") + certificate("0", day), nil},
		{"a dataset is broken", leads + condition("Ready", "0") + condition("Available", "1") + condition("Reachable", "1"), []string{"FlightServerNotReady data/taxi"}},
		{
			"no server", leads + condition("Ready", "0") + condition("Available", "0") + condition("Reachable", "-1"),
			[]string{"FlightServerNotReady data/taxi", "FlightServerUnavailable data/taxi"},
		},
		{"scaled to zero", leads + condition("Ready", "1") + condition("Available", "0") + condition("Reachable", "-1") + condition("CertificateServed", "-1"), nil},
		{
			"the operator is kept out", leads + condition("Ready", "0") + condition("Available", "1") + condition("Reachable", "0"),
			[]string{"FlightServerNotReady data/taxi", "FlightServerUnreachable data/taxi"},
		},
		{
			"the Secret is broken", leads + condition("Ready", "0") + condition("CertificateReady", "0") + condition("CertificateServed", "1"),
			[]string{"FlightServerCertificateNotReady data/taxi", "FlightServerNotReady data/taxi"},
		},
		{
			"a rotation hangs", leads + condition("Ready", "0") + condition("CertificateReady", "1") + condition("CertificateServed", "0"),
			[]string{"FlightServerCertificateNotServed data/taxi", "FlightServerNotReady data/taxi"},
		},
		{"suspended while all was wrong", leads + condition("Ready", "-1") + condition("Available", "0") + condition("Reachable", "0") + condition("CertificateReady", "0") +
			condition("CertificateServed", "0"), nil},
		{"more than a tenth of a day is left", leads + certificate("-70000", "8701"), nil},
		{"less than a tenth of a day is left", leads + certificate("-70000", "8200"), []string{"FlightServerCertificateEndsSoon data/taxi"}},
		{"the certificate has ended", leads + certificate("-70000", "599"), []string{"FlightServerCertificateEnded data/taxi", "FlightServerCertificateEndsSoon data/taxi"}},
		{"another pod has come to lead", leads + condition("Ready", "0") + strings.ReplaceAll(condition("Ready", "0"), `pod="a"`, `pod="b"`), []string{"FlightServerNotReady data/taxi"}},
		{"nobody leads", `leader_election_master_status{name="flight-operator", pod="b"} 0x20`, []string{"FlightOperatorDown /"}},
		{"nobody is scraped", "", []string{"FlightOperatorDown /"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, pending(t, tt.series)); diff != "" {
				t.Errorf("alerts: -want +got:\n%s", diff)
			}
		})
	}
}

// Whoever is woken needs to know what it is, how bad, and what to do.
func TestAlertsSayWhatToDo(t *testing.T) {
	notInAnchors := regexp.MustCompile(`[^a-z0-9 -]`)
	for _, rule := range rules(t) {
		if severity := rule.Labels["severity"]; severity != "warning" && severity != "critical" {
			t.Errorf("%s has severity %q, expected warning or critical", rule.Alert, severity)
		}
		for _, key := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[key] == "" {
				t.Errorf("%s has no %s", rule.Alert, key)
			}
		}
		page, anchor, _ := strings.Cut(strings.TrimPrefix(rule.Annotations["runbook_url"], pages), "#")
		text, err := os.ReadFile(path.Join(root, page))
		if err != nil {
			t.Errorf("%s: runbook_url: %v", rule.Alert, err)
			continue
		}
		found := anchor == ""
		for line := range strings.Lines(string(text)) {
			if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
				heading = notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
				found = found || strings.ReplaceAll(heading, " ", "-") == anchor
			}
		}
		if !found {
			t.Errorf("%s: %s has no heading for #%s", rule.Alert, page, anchor)
		}
	}
}
