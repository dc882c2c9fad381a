package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const tablePage = "../../docs/conformance.md"

// verdicts of docs/conformance.md.
const (
	passing       = "passing"
	notApplicable = "not applicable"
)

// row is a row of the table in docs/conformance.md.
type row struct {
	test, asserts, verdict, why string
}

var (
	tableRow  = regexp.MustCompile("(?m)^\\| `(test_\\w+)` \\| (.+?) \\| (.+?) \\| (.+) \\|$")
	checkName = regexp.MustCompile("`([^`]+/[^`]+)`")
)

// rows reads the table.
func rows(t *testing.T) (page string, table []row) {
	t.Helper()
	text, err := os.ReadFile(tablePage)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range tableRow.FindAllStringSubmatch(string(text), -1) {
		table = append(table, row{m[1], m[2], m[3], m[4]})
	}
	return string(text), table
}

// TestTableHasEveryTest: docs/conformance.md has a row for each test of the pyarrow that the checks run with, in its order, and counts them
// right.
func TestTableHasEveryTest(t *testing.T) {
	const list = `
import ast, os, pyarrow
with open(os.path.join(os.path.dirname(pyarrow.__file__), "tests", "test_flight.py")) as f:
    print(*(d.name for d in ast.parse(f.read()).body if isinstance(d, ast.FunctionDef) and d.name.startswith("test_")))
`
	out, err := exec.CommandContext(t.Context(), "../../hack/pyarrow", "-c", list).Output()
	if err != nil {
		t.Fatalf("list pyarrow's tests: %v", err)
	}
	expected := strings.Fields(string(out))
	page, table := rows(t)
	var got []string
	count := map[string]int{}
	for _, r := range table {
		got = append(got, r.test)
		count[r.verdict]++
	}
	if len(expected) == 0 || !slices.Equal(got, expected) {
		t.Errorf("%s: expected rows for %d tests, got %d:\nexpected %v\ngot      %v", tablePage, len(expected), len(got), expected, got)
	}
	if count[passing]+count[notApplicable] != len(table) {
		t.Errorf("%s: expected the verdicts %q and %q alone, got %v", tablePage, passing, notApplicable, count)
	}
	sum := fmt.Sprintf("**%d tests: %d passing, %d not applicable to a Go server.**", len(expected), count[passing], count[notApplicable])
	if !strings.Contains(page, sum) {
		t.Errorf("%s: expected the line %q", tablePage, sum)
	}
}

// everyRowIsTrue is the end of TestFlight: whatever docs/conformance.md calls passing names checks that ran and passed, and the rest gives
// a reason. Checks that a reason names have passed too.
func everyRowIsTrue(t *testing.T) {
	outcomes.Lock()
	defer outcomes.Unlock()
	_, table := rows(t)
	if len(table) == 0 {
		t.Fatalf("%s has no table", tablePage)
	}
	for _, r := range table {
		t.Run(r.test, func(t *testing.T) {
			checks := checkName.FindAllStringSubmatch(r.why, -1)
			if r.verdict == passing && len(checks) == 0 {
				t.Errorf("it is called passing without the name of a check: %s", r.why)
			}
			for _, c := range checks {
				passed, ran := outcomes.passed[c[1]]
				switch {
				case !ran:
					t.Errorf("there is no check %s, or it has not run", c[1])
				case !passed:
					t.Errorf("the check %s has failed", c[1])
				}
			}
		})
	}
}
