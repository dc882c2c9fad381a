package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func inlineSource(data string) v1alpha1.DatasetSource {
	return v1alpha1.DatasetSource{Inline: &v1alpha1.InlineSource{Data: data}}
}

func configMapSource(name, key string) v1alpha1.DatasetSource {
	return v1alpha1.DatasetSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: name, Key: key}}
}

func volumeSource(claim, path string) v1alpha1.DatasetSource {
	return v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: claim, Path: path}}
}

func flightServer(datasets ...v1alpha1.Dataset) *v1alpha1.FlightServer {
	return &v1alpha1.FlightServer{
		ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: "taxi"},
		Spec:       v1alpha1.FlightServerSpec{Datasets: datasets},
	}
}

// present are the references of a namespace with one ConfigMap and one claim.
var present = References{
	ConfigMaps: map[string]map[string]string{"zones": {"zones.csv": "abc123", "zones": "def456"}},
	Claims:     map[string]bool{"taxi-data": true},
	Dirs:       PodDirs,
}

func minutes(n int) metav1.Duration { return metav1.Duration{Duration: time.Duration(n) * time.Minute} }

func TestRenderDataset(t *testing.T) {
	never, hour := metav1.Duration{}, metav1.Duration{Duration: time.Hour}
	for _, tt := range []struct {
		name    string
		dataset v1alpha1.Dataset
		want    Dataset
	}{
		{
			"inline data",
			v1alpha1.Dataset{Name: "notes", Description: "Notes", Format: "JSON", Source: inlineSource("{}")},
			Dataset{Name: "notes", Description: "Notes", Format: "JSON", Inline: &Inline{Data: "{}"}},
		},
		{
			"a key of a ConfigMap carries its digest",
			v1alpha1.Dataset{Name: "zones", Source: configMapSource("zones", "zones.csv")},
			Dataset{Name: "zones", Format: "CSV", Files: &Files{Root: "/var/lib/flight/configmaps/zones", Path: "zones.csv", SHA256: "abc123"}},
		},
		{
			"the format that is set outweighs the extension",
			v1alpha1.Dataset{Name: "zones", Format: "JSON", Source: configMapSource("zones", "zones.csv")},
			Dataset{Name: "zones", Format: "JSON", Files: &Files{Root: "/var/lib/flight/configmaps/zones", Path: "zones.csv", SHA256: "abc123"}},
		},
		{
			"a ConfigMap that does not exist",
			v1alpha1.Dataset{Name: "zones", Source: configMapSource("areas", "zones.csv")},
			Dataset{Name: "zones", Format: "CSV", Missing: `ConfigMap data/areas does not exist: create it with the key "zones.csv"`},
		},
		{
			"a key that does not exist",
			v1alpha1.Dataset{Name: "zones", Source: configMapSource("zones", "areas.csv")},
			Dataset{Name: "zones", Format: "CSV", Missing: `ConfigMap data/zones has no key "areas.csv": add it`},
		},
		{
			"files of a claim are looked at every minute",
			v1alpha1.Dataset{Name: "trips", Source: volumeSource("taxi-data", "trips/**/*.parquet")},
			Dataset{Name: "trips", Format: "Parquet", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips/**/*.parquet"}, RefreshInterval: minutes(1)},
		},
		{
			"files with an interval of their own",
			v1alpha1.Dataset{Name: "trips", Source: volumeSource("taxi-data", "trips.csv"), Refresh: &v1alpha1.Refresh{Interval: &hour}},
			Dataset{Name: "trips", Format: "CSV", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips.csv"}, RefreshInterval: minutes(60)},
		},
		{
			"files that are never looked at again",
			v1alpha1.Dataset{Name: "trips", Source: volumeSource("taxi-data", "trips.csv"), Refresh: &v1alpha1.Refresh{Interval: &never}},
			Dataset{Name: "trips", Format: "CSV", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips.csv"}},
		},
		{
			"refresh without an interval",
			v1alpha1.Dataset{Name: "trips", Source: volumeSource("taxi-data", "trips.csv"), Refresh: &v1alpha1.Refresh{}},
			Dataset{Name: "trips", Format: "CSV", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips.csv"}, RefreshInterval: minutes(1)},
		},
		{
			"a claim that does not exist",
			v1alpha1.Dataset{Name: "trips", Source: volumeSource("other", "trips.csv")},
			Dataset{Name: "trips", Format: "CSV", Missing: "PersistentVolumeClaim data/other does not exist: create it", RefreshInterval: minutes(1)},
		},
		{
			"files that puts are added to",
			v1alpha1.Dataset{Name: "trips", Access: "Append", Source: volumeSource("taxi-data", "trips/**/*.parquet")},
			Dataset{Name: "trips", Format: "Parquet", Access: "Append", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips/**/*.parquet"}, RefreshInterval: minutes(1)},
		},
		{
			"files that clients may overwrite",
			v1alpha1.Dataset{Name: "trips", Access: "ReadWrite", Source: volumeSource("taxi-data", "trips/*.parquet")},
			Dataset{Name: "trips", Format: "Parquet", Access: "ReadWrite", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips/*.parquet"}, RefreshInterval: minutes(1)},
		},
		{
			// Left out, so that servers from before there was Append can read it.
			"files that are read only, and say so",
			v1alpha1.Dataset{Name: "trips", Access: "ReadOnly", Source: volumeSource("taxi-data", "trips.csv")},
			Dataset{Name: "trips", Format: "CSV", Files: &Files{Root: "/var/lib/flight/claims/taxi-data", Path: "trips.csv"}, RefreshInterval: minutes(1)},
		},
		{
			"a claim that does not exist yet, to put into",
			v1alpha1.Dataset{Name: "trips", Access: "Append", Source: volumeSource("other", "*.arrows")},
			Dataset{Name: "trips", Format: "ArrowStream", Access: "Append", Missing: "PersistentVolumeClaim data/other does not exist: create it", RefreshInterval: minutes(1)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, errs := Render(flightServer(tt.dataset), present)
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if diff := cmp.Diff([]Dataset{tt.want}, c.Datasets); diff != "" {
				t.Errorf("-want +rendered:\n%s", diff)
			}
			if errs := c.Validate(); len(errs) > 0 {
				t.Errorf("a server would refuse what was rendered: %v", errs.ToAggregate())
			}
		})
	}
}

func TestRenderRefusals(t *testing.T) {
	good := v1alpha1.Dataset{Name: "notes", Format: "CSV", Source: inlineSource("a\n")}
	both := inlineSource("a\n")
	both.Volume = volumeSource("taxi-data", "a.csv").Volume
	for _, tt := range []struct {
		name    string
		dataset v1alpha1.Dataset
		want    []string // in the one error
	}{
		{"no source", v1alpha1.Dataset{Name: "trips"}, []string{"spec.datasets[1].source", "exactly one"}},
		{"two sources", v1alpha1.Dataset{Name: "trips", Format: "CSV", Source: both}, []string{"spec.datasets[1].source", "exactly one"}},
		{"an extension that tells nothing", v1alpha1.Dataset{Name: "zones", Source: configMapSource("zones", "zones")}, []string{"spec.datasets[1].format", `"zones"`, "ArrowStream"}},
		{"inline data without a format", v1alpha1.Dataset{Name: "trips", Source: inlineSource("a\n")}, []string{"spec.datasets[1].format", "CSV or JSON"}},
		{"a path that leaves the volume", v1alpha1.Dataset{Name: "trips", Source: volumeSource("taxi-data", "../a.csv")}, []string{"spec.datasets[1].source.volume.path", "../a.csv"}},
		{"puts into a ConfigMap", v1alpha1.Dataset{Name: "zones", Access: "Append", Source: configMapSource("zones", "zones.csv")}, []string{"spec.datasets[1].access", "set source.volume"}},
		{"puts into text", v1alpha1.Dataset{Name: "trips", Access: "Append", Source: volumeSource("taxi-data", "*.csv")}, []string{"spec.datasets[1].format", "Parquet, ArrowFile, ArrowStream"}},
		{"puts into one file", v1alpha1.Dataset{Name: "trips", Access: "Append", Source: volumeSource("taxi-data", "trips.parquet")}, []string{"spec.datasets[1].source.volume.path", "one '*'"}},
		{"a name twice", good, []string{"spec.datasets[1].name", "Duplicate", `"notes"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, errs := Render(flightServer(good, tt.dataset), present)
			if len(errs) != 1 {
				t.Fatalf("got %d errors, want one: %v", len(errs), errs.ToAggregate())
			}
			for _, want := range tt.want {
				if !strings.Contains(errs[0].Error(), want) {
					t.Errorf("%q does not say %q", errs[0], want)
				}
			}
			if len(c.Datasets) != 2 || c.Datasets[0].Inline == nil {
				t.Errorf("the good dataset is not rendered: %+v", c.Datasets)
			}
		})
	}
}

func TestRenderLimits(t *testing.T) {
	quantity := resource.MustParse("128Mi")
	hours := metav1.Duration{Duration: 3 * time.Hour}
	var streams int32 = 7
	for _, tt := range []struct {
		name   string
		limits *v1alpha1.Limits
		want   func(*Limits)
	}{
		{"none set", nil, func(*Limits) {}},
		{"an empty block", &v1alpha1.Limits{}, func(*Limits) {}},
		{"one set", &v1alpha1.Limits{MaxStreams: &streams}, func(l *Limits) { l.MaxStreams = 7 }},
		{
			"all set", &v1alpha1.Limits{MaxMessageBytes: &quantity, MaxStreams: &streams, MaxCallDuration: &hours, DrainTimeout: &hours},
			func(l *Limits) {
				*l = Limits{MaxMessageBytes: 128 << 20, MaxStreams: 7, MaxCallDuration: hours, DrainTimeout: hours}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := flightServer()
			fs.Spec.Limits = tt.limits
			c, errs := Render(fs, present)
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			want := DefaultLimits()
			tt.want(&want)
			if diff := cmp.Diff(want, c.Limits); diff != "" {
				t.Errorf("-want +rendered:\n%s", diff)
			}
		})
	}
	fs := flightServer()
	fs.Spec.Limits = &v1alpha1.Limits{MaxMessageBytes: new(resource.MustParse("4Gi"))}
	if _, errs := Render(fs, present); len(errs) != 1 || errs[0].Field != "spec.limits.maxMessageBytes" {
		t.Errorf("a limit too large gave %v", errs)
	}
}

func TestNames(t *testing.T) {
	configMaps, claims := Names(flightServer(
		v1alpha1.Dataset{Name: "a", Source: volumeSource("z", "a.csv")},
		v1alpha1.Dataset{Name: "b", Source: configMapSource("z", "b.csv")},
		v1alpha1.Dataset{Name: "c", Source: inlineSource("c")},
		v1alpha1.Dataset{Name: "d", Source: volumeSource("a", "d.csv")},
		v1alpha1.Dataset{Name: "e", Source: volumeSource("z", "e.csv")},
		v1alpha1.Dataset{Name: "f", Source: configMapSource("z", "f.csv")},
	))
	if diff := cmp.Diff([][]string{{"z"}, {"z", "a"}}, [][]string{configMaps, claims}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWrittenClaims(t *testing.T) {
	appended := func(claim string) v1alpha1.Dataset {
		return v1alpha1.Dataset{Access: "Append", Source: volumeSource(claim, "*.parquet")}
	}
	got := WrittenClaims(flightServer(
		v1alpha1.Dataset{Source: volumeSource("shared", "a.csv")},
		appended("shared"),
		v1alpha1.Dataset{Access: "ReadOnly", Source: volumeSource("read", "a.csv")},
		v1alpha1.Dataset{Source: inlineSource("c")},
		appended("own"),
		v1alpha1.Dataset{Access: "ReadWrite", Source: volumeSource("replaced", "*.parquet")},
	))
	if diff := cmp.Diff(map[string]bool{"shared": true, "own": true, "replaced": true}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestRuntimeYAML holds the form of the contract, which servers of other versions read.
func TestRuntimeYAML(t *testing.T) {
	fs := flightServer(
		v1alpha1.Dataset{Name: "notes", Description: "Notes of the day", Format: "CSV", Source: inlineSource("day,note\n1,\"two\nlines\"\n")},
		v1alpha1.Dataset{Name: "zones", Source: configMapSource("zones", "zones.csv")},
		v1alpha1.Dataset{Name: "trips", Source: volumeSource("taxi-data", "trips/**/*.parquet")},
		v1alpha1.Dataset{Name: "gone", Source: volumeSource("gone", "a.arrow")},
		v1alpha1.Dataset{Name: "events", Access: "Append", Source: volumeSource("taxi-data", "events/*.arrows")},
	)
	c, errs := Render(fs, present)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	got, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", FileName)
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("run the tests with -update if the contract is meant to change; -want +got:\n%s", diff)
	}
	read, err := Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, read); diff != "" {
		t.Errorf("-rendered +read:\n%s", diff)
	}
}
