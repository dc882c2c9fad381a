package conformance

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/test/conformance/scenarios"
)

// Commands of arrow-go, and the package that has its scenarios.
const (
	integrationPackage = "github.com/apache/arrow-go/v18/arrow/internal/flight_integration"
	integrationClient  = integrationPackage + "/cmd/arrow-flight-integration-client"
	integrationJSON    = "github.com/apache/arrow-go/v18/arrow/ipc/cmd/arrow-json-integration-test"
)

// flightSQL are the scenarios that no server on our library has: Flight SQL is a protocol of its own, on top of Flight.
var flightSQL = []string{"flight_sql", "flight_sql:extension", "flight_sql:ingestion"}

// TestScenarios runs arrow-go's integration client, and pyarrow, against a server on our library for each scenario of Arrow's integration
// tests.
func TestScenarios(t *testing.T) {
	client := buildCommand(t, integrationClient)
	known := arrowGoScenarios(t)
	for _, s := range scenarios.All() {
		name := s.Name
		if name == "" {
			name = "data"
		}
		t.Run(name, func(t *testing.T) {
			location := serveScenario(t, s)
			args := []string{location}
			switch {
			case s.Name == "":
				args = append(args, putIntegrationFiles(t, client, location))
			case slices.Contains(known, s.Name): // not do_exchange:echo
				runIntegrationClient(t, client, location, "-scenario", s.Name)
			}
			pyarrow(t, "scenarios."+strings.ReplaceAll(name, ":", "_"), location, args...)
		})
	}
}

// TestEveryScenarioOfArrowGoHasAServer fails when a newer arrow-go has a scenario that nobody has thought of here.
func TestEveryScenarioOfArrowGoHasAServer(t *testing.T) {
	served := slices.Clone(flightSQL)
	for _, s := range scenarios.All() {
		served = append(served, s.Name)
	}
	for _, name := range arrowGoScenarios(t) {
		if !slices.Contains(served, name) {
			t.Errorf("arrow-go's integration client has the scenario %q: write a server for it", name)
		}
	}
}

// arrowGoScenarios are the names that arrow-go's integration client takes, as its source has them.
func arrowGoScenarios(t *testing.T) []string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", integrationPackage).Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "scenario.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(source), "func GetScenario(")
	list, _, _ = strings.Cut(list, "\n}")
	var names []string
	for _, found := range regexp.MustCompile(`case "([^"]*)":`).FindAllStringSubmatch(list, -1) {
		names = append(names, found[1])
	}
	if len(names) < 14 {
		t.Fatalf("expected the 14 scenarios of arrow-go 18.8 or more in its source, found %q", names)
	}
	return names
}

// serveScenario runs a server until the test ends.
func serveScenario(t *testing.T, s scenarios.Scenario) (location string) {
	t.Helper()
	server, err := flightruntime.NewServer("grpc://127.0.0.1:0", s.Service, s.Options)
	if err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return server.Location().String()
}

// buildCommand builds a command of a module that go.mod names, and gives its path.
func buildCommand(t *testing.T, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return path
}

func runIntegrationClient(t *testing.T, client, location string, args ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(location, "grpc://"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, client, append([]string{"-host", host, "-port", port}, args...)...)
}

func run(t *testing.T, command string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, command, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(command), strings.Join(args, " "), err, out)
	}
}

// putIntegrationFiles has the integration client put what pyarrow wrote: a file of each type, which a command of arrow-go makes the JSON of
// that the client reads. It gives the folder of the files.
func putIntegrationFiles(t *testing.T, client, location string) (dir string) {
	t.Helper()
	convert := buildCommand(t, integrationJSON)
	dir = t.TempDir()
	python(t, "checks/roundtrip_write.py", dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.arrow"))
	if err != nil || len(files) < 10 {
		t.Fatalf("expected the files that roundtrip_write.py makes, got %v: %v", files, err)
	}
	for _, file := range files {
		asJSON := strings.TrimSuffix(file, ".arrow") + ".json"
		run(t, convert, "-arrow", file, "-json", asJSON, "-mode", "ARROW_TO_JSON", "-verbose=false")
		runIntegrationClient(t, client, location, "-path", asJSON)
	}
	return dir
}
