package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// mountAuth brings what a pod has of spec.auth up to date, from the objects that its volumes name.
func (n *nodes) mountAuth(ctx context.Context, pod *corev1.Pod, c *config.Config) (*flightruntime.AuthHealth, error) {
	if c.Auth == nil {
		return nil, nil
	}
	fs := &v1alpha1.FlightServer{ObjectMeta: n.w.meta(pod.Labels[v1alpha1.LabelInstance])}
	if err := n.w.get(fs); err != nil {
		return nil, err
	}
	digests := map[config.AuthFile]string{}
	for _, v := range pod.Spec.Volumes {
		data, items, err := n.w.volume(ctx, v)
		if err != nil {
			return nil, err
		}
		for _, f := range config.AuthFiles(fs) {
			for _, mount := range pod.Spec.Containers[0].VolumeMounts {
				for _, item := range items {
					if content, ok := data[item.Key]; ok && mount.Name == v.Name && mount.MountPath+"/"+item.Path == config.PodDirs.Auth(f.Dir)+"/"+f.File {
						digests[f] = config.Digest(content)
					}
				}
			}
		}
	}
	return &flightruntime.AuthHealth{Digest: config.AuthDigest(fs, digests)}, nil
}

// admit refuses those who are not the operator, on a server with auth that speaks plain text.
func (n *nodes) admit(ctx context.Context, pod *corev1.Pod, node *node) error {
	n.mu.Lock()
	hasAuth := node.config != nil && node.config.Auth != nil
	n.mu.Unlock()
	if !hasAuth {
		return nil
	}
	name := pod.Labels[v1alpha1.LabelInstance]
	secret := &corev1.Secret{ObjectMeta: n.w.meta(name + "-signing")}
	if err := n.w.get(secret); err != nil {
		return err
	}
	keys, err := signing.Parse(secret.Data[signing.FileName])
	if err != nil {
		return err
	}
	tokens := flightruntime.OperatorTokens{Keys: func() *signing.Keyring { return keys }, Audience: n.w.namespace + "/" + name}
	headers, _ := metadata.FromIncomingContext(ctx)
	if shown, err := tokens.Check(headers); err != nil || !shown {
		return grpcstatus.Errorf(codes.Unauthenticated, "expected credentials, got none or bad ones: %v", err)
	}
	return nil
}

// authorized has two methods and two rules, of which one fits nothing.
func authorized(fs *v1alpha1.FlightServer) {
	fs.Spec.TLS = &v1alpha1.TLS{OperatorCA: &v1alpha1.OperatorCA{}}
	fs.Spec.Auth = &v1alpha1.Auth{
		Methods: v1alpha1.AuthMethods{
			Basic:  &v1alpha1.BasicAuth{SecretRef: v1alpha1.LocalReference{Name: "users"}},
			Bearer: &v1alpha1.BearerAuth{SecretRef: v1alpha1.LocalReference{Name: "tokens"}},
		},
		Rules: []v1alpha1.AuthRule{
			{Subjects: []v1alpha1.AuthSubject{{Group: "analysts"}}, Datasets: []string{"w*", "old-*"}, Verbs: []v1alpha1.AuthVerb{v1alpha1.VerbList, v1alpha1.VerbGet}},
		},
	}
}

func TestAuth(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2), authorized))
	fs := w.awaitCondition("taxi", v1alpha1.ConditionAuthReady, metav1.ConditionFalse, v1alpha1.ReasonAuthSourceNotFound)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionAuthReady); !strings.Contains(c.Message, "Secret users does not exist: create it") {
		t.Error(c.Message)
	}
	users := &corev1.Secret{ObjectMeta: w.meta("users"), StringData: map[string]string{"users": "ada:$2y$05$x\nbob:$2y$05$y\n", "groups": "analysts: ada\n"}}
	tokens := &corev1.Secret{ObjectMeta: w.meta("tokens"), StringData: map[string]string{"tokens": "secret,loader,robots|analysts\n"}}
	w.create(users, tokens)
	fs = w.awaitReady("taxi")
	want := []string{`spec.auth.rules[0].datasets: "old-*" fits no dataset`, `user "bob" is in no rule, and may do nothing`}
	if diff := cmp.Diff(want, fs.Status.Auth.Warnings); diff != "" || fs.Status.Auth.LoadedBy != "2/2" {
		t.Errorf("status.auth is %+v: %s", fs.Status.Auth, diff)
	}
	pods := w.nodes.podsCreated()
	w.expectQuiet("taxi")

	before := fs.Status.Auth.Hash
	change(w, users, func(s *corev1.Secret) { s.Data["users"] = []byte("ada:$2y$05$x\n") })
	w.eventually("the servers to know one user less", func() error {
		if fs = w.awaitReady("taxi"); fs.Status.Auth.Hash == before || len(fs.Status.Auth.Warnings) != 1 {
			return fmt.Errorf("status.auth is %+v", fs.Status.Auth)
		}
		return nil
	})
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("%d pods were created, expected %d", n, pods)
	}

	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Auth.Rules[0].Datasets = []string{"[a"} })
	fs = w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionStalled); !strings.Contains(c.Message, "spec.auth.rules[0].datasets") {
		t.Error(c.Message)
	}
}

// Without TLS, the operator shows by the servers' own signing keys who it is, and goes on to as these are rotated.
func TestAuthInPlainText(t *testing.T) {
	w := newWorld(t)
	w.create(
		&corev1.Secret{ObjectMeta: w.meta("users"), StringData: map[string]string{"users": "ada:$2y$05$x\n", "groups": "analysts: ada\n"}},
		&corev1.Secret{ObjectMeta: w.meta("tokens"), StringData: map[string]string{"tokens": "secret,loader,analysts\n"}},
		w.flightServer("taxi", replicas(2), authorized, func(fs *v1alpha1.FlightServer) {
			fs.Spec.TLS, fs.Spec.Auth.Insecure, fs.Spec.Auth.Rules[0].Datasets = nil, v1alpha1.InsecureAuthAllow, nil
		}),
	)
	fs := w.awaitReady("taxi")
	if c := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionAuthReady); c.Reason != v1alpha1.ReasonAuthInsecure || !strings.Contains(c.Message, "travel in plain text") {
		t.Errorf("AuthReady is %+v", c)
	}
	if len(fs.Status.Auth.Warnings) != 1 || !strings.Contains(fs.Status.Auth.Warnings[0], "spec.auth.insecure: passwords, tokens and data travel in plain text") {
		t.Errorf("the warnings are %q", fs.Status.Auth.Warnings)
	}
	w.eventually("an event that warns", func() error {
		var events eventsv1.EventList
		if err := w.client.List(t.Context(), &events, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.Reason == v1alpha1.ReasonAuthInsecure && e.Type == corev1.EventTypeWarning {
				return nil
			}
		}
		return fmt.Errorf("there are %d others", len(events.Items))
	})
	w.expectQuiet("taxi")

	secret := &corev1.Secret{ObjectMeta: w.meta("taxi-signing")}
	if err := w.get(secret); err != nil {
		t.Fatal(err)
	}
	first, second := string(secret.Data[signing.FileName]), string(signing.Generate())
	for _, keys := range []string{first + second, second + first, second, "not a key", string(signing.Generate())} {
		change(w, secret, func(s *corev1.Secret) { s.Data[signing.FileName] = []byte(keys) })
		change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets[0].Description += "." })
		if keys == "not a key" {
			continue // the servers of this test know nobody then
		}
		fs = w.awaitReady("taxi")
	}
}
