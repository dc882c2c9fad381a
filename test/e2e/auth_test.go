package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// authServer has users, tokens and ServiceAccounts, and rules for them.
const authServer = `
apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  replicas: 2
  tls: {operatorCA: {}}
  auth:
    methods:
      basic: {secretRef: {name: users}}
      bearer: {secretRef: {name: tokens}}
      serviceAccount: {audiences: [flight]}
    rules:
    - {subjects: [{group: analysts}], verbs: [list, get]}
    - {subjects: [{user: loader}], datasets: [staff], verbs: [list, get], columns: [name, team], filter: "team == 'x'"}
    - {subjects: [{user: "system:serviceaccount:%[1]s:default"}], datasets: [numbers], verbs: [list, get]}
  datasets:
  - {name: numbers, format: CSV, source: {inline: {data: "a\n1\n"}}}
  - {name: staff, format: CSV, source: {inline: {data: "name,team,pay\nada,x,1\nbob,y,2\n"}}}
`

// caller asks as pyarrow does.
type caller struct {
	stdin  io.Writer
	stdout *bufio.Reader
}

type asked struct {
	As       string `json:"as"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Token    string `json:"token,omitempty"`
	Read     string `json:"read"`
}

type answered struct {
	Token  string
	Listed []string
	Read   map[string][]any
	Failed string
}

func startCaller(t *testing.T, s server) *caller {
	t.Helper()
	location, ca := s.location(t), []string(nil)
	if s.get(t).Spec.TLS != nil {
		location = strings.Replace(location, "grpc://", "grpc+tls://", 1)
		ca = []string{s.caFile(t).path}
	}
	cmd := exec.CommandContext(t.Context(), "hack/pyarrow", append([]string{"test/e2e/auth.py", location, s.host()}, ca...)...)
	cmd.Dir = repository
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return &caller{stdin: stdin, stdout: bufio.NewReader(stdout)}
}

func (c *caller) ask(t *testing.T, q asked) (a answered) {
	t.Helper()
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.stdin, "%s\n", data); err != nil {
		t.Fatal(err)
	}
	line, err := c.stdout.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// testAuth has callers of all kinds ask, with two replicas behind one address, and takes a user's rights away.
func testAuth(t *testing.T) {
	s := server{namespace(t, "e2e-auth"), "guarded"}
	evidence.watch(t, s.namespace)
	hash := func(password string) string {
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return string(h)
	}
	users := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "users"}, StringData: map[string]string{
		"users": "ada:" + hash("love:lace") + "\nbob:" + hash("builder") + "\n", "groups": "analysts: ada bob\n",
	}}
	tokens := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "tokens"}, StringData: map[string]string{"tokens": "0123456789abcdef0123456789abcdef,loader,\n"}}
	for _, secret := range []*corev1.Secret{users, tokens} {
		if err := cluster.Create(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, fmt.Sprintf(authServer, s.namespace, s.name))
	s.ready(t)
	if a := s.get(t).Status.Auth; a == nil || a.LoadedBy != "2/2" || len(a.Warnings) > 0 {
		t.Errorf("status.auth is %+v", a)
	}
	c := startCaller(t, s)
	read := func(a answered, dataset string, want map[string][]any) {
		t.Helper()
		if a.Failed != "" || !reflect.DeepEqual(a.Read, want) {
			t.Errorf("%s: got %+v, expected %v", dataset, a, want)
		}
	}
	staff := map[string][]any{"name": {"ada", "bob"}, "team": {"x", "y"}, "pay": {1.0, 2.0}}
	ada := c.ask(t, asked{As: "basic", User: "ada", Password: "love:lace", Read: "staff"})
	read(ada, "staff", staff)
	// Each ask connects anew, to whichever replica: the token of a login is good at both.
	for range 10 {
		read(c.ask(t, asked{As: "bearer", Token: ada.Token, Read: "staff"}), "staff", staff)
	}
	loader := c.ask(t, asked{As: "bearer", Token: "0123456789abcdef0123456789abcdef", Read: "staff"})
	read(loader, "staff", map[string][]any{"name": {"ada"}, "team": {"x"}})
	if !reflect.DeepEqual(loader.Listed, []string{"staff"}) {
		t.Errorf("loader lists %v", loader.Listed)
	}
	for what, q := range map[string]asked{
		"FlightUnauthenticatedError: nobody":                    {As: "nobody", Read: "numbers"},
		"FlightUnauthenticatedError: a wrong password":          {As: "basic", User: "ada", Password: "lovelace", Read: "numbers"},
		"FlightUnauthenticatedError: an unknown user":           {As: "basic", User: "eve", Password: "love:lace", Read: "numbers"},
		"FlightUnauthenticatedError: another audience":          {As: "bearer", Token: accountToken(t, s.namespace, "default", "other"), Read: "numbers"},
		"ArrowKeyError: a dataset that the caller may not list": {As: "bearer", Token: accountToken(t, s.namespace, "default", "flight"), Read: "staff"},
	} {
		want, _, _ := strings.Cut(what, ":")
		if a := c.ask(t, q); a.Failed != want {
			t.Errorf("%s: got %+v", what, a)
		}
	}
	// A real token of the cluster, verified by the cluster's own keys.
	read(c.ask(t, asked{As: "bearer", Token: accountToken(t, s.namespace, "default", "flight"), Read: "numbers"}), "numbers", map[string][]any{"a": {1.0}})

	// A user who is removed is refused at both replicas, with the token of before too.
	var took []time.Duration
	bob := c.ask(t, asked{As: "basic", User: "bob", Password: "builder", Read: "numbers"})
	read(bob, "numbers", map[string][]any{"a": {1.0}})
	pods := uids(s.pods(t))
	begun := time.Now()
	users.StringData = map[string]string{"users": "ada:" + hash("love:lace") + "\n"}
	if err := cluster.Update(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	for refused := 0; refused < 8; { // in a row: both replicas
		if a := c.ask(t, asked{As: "bearer", Token: bob.Token, Read: "numbers"}); a.Failed == "FlightUnauthenticatedError" {
			refused++
		} else {
			refused = 0
		}
		if time.Since(begun) > patience {
			t.Fatal("a user who was removed is still let in")
		}
		if refused == 1 {
			took = append(took, time.Since(begun))
		}
	}
	t.Logf("FIGURE a user who was removed is refused by all after %s", took[len(took)-1].Round(time.Millisecond))
	s.ready(t)
	if after := uids(s.pods(t)); fmt.Sprint(after) != fmt.Sprint(pods) {
		t.Errorf("expected the same pods without restarts, %v, got %v", pods, after)
	}

	// A file that is malformed leaves the last good in force.
	users.StringData = map[string]string{"users": "ada:$apr1$x$y\n"}
	if err := cluster.Update(t.Context(), users); err != nil {
		t.Fatal(err)
	}
	if message := s.condition(t, v1alpha1.ConditionAuthReady, "False", v1alpha1.ReasonAuthInvalid); !strings.Contains(message, "line 1") {
		t.Errorf("the condition says %q", message)
	}
	// Hashes of before are in force, so that the password of before is good.
	read(c.ask(t, asked{As: "basic", User: "ada", Password: "love:lace", Read: "staff"}), "staff", staff)

	text, err := try(t.Context(), "", "kubectl", "-n", s.namespace, "logs", "-l", v1alpha1.LabelInstance+"="+s.name, "--tail=-1")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"love:lace", "builder", "0123456789abcdef0123456789abcdef", ada.Token, bob.Token} {
		if strings.Contains(text, secret) {
			t.Errorf("a credential is in the log")
		}
	}
	if !strings.Contains(text, `"identity":"loader"`) || !strings.Contains(text, `"decision":"allow"`) {
		t.Error("the audit does not tell of the calls")
	}

	// The same tokens by asking the API server, which knows at once of an account that is gone.
	binding := fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: %s}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator}, subjects: [{kind: ServiceAccount, name: default, namespace: %s}]}", s.namespace, s.namespace)
	apply(t, binding)
	t.Cleanup(func() {
		_, _ = try(context.Background(), "", "kubectl", "delete", "clusterrolebinding", s.namespace) // the cluster is about to go
	})
	apply(t, fmt.Sprintf("{apiVersion: v1, kind: ServiceAccount, metadata: {name: guest, namespace: %s}}", s.namespace))
	s.edit(t, func(spec *v1alpha1.FlightServerSpec) {
		spec.Auth.Methods.Basic = nil // its users are malformed now
		spec.Auth.Methods.ServiceAccount.Verification = v1alpha1.TokenReview
		spec.Auth.Rules = append(spec.Auth.Rules, v1alpha1.AuthRule{
			Subjects: []v1alpha1.AuthSubject{{Group: "system:serviceaccounts:" + s.namespace}}, Datasets: []string{"numbers"}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbGet},
		})
	})
	s.ready(t)
	// Those of before may get a connection as long as they are ending.
	eventually(t, func() error {
		var pods corev1.PodList
		if err := cluster.List(t.Context(), &pods, client.InNamespace(s.namespace), client.MatchingLabels{v1alpha1.LabelInstance: s.name}); err != nil {
			return err
		}
		if len(pods.Items) != 2 {
			return fmt.Errorf("there are %d pods", len(pods.Items))
		}
		return nil
	})
	guest := accountToken(t, s.namespace, "guest", "flight")
	read(c.ask(t, asked{As: "bearer", Token: guest, Read: "numbers"}), "numbers", map[string][]any{"a": {1.0}})
	if a := c.ask(t, asked{As: "bearer", Token: accountToken(t, s.namespace, "guest", "other"), Read: "numbers"}); a.Failed != "FlightUnauthenticatedError" {
		t.Errorf("a token of another audience: got %+v", a)
	}
	run(t, "", "kubectl", "-n", s.namespace, "delete", "serviceaccount", "guest")
	t.Logf("FIGURE a ServiceAccount that is deleted is refused after %s", eventually(t, func() error {
		if a := c.ask(t, asked{As: "bearer", Token: guest, Read: "numbers"}); a.Failed != "FlightUnauthenticatedError" {
			return fmt.Errorf("still let in: %+v", a)
		}
		return nil
	}).Round(time.Millisecond))
}

// accountToken is a token of a ServiceAccount, for an audience.
func accountToken(t *testing.T, ns, name, audience string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: ptr.To[int64](600)}}
	if err := cluster.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// insecureServer has a user, and no TLS.
const insecureServer = `
apiVersion: flightoperator.dev/v1alpha1
kind: FlightServer
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  auth:
    insecure: Allow
    methods: {basic: {secretRef: {name: users}}}
    rules: [{subjects: [{user: ada}], verbs: [list, get]}]
  datasets:
  - {name: numbers, format: CSV, source: {inline: {data: "a\n1\n"}}}
`

// testInsecureAuth has the operator and a user ask a server without TLS, which knows both of them.
func testInsecureAuth(t *testing.T) {
	s := server{namespace(t, "e2e-insecure"), "plain"}
	evidence.watch(t, s.namespace)
	hash, err := bcrypt.GenerateFromPassword([]byte("love:lace"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, fmt.Sprintf("{apiVersion: v1, kind: Secret, metadata: {namespace: %s, name: users}, stringData: {users: %q}}", s.namespace, "ada:"+string(hash)))
	apply(t, fmt.Sprintf(insecureServer, s.namespace, s.name))
	s.ready(t)
	// Its answer to the operator, and to nobody else, tells of the datasets.
	if status := s.get(t).Status; len(status.Datasets) != 1 || status.Datasets[0].Rows == nil || *status.Datasets[0].Rows != 1 {
		t.Errorf("the datasets are %+v", status.Datasets)
	}
	if a := s.get(t).Status.Auth; a == nil || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "plain text") {
		t.Errorf("status.auth is %+v", a)
	}
	c := startCaller(t, s)
	ada := c.ask(t, asked{As: "basic", User: "ada", Password: "love:lace", Read: "numbers"})
	if want := map[string][]any{"a": {1.0}}; !reflect.DeepEqual(ada.Read, want) {
		t.Errorf("got %+v, expected %v", ada, want)
	}
	if a := c.ask(t, asked{As: "nobody", Read: "numbers"}); a.Failed != "FlightUnauthenticatedError" {
		t.Errorf("nobody: got %+v", a)
	}
}
