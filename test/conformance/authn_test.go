package conformance

import (
	"context"
	"fmt"
	"iter"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/authn"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// whoService tells callers who they are, by the action "who".
type whoService struct{ flightruntime.BaseService }

func (whoService) ListActions(context.Context) ([]*flightruntime.ActionType, error) {
	return []*flightruntime.ActionType{{Type: "who"}}, nil
}

func (whoService) DoAction(ctx context.Context, _ *flightruntime.Action) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		id, ok := authn.IdentityOf(ctx)
		if !ok {
			yield(nil, flightruntime.Errorf(flightruntime.KindInternal, "the call has no identity"))
			return
		}
		yield(fmt.Appendf(nil, "%s %s %s", id.User, id.Method, strings.Join(id.Groups, ",")), nil)
	}
}

// askingServer is a server that has ada, with her password, and a token of bob's.
func askingServer(t *testing.T, dir string, keys *signing.Keyring) *flightruntime.Server {
	t.Helper()
	a, err := authn.New(t.Context(), authn.Settings{
		Basic:  &authn.Basic{UsersFile: filepath.Join(dir, "users"), GroupsFile: filepath.Join(dir, "groups")},
		Bearer: &authn.Bearer{TokensFile: filepath.Join(dir, "tokens")},
	}, authn.Options{Keys: func() *signing.Keyring { return keys }})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, "grpc://localhost:0", whoService{}, flightruntime.ServerOptions{Middleware: named("authn", a)})
}

// secretOfUsers is a folder as the Secrets of auth are mounted.
func secretOfUsers(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("love:lace"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "users"), "ada:"+string(hash)+"\n")
	write(t, filepath.Join(dir, "groups"), "analysts: ada\n")
	write(t, filepath.Join(dir, "tokens"), "made-once,bob\n")
	return dir
}

// TestAuthn: pyarrow authenticates each way that it has.
func TestAuthn(t *testing.T) {
	dir, keys := secretOfUsers(t), signing.Random()
	one, other := askingServer(t, dir, keys), askingServer(t, dir, keys)
	pyarrow(t, "authn_basic", one.Location().String(), other.Location().String())
}

// TestAuthnRemovedUser: who is removed is refused soon, with the token that was good before.
func TestAuthnRemovedUser(t *testing.T) {
	dir := secretOfUsers(t)
	s := askingServer(t, dir, signing.Random())
	out, err := exec.CommandContext(t.Context(), "../../hack/pyarrow", "checks/authn_removed.py", s.Location().String(), filepath.Join(dir, "users")).CombinedOutput()
	if err != nil {
		t.Fatalf("authn_removed.py: %v\n%s", err, out)
	}
	took, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatalf("expected seconds, got %s", out)
	}
	t.Logf("refused after %.3f s", took)
}
