package conformance

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/authz"
	"github.com/flight-operator/flight-operator/flightruntime/catalog"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/datasets"
)

// known is middleware that believes the header x-user.
type known struct{ id *authn.Identity }

func (k known) Context(ctx context.Context) context.Context { return authn.WithIdentity(ctx, k.id) }
func (known) SendingHeaders() metadata.MD                   { return nil }
func (known) CallCompleted(error)                           {}

// TestRules has pyarrow judge what callers with different rights see of the same datasets.
func TestRules(t *testing.T) {
	dir := t.TempDir()
	python(t, "checks/rules.py", dir)
	c := catalog.New(slog.New(slog.DiscardHandler))
	t.Cleanup(c.Close)
	service := datasets.New(c, func() int { return 0 })
	file := func(name string) config.Dataset {
		return config.Dataset{Name: name, Format: "ArrowFile", Files: &config.Files{Root: dir, Path: filepath.Base(name) + ".arrow"}}
	}
	service.Load(&config.Config{Limits: config.DefaultLimits(), Datasets: []config.Dataset{file("staff"), file("secret")}}, nil)
	if err := c.Attempted(t.Context()); err != nil {
		t.Fatal(err)
	}
	rule := func(user string, verbs ...authz.Verb) authz.Rule {
		return authz.Rule{Subjects: []authz.Subject{{User: user}}, Datasets: []string{"staff"}, Verbs: verbs}
	}
	columns, rows, names, own := rule("columns", authz.List, authz.Get), rule("rows", authz.Get), rule("cells", authz.Get), rule("cells", authz.Get)
	columns.Columns = []string{"id", "team"}
	rows.Filter = "team == 'red'"
	names.Columns = []string{"id", "name"}
	own.Filter = "team == identity.claims.team"
	policy, err := authz.Compile([]authz.Rule{rule("all", authz.List, authz.Get), rule("lister", authz.List), columns, rows, names, own})
	if err != nil {
		t.Fatal(err)
	}
	service.SetPolicy(policy)
	believe := flightruntime.ServerMiddlewareFunc(func(_ context.Context, call *flightruntime.Call) (flightruntime.ServerMiddleware, error) {
		user := strings.Join(call.Headers().Get("x-user"), "")
		call.SetPeerIdentity(user)
		return known{&authn.Identity{User: user, Claims: map[string]any{"team": "blue"}}}, nil
	})
	judge(t, "rules", service, flightruntime.ServerOptions{Middleware: named("authn", believe)}, nil)
}
