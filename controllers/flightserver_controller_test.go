package controllers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/flightruntime"
	"github.com/flight-operator/flight-operator/flightruntime/config"
	"github.com/flight-operator/flight-operator/flightruntime/signing"
)

// quiet is how long nothing may happen for a test to believe that nothing will. What the operator does, it does within milliseconds.
const quiet = 1500 * time.Millisecond

// owned are empty objects of the names that the operator gives to those of a FlightServer with several servers.
func (w *world) owned(name string) []client.Object {
	return []client.Object{
		&corev1.ConfigMap{ObjectMeta: w.meta(name + "-config")},
		&corev1.ConfigMap{ObjectMeta: w.meta(name + "-client")},
		&corev1.Secret{ObjectMeta: w.meta(name + "-signing")},
		&appsv1.Deployment{ObjectMeta: w.meta(name)},
		&corev1.Service{ObjectMeta: w.meta(name)},
		&policyv1.PodDisruptionBudget{ObjectMeta: w.meta(name)},
	}
}

// versions are the resource versions of all that there is of a FlightServer.
func (w *world) versions(name string) map[string]string {
	w.t.Helper()
	versions := map[string]string{}
	for _, o := range append(w.owned(name), &v1alpha1.FlightServer{ObjectMeta: w.meta(name)}) {
		if err := w.get(o); err != nil {
			w.t.Fatal(err)
		}
		versions[fmt.Sprintf("%T %s", o, o.GetName())] = o.GetResourceVersion()
	}
	var pods corev1.PodList
	if err := w.client.List(w.ctx, &pods, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	for _, pod := range pods.Items {
		versions[pod.Name] = pod.ResourceVersion
	}
	return versions
}

// expectQuiet holds that the operator writes nothing, not even what changes nothing.
func (w *world) expectQuiet(name string) {
	w.t.Helper()
	w.settle()
	before, versions := w.operator.writes.Load(), w.versions(name)
	time.Sleep(quiet)
	if n := w.operator.writes.Load() - before; n != 0 {
		w.t.Errorf("the operator made %d writes with nothing to do", n)
	}
	if diff := cmp.Diff(versions, w.versions(name)); diff != "" {
		w.t.Error("objects changed with nothing to do:", diff)
	}
}

// settle waits until the operator has written nothing for a while; events are written in the background.
func (w *world) settle() {
	w.t.Helper()
	last, since := w.operator.writes.Load(), time.Now()
	w.eventually("the operator to come to rest", func() error {
		if now := w.operator.writes.Load(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < quiet {
			return errors.New("at work")
		}
		return nil
	})
}

func TestCreate(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2)))
	fs := w.awaitReady("taxi")

	if got, want := fs.Status.Address, "grpc://taxi."+w.namespace+".svc:8815"; got != want {
		t.Errorf("address %q, expected %q", got, want)
	}
	if s := fs.Status; s.Replicas != 2 || s.ReadyReplicas != 2 || s.Summary.Servers != "2/2" || s.Summary.Datasets != "1/1" || len(s.Servers) != 2 || len(s.Datasets) != 1 {
		t.Errorf("expected 2 servers and 1 dataset, got %+v", s)
	}
	for _, o := range w.owned("taxi") {
		if err := w.get(o); err != nil {
			t.Fatal(err)
		}
		owner := metav1.GetControllerOf(o)
		if owner == nil || owner.UID != fs.UID || !*owner.BlockOwnerDeletion {
			t.Errorf("%T is not owned by the FlightServer: %+v", o, o.GetOwnerReferences())
		}
		for key, value := range map[string]string{v1alpha1.LabelName: "flightserver", v1alpha1.LabelInstance: "taxi", v1alpha1.LabelManagedBy: "flight-operator"} {
			if o.GetLabels()[key] != value {
				t.Errorf("%T has label %s=%q, expected %q", o, key, o.GetLabels()[key], value)
			}
		}
	}
	w.expectQuiet("taxi")
}

// What the API server writes in another way than it was told must not look like drift for ever.
func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2), func(fs *v1alpha1.FlightServer) {
		fs.Spec.Resources = &v1alpha1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000m"), corev1.ResourceMemory: resource.MustParse("1024Ki")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("0.5Gi")},
		}
		fs.Spec.Service = &v1alpha1.Service{Type: corev1.ServiceTypeNodePort, Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}}
		fs.Spec.PodTemplate = &v1alpha1.PodTemplate{
			Env: []corev1.EnvVar{
				{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
				{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}}},
				{Name: "EMPTY"},
			},
			Tolerations:  []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}},
			NodeSelector: map[string]string{"disk": "ssd"},
			Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
				Weight: 1, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
			}}}},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway}},
			Volumes: []v1alpha1.Volume{
				{Name: "all", MountPath: "/all", Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
					{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}},
				}}},
				{Name: "scratch", MountPath: "/scratch", Access: v1alpha1.VolumeReadWrite, EmptyDir: &corev1.EmptyDirVolumeSource{}},
			},
		}
	}))
	w.awaitReady("taxi")
	w.expectQuiet("taxi")

	// Nor may it hide drift.
	d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
	change(w, d, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0].Env[0].ValueFrom.FieldRef.FieldPath = "status.hostIP"
	})
	w.eventually("the environment to be mended", func() error {
		if err := w.get(d); err != nil {
			return err
		}
		if path := d.Spec.Template.Spec.Containers[0].Env[0].ValueFrom.FieldRef.FieldPath; path != "status.podIP" {
			return fmt.Errorf("field path %q", path)
		}
		return nil
	})
}

func TestDriftIsMended(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2)))
	w.awaitReady("taxi")

	configMap := &corev1.ConfigMap{ObjectMeta: w.meta("taxi-config")}
	secret := &corev1.Secret{ObjectMeta: w.meta("taxi-signing")}
	deployment := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
	service := &corev1.Service{ObjectMeta: w.meta("taxi")}
	pdb := &policyv1.PodDisruptionBudget{ObjectMeta: w.meta("taxi")}
	for _, c := range []struct {
		what   string
		object client.Object
		drift  func()
	}{
		{"another configuration", configMap, func() { configMap.Data[config.FileName] = "nonsense" }},
		{"a configuration removed", configMap, func() { configMap.Data = nil }},
		{"another number of servers", deployment, func() { deployment.Spec.Replicas = ptr.To[int32](7) }},
		{"another image", deployment, func() { deployment.Spec.Template.Spec.Containers[0].Image = "example.test/other:v1" }},
		{"another port of the container", deployment, func() { deployment.Spec.Template.Spec.Containers[0].Ports[0].ContainerPort = 1 }},
		{"other arguments", deployment, func() { deployment.Spec.Template.Spec.Containers[0].Args = []string{"sleep"} }},
		{"a looser security context", deployment, func() {
			deployment.Spec.Template.Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem = ptr.To(false)
		}},
		{"another strategy", deployment, func() { deployment.Spec.Strategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromInt32(1)) }},
		{"the image's annotation removed", deployment, func() { deployment.Annotations = nil }},
		{"another port", service, func() { service.Spec.Ports[0].Port = 1 }},
		{"another name of the port", service, func() { service.Spec.Ports[0].Name = "other" }},
		{"another type", service, func() { service.Spec.Type = corev1.ServiceTypeNodePort }},
		{"another selector", service, func() { service.Spec.Selector = map[string]string{"a": "b"} }},
		{"another budget", pdb, func() { pdb.Spec.MaxUnavailable = ptr.To(intstr.FromInt32(2)) }},
	} {
		w.expectMended(c.what, c.object, c.drift)
	}
	for _, o := range []client.Object{configMap, secret, deployment, service, pdb} {
		kind := fmt.Sprintf("%T", o)
		w.expectMended(kind+" without its labels", o, func() { o.SetLabels(nil) })
		w.expectMended(kind+" without its owner", o, func() { o.SetOwnerReferences(nil) })
		if err := w.get(o); err != nil {
			t.Fatal(err)
		}
		uid := o.GetUID()
		w.delete(o)
		w.eventually(kind+" to be made again", func() error {
			if err := w.get(o); err != nil {
				return err
			}
			if o.GetUID() == uid {
				return errors.New("not deleted yet")
			}
			return nil
		})
	}
	w.awaitReady("taxi")
	w.expectQuiet("taxi")
}

// expectMended changes an object and waits until it is as it was, but for what the API server counts.
func (w *world) expectMended(what string, o client.Object, drift func()) {
	w.t.Helper()
	if err := w.get(o); err != nil {
		w.t.Fatal(what, err)
	}
	want := essence(o)
	change(w, o, func(client.Object) { drift() })
	if essence(o) == want {
		w.t.Fatalf("%s: the change did not take", what)
	}
	w.eventually(what+" to be mended", func() error {
		if err := w.get(o); err != nil {
			return err
		}
		if diff := cmp.Diff(want, essence(o)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// essence is what an object says, without versions, status, and what others than the operator add.
func essence(o client.Object) string {
	said := []any{o.GetLabels(), o.GetOwnerReferences()}
	switch o := o.(type) {
	case *corev1.ConfigMap:
		said = append(said, o.Annotations, o.Data)
	case *corev1.Secret:
		said = append(said, o.Data)
	case *appsv1.Deployment:
		said = append(said, o.Annotations, o.Spec)
	case *corev1.Service:
		// A Service that had node ports for a while may keep them in fields that are nobody's.
		said = append(said, o.Spec.Type, o.Spec.Selector, o.Spec.Ports[0].Name, o.Spec.Ports[0].Port, len(o.Spec.Ports))
	case *policyv1.PodDisruptionBudget:
		said = append(said, o.Spec)
	}
	text, err := json.MarshalIndent(said, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestSigningKeysAreTheUsersOnceMade(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", replicas(2)))
	w.awaitReady("taxi")
	secret := &corev1.Secret{ObjectMeta: w.meta("taxi-signing")}
	if err := w.get(secret); err != nil {
		t.Fatal(err)
	}
	if _, err := signing.Parse(secret.Data[signing.FileName]); err != nil {
		t.Errorf("the operator made keys that are none: %v", err)
	}
	rotated := string(signing.Generate()) + string(secret.Data[signing.FileName])
	change(w, secret, func(s *corev1.Secret) { s.Data[signing.FileName] = []byte(rotated) })
	w.expectQuiet("taxi")
	w.operator.stop()
	w.operator = startOperator(w, runtimeImage)
	w.expectQuiet("taxi")
	if err := w.get(secret); err != nil || string(secret.Data[signing.FileName]) != rotated {
		t.Errorf("the rotated keys did not stay (%v)", err)
	}
	change(w, secret, func(s *corev1.Secret) { s.Data = nil })
	w.eventually("keys to be made again", func() error {
		if err := w.get(secret); err != nil {
			return err
		}
		_, err := signing.Parse(secret.Data[signing.FileName])
		return err
	})
}

func TestEditIsServedWithoutNewPods(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", replicas(2))
	w.create(fs)
	first := w.awaitReady("taxi")
	pods := w.nodes.podsCreated()

	change(w, fs, func(fs *v1alpha1.FlightServer) {
		fs.Spec.Datasets = append(fs.Spec.Datasets, inline("more", "x\n1\n"))
	})
	second := w.awaitReady("taxi")
	if second.Status.ConfigHash == first.Status.ConfigHash {
		t.Error("the configuration's hash did not change")
	}
	for _, s := range second.Status.Servers {
		if s.ConfigHash != second.Status.ConfigHash {
			t.Errorf("pod %s serves configuration %s, expected %s", s.Pod, s.ConfigHash, second.Status.ConfigHash)
		}
	}
	if second.Status.Summary.Datasets != "2/2" {
		t.Errorf("datasets %s, expected 2/2", second.Status.Summary.Datasets)
	}
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("%d pods were created for an edit of the datasets", n-pods)
	}
	w.expectQuiet("taxi")
}

// A kubelet may look at its pod just before it hears of the new ConfigMap.
func TestServerThatStaysBehindIsNudgedAgain(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi")
	w.create(fs)
	w.awaitReady("taxi")

	w.nodes.set(func() { w.nodes.deaf = true })
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets[0].Description = "changed" })
	w.awaitCondition("taxi", v1alpha1.ConditionDatasetsReady, metav1.ConditionFalse, v1alpha1.ReasonConfigurationPending)
	var pods corev1.PodList
	w.eventually("a second nudge", func() error {
		if err := w.client.List(w.ctx, &pods, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		if pods.Items[0].Annotations["flightoperator.dev/config-nudge"] == "" {
			return fmt.Errorf("annotations %v", pods.Items[0].Annotations)
		}
		return nil
	})
	w.nodes.set(func() { w.nodes.deaf = false })
	w.awaitReady("taxi")
}

func configMapDataset(name, configMap, key string) v1alpha1.Dataset {
	return v1alpha1.Dataset{Name: name, Source: v1alpha1.DatasetSource{ConfigMap: &v1alpha1.ConfigMapSource{Name: configMap, Key: key}}}
}

func volumeDataset(name, claim, path string) v1alpha1.Dataset {
	return v1alpha1.Dataset{Name: name, Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: claim, Path: path}}}
}

func TestConfigMapCreatedLaterAndEdited(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", datasets(inline("words", "a\n1\n"), configMapDataset("trips", "data", "trips.csv"))))
	fs := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound)
	if got := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(got, "dataset trips: ConfigMap "+w.namespace+"/data does not exist: create it") {
		t.Errorf("message %q does not name the ConfigMap and the mend", got)
	}
	if fs.Status.Summary.Datasets != "1/2" {
		t.Errorf("datasets %s: the other one should be served", fs.Status.Summary.Datasets)
	}
	pods := w.nodes.podsCreated()

	cm := &corev1.ConfigMap{ObjectMeta: w.meta("data"), Data: map[string]string{"other.csv": "a\n1\n"}}
	w.create(cm)
	w.eventually("the missing key to be named", func() error {
		fs := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound)
		if m := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, `has no key "trips.csv"`) {
			return errors.New(m)
		}
		return nil
	})
	change(w, cm, func(cm *corev1.ConfigMap) { cm.BinaryData = map[string][]byte{"trips.csv": []byte("a\n1\n")} })
	before := w.awaitReady("taxi")

	change(w, cm, func(cm *corev1.ConfigMap) { cm.BinaryData["trips.csv"] = []byte("a\n2\n") })
	w.eventually("the edit to be served", func() error {
		if fs := w.awaitReady("taxi"); fs.Status.ConfigHash == before.Status.ConfigHash {
			return errors.New("still the configuration before")
		}
		return nil
	})
	w.expectConfigHolds("taxi", config.Digest([]byte("a\n2\n")))

	w.delete(cm)
	w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound)
	if n := w.nodes.podsCreated(); n != pods {
		t.Errorf("%d pods were created for a ConfigMap that came and went", n-pods)
	}
}

func (w *world) expectConfigHolds(name, text string) {
	w.t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: w.meta(name + "-config")}
	if err := w.get(cm); err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(cm.Data[config.FileName], text) {
		w.t.Errorf("expected %q in the configuration, got %s", text, cm.Data[config.FileName])
	}
}

func TestClaimCreatedLater(t *testing.T) {
	w := newWorld(t)
	w.create(w.flightServer("taxi", datasets(volumeDataset("trips", "disk", "**/*.parquet"))))
	w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound)
	d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
	if err := w.get(d); err != nil {
		t.Fatal(err)
	}
	if mountsClaim(d, "disk") {
		t.Error("a pod that names a claim that does not exist cannot be scheduled")
	}
	w.create(&corev1.PersistentVolumeClaim{ObjectMeta: w.meta("disk"), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}})
	w.awaitReady("taxi")
	if err := w.get(d); err != nil {
		t.Fatal(err)
	}
	if !mountsClaim(d, "disk") {
		t.Error("the claim is not mounted")
	}
}

func mountsClaim(d *appsv1.Deployment, claim string) bool {
	return slices.ContainsFunc(d.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool {
		return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
	})
}

func TestInvalidSpecLeavesAllAsItWas(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", replicas(2))
	w.create(fs)
	w.awaitReady("taxi")
	w.settle()
	before := w.versions("taxi")

	// The CRD cannot tell that a glob is not well-formed.
	change(w, fs, func(fs *v1alpha1.FlightServer) {
		fs.Spec.Datasets = append(fs.Spec.Datasets, volumeDataset("trips", "disk", "[a-/x.csv"))
	})
	got := w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
	if m := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, "spec.datasets[1].source.volume.path") || !strings.Contains(m, "well-formed glob") {
		t.Errorf("message %q names neither the field nor the mend", m)
	}
	if !meta.IsStatusConditionTrue(got.Status.Conditions, v1alpha1.ConditionAvailable) {
		t.Error("the servers go on serving, and Available should say so")
	}
	after := w.versions("taxi")
	delete(before, "*v1alpha1.FlightServer taxi")
	delete(after, "*v1alpha1.FlightServer taxi")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error("objects changed:", diff)
	}
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets = fs.Spec.Datasets[:1] })
	w.awaitReady("taxi")
}

func TestConfigurationTooLarge(t *testing.T) {
	w := newWorld(t)
	big := "a\n" + strings.Repeat("1", 400_000)
	w.create(w.flightServer("taxi", datasets(inline("one", big), inline("two", big), inline("three", big))))
	got := w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonInvalidSpec)
	if m := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionStalled).Message; !strings.Contains(m, "MiB") || !strings.Contains(m, "move inline data") {
		t.Errorf("message %q tells neither the size nor the mend", m)
	}
}

func TestNameConflict(t *testing.T) {
	for _, c := range []struct {
		name   string
		object func(w *world) client.Object
	}{
		{"ConfigMap", func(w *world) client.Object { return &corev1.ConfigMap{ObjectMeta: w.meta("taxi-config")} }},
		{"Secret", func(w *world) client.Object { return &corev1.Secret{ObjectMeta: w.meta("taxi-signing")} }},
		{"Service", func(w *world) client.Object {
			return &corev1.Service{ObjectMeta: w.meta("taxi"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		}},
		{"Deployment", func(w *world) client.Object {
			labels := map[string]string{"app": "theirs"}
			return &appsv1.Deployment{ObjectMeta: w.meta("taxi"), Spec: appsv1.DeploymentSpec{
				Replicas: ptr.To[int32](0),
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}},
			}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			theirs := c.object(w)
			w.create(theirs)
			w.create(w.flightServer("taxi"))
			fs := w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNameConflict)
			if m := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionStalled).Message; !strings.Contains(m, c.name+" "+w.namespace+"/"+theirs.GetName()+" exists") {
				t.Errorf("message %q does not name the object", m)
			}
			version := theirs.GetResourceVersion()
			if err := w.get(theirs); err != nil {
				t.Fatal(err)
			}
			if theirs.GetResourceVersion() != version && c.name != "Deployment" {
				t.Error("the operator changed what is not its own")
			}
			if len(theirs.GetOwnerReferences()) > 0 {
				t.Error("the operator took over what is not its own")
			}
			w.delete(theirs)
			w.awaitReady("taxi")
		})
	}
}

// calls are all HealthChecks that the servers have got.
func (w *world) calls() int {
	w.t.Helper()
	var pods corev1.PodList
	if err := w.client.List(w.ctx, &pods, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	calls := 0
	for _, pod := range pods.Items {
		if server := w.nodes.server(pod.UID); server != nil {
			calls += server.Calls()
		}
	}
	return calls
}

func TestSuspend(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", replicas(1), func(fs *v1alpha1.FlightServer) {
		// Shorter than the time without probes that is looked for below.
		fs.Spec.HealthCheck = &v1alpha1.HealthCheck{Interval: &metav1.Duration{Duration: time.Second}}
	})
	w.create(fs)
	w.awaitReady("taxi")
	change(w, fs, func(fs *v1alpha1.FlightServer) {
		fs.Spec.Suspend = v1alpha1.SuspendReconciliation
		fs.Spec.Replicas = ptr.To[int32](2)
	})
	got := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	if !meta.IsStatusConditionTrue(got.Status.Conditions, v1alpha1.ConditionAvailable) {
		t.Error("what runs goes on running, and Available should go on saying so")
	}
	w.settle()
	writes, calls := w.operator.writes.Load(), w.calls()
	time.Sleep(quiet)
	if n := w.calls() - calls; n != 0 {
		t.Errorf("the operator made %d probes while suspended", n)
	}
	d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
	change(w, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Args = []string{"debug"} })
	time.Sleep(quiet)
	if n := w.operator.writes.Load() - writes; n != 0 {
		t.Errorf("the operator made %d writes while suspended", n)
	}
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Suspend = v1alpha1.SuspendNone })
	w.awaitReady("taxi")
	if err := w.get(d); err != nil {
		t.Fatal(err)
	}
	if *d.Spec.Replicas != 2 || d.Spec.Template.Spec.Containers[0].Args[0] != "serve" {
		t.Error("what happened meanwhile was not mended")
	}
}

func TestScale(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi")
	w.create(fs)
	got := w.awaitReady("taxi")
	if got.Status.Selector != "app.kubernetes.io/instance=taxi,app.kubernetes.io/name=flightserver" {
		t.Errorf("selector %q", got.Status.Selector)
	}
	d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
	pdb := &policyv1.PodDisruptionBudget{ObjectMeta: w.meta("taxi")}
	if err := w.get(pdb); !apierrors.IsNotFound(err) {
		t.Errorf("a budget for one server would block drains, got %v", err)
	}
	// With spec.replicas left out, the number is anybody's.
	change(w, d, func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](3) })
	w.eventually("three servers", func() error {
		if got := w.awaitReady("taxi"); got.Status.Summary.Servers != "3/3" {
			return errors.New(got.Status.Summary.Servers)
		}
		return w.get(pdb)
	})
	w.expectReplicasOf(nobody)
	if err := w.client.SubResource("scale").Get(w.ctx, fs, &autoscalingv1.Scale{}); err == nil || !strings.Contains(err.Error(), ".spec.replicas") {
		t.Errorf("a number that is left out can be read through the scale subresource, docs/operations.md says otherwise: %v", err)
	}

	scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: 2}}
	if err := w.client.SubResource("scale").Update(w.ctx, fs, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	if got := w.awaitReady("taxi"); got.Status.Replicas != 2 {
		t.Errorf("%d replicas, expected 2", got.Status.Replicas)
	}
	w.expectReplicasOf(theOperator)
	if err := w.client.SubResource("scale").Get(w.ctx, fs, scale); err != nil || scale.Spec.Replicas != 2 || scale.Status.Replicas != 2 || scale.Status.Selector != got.Status.Selector {
		t.Errorf("the scale is %+v, %v", scale, err)
	}
	w.expectQuiet("taxi")

	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Replicas = ptr.To[int32](0) })
	got = w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonScaledToZero)
	if meta.IsStatusConditionTrue(got.Status.Conditions, v1alpha1.ConditionAvailable) {
		t.Error("nothing serves: Available should be False")
	}
	w.eventually("the budget to be removed", func() error {
		if err := w.get(pdb); !apierrors.IsNotFound(err) {
			return errors.New("still there")
		}
		return nil
	})

	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Replicas = nil })
	if got := w.awaitReady("taxi"); got.Status.Summary.Servers != "1/1" {
		t.Errorf("%s servers without a number, expected 1", got.Status.Summary.Servers)
	}
	w.expectReplicasOf(nobody)
}

// Who may own the number of servers in a Deployment.
const (
	nobody      = false
	theOperator = true
)

// expectReplicasOf looks whether the operator owns the number of servers in the Deployment "taxi".
func (w *world) expectReplicasOf(owner bool) {
	w.t.Helper()
	w.eventually("the owner of the Deployment's replicas", func() error {
		d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
		if err := w.get(d); err != nil {
			return err
		}
		owned, err := appsv1ac.ExtractDeployment(d, desired.FieldOwner)
		if err != nil {
			return err
		}
		if (owned.Spec.Replicas != nil) != owner {
			return fmt.Errorf("the operator owns %+v", owned.Spec)
		}
		return nil
	})
}

func TestDeletion(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", replicas(2))
	w.create(fs)
	w.awaitReady("taxi")
	w.settle()
	w.delete(fs)
	w.eventually("the FlightServer to be gone", func() error {
		if err := w.get(fs); !apierrors.IsNotFound(err) {
			return errors.New("still there")
		}
		return nil
	})
	// No finalizer, and nothing is made again: there is no garbage collector here, which in a cluster goes by the owner references.
	for _, o := range w.owned("taxi") {
		w.delete(o)
	}
	time.Sleep(quiet)
	for _, o := range w.owned("taxi") {
		if err := w.get(o); !apierrors.IsNotFound(err) {
			t.Errorf("%T was made again: %v", o, err)
		}
	}
	w.create(w.flightServer("taxi", replicas(2)))
	w.awaitReady("taxi")
}

// The operator may be killed at any point: what counts is in the cluster.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.ConfigMap{ObjectMeta: w.meta("data"), Data: map[string]string{"trips.csv": "a\n1\n"}})
	fs := w.flightServer("taxi", replicas(2), datasets(inline("words", "a\n1\n"), configMapDataset("trips", "data", "trips.csv")))
	w.create(fs)
	w.awaitReady("taxi")
	pods := w.nodes.podsCreated()
	w.settle()
	before := w.versions("taxi")

	t.Run("with nothing to do", func(*testing.T) {
		w.operator.stop()
		calls := w.calls()
		w.operator = startOperator(w, "example.test/flightruntime:v2")
		w.eventually("the new operator to be at work", func() error {
			if w.calls() == calls {
				return errors.New("no probe yet")
			}
			return nil
		})
		w.settle()
		if n := w.operator.writes.Load(); n != 0 {
			t.Errorf("the new operator made %d writes with nothing to do", n)
		}
		if diff := cmp.Diff(before, w.versions("taxi")); diff != "" {
			t.Error("objects changed:", diff)
		}
		if n := w.nodes.podsCreated(); n != pods {
			t.Errorf("a new release of the operator alone made %d pods", n-pods)
		}
	})
	t.Run("contents that are known are not read again", func(*testing.T) {
		reads := w.operator.reads.Load()
		if reads == 0 {
			t.Error("the new operator has read no ConfigMap, and cannot know them")
		}
		// An edit that is none of the operator's business makes it look again.
		change(w, &appsv1.Deployment{ObjectMeta: w.meta("taxi")}, func(d *appsv1.Deployment) { d.Labels["theirs"] = "x" })
		time.Sleep(quiet)
		if n := w.operator.reads.Load() - reads; n != 0 {
			t.Errorf("ConfigMaps were read %d times more", n)
		}
	})
	t.Run("with an edit meanwhile", func(*testing.T) {
		w.operator.stop()
		change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets = append(fs.Spec.Datasets, inline("more", "x\n1\n")) })
		w.delete(&corev1.Service{ObjectMeta: w.meta("taxi")})
		w.operator = startOperator(w, "example.test/flightruntime:v2")
		w.awaitReady("taxi")
		if err := w.get(&corev1.Service{ObjectMeta: w.meta("taxi")}); err != nil {
			t.Error(err)
		}
	})
	t.Run("the new image comes with the next change of the pods", func(*testing.T) {
		change(w, fs, func(fs *v1alpha1.FlightServer) {
			fs.Spec.PodTemplate = &v1alpha1.PodTemplate{Labels: map[string]string{"team": "data"}}
		})
		d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
		w.eventually("the new image", func() error {
			if err := w.get(d); err != nil {
				return err
			}
			if image := d.Spec.Template.Spec.Containers[0].Image; image != "example.test/flightruntime:v2" {
				return errors.New(image)
			}
			return nil
		})
		w.awaitReady("taxi")
	})
}

func TestPodTroublesAreToldApart(t *testing.T) {
	for _, c := range []struct {
		reason  string
		start   func(*corev1.Pod)
		message string
	}{
		{v1alpha1.ReasonUnschedulable, func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodPending
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: 1 Insufficient memory."}}
		}, "Insufficient memory"},
		{v1alpha1.ReasonImagePullFailed, func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodPending
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "flightruntime", Image: "example.test/none:v1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}}}}
		}, "example.test/none:v1"},
		{v1alpha1.ReasonContainerFailed, func(pod *corev1.Pod) {
			pod.Status.Phase = corev1.PodRunning
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
				Name: "flightruntime", RestartCount: 4,
				State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: "no such flag: --nonsense"}},
			}}
		}, "exit code 2 after 4 restarts: no such flag"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			w := newWorld(t)
			w.nodes.set(func() { w.nodes.start = c.start })
			w.create(w.flightServer("taxi"))
			fs := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, c.reason)
			if m := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, c.message) {
				t.Errorf("message %q does not say %q", m, c.message)
			}
			if a := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionAvailable); a.Status != metav1.ConditionFalse || a.Reason != c.reason {
				t.Errorf("Available is %s for %s", a.Status, a.Reason)
			}
			if !meta.IsStatusConditionTrue(fs.Status.Conditions, v1alpha1.ConditionReconciling) {
				t.Error("the cluster may still get there: Reconciling should be True")
			}

			d := &appsv1.Deployment{ObjectMeta: w.meta("taxi")}
			w.eventually("the deadline to pass", func() error {
				if err := w.get(d); err != nil {
					return err
				}
				d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"}}
				return w.client.Status().Update(w.ctx, d)
			})
			fs = w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonProgressDeadlineExceeded)
			if m := meta.FindStatusCondition(fs.Status.Conditions, v1alpha1.ConditionStalled).Message; !strings.Contains(m, c.message) {
				t.Errorf("message %q does not say %q", m, c.message)
			}
			w.expectEvent("taxi", corev1.EventTypeWarning, c.reason)
			w.expectEvent("taxi", corev1.EventTypeWarning, v1alpha1.ReasonProgressDeadlineExceeded)
		})
	}
}

func (w *world) expectEvent(name, kind, reason string) {
	w.t.Helper()
	w.eventually("an event "+reason, func() error {
		var events eventsv1.EventList
		if err := w.client.List(w.ctx, &events, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		var seen []string
		for _, e := range events.Items {
			if e.Regarding.Name == name && e.Regarding.Kind == v1alpha1.Kind && e.Type == kind && e.Reason == reason {
				return nil
			}
			seen = append(seen, e.Type+" "+e.Reason)
		}
		return fmt.Errorf("events are %v", seen)
	})
}

func TestServerThatHangsIsNotDown(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", replicas(2), func(fs *v1alpha1.FlightServer) {
		fs.Spec.HealthCheck = &v1alpha1.HealthCheck{
			Interval:         &metav1.Duration{Duration: time.Second},
			Timeout:          &metav1.Duration{Duration: 2 * time.Second},
			FailureThreshold: ptr.To[int32](2),
		}
	})
	w.create(fs)
	ready := w.awaitReady("taxi")
	hangs := ready.Status.Servers[1].Pod
	pod := &corev1.Pod{ObjectMeta: w.meta(hangs)}
	if err := w.get(pod); err != nil {
		t.Fatal(err)
	}
	server := w.nodes.server(pod.UID)
	server.Hang()
	got := w.awaitCondition("taxi", v1alpha1.ConditionReachable, metav1.ConditionFalse, v1alpha1.ReasonProbeTimeout)
	if got.Status.Servers[0].Pod != hangs || got.Status.Servers[0].State != v1alpha1.ServerUnreachable {
		t.Errorf("the server in trouble should come first: %+v", got.Status.Servers)
	}
	if !meta.IsStatusConditionTrue(got.Status.Conditions, v1alpha1.ConditionAvailable) || meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Errorf("expected Available and not Stalled: %+v", got.Status.Conditions)
	}
	w.expectEvent("taxi", corev1.EventTypeWarning, v1alpha1.ReasonProbeTimeout)
	server.Answer(flightruntime.Health{
		Status: flightruntime.Serving, ConfigHash: got.Status.ConfigHash,
		Datasets: []flightruntime.DatasetHealth{{Name: "words", State: flightruntime.DatasetReady, SchemaFingerprint: "abc", Rows: 1}},
	})
	w.awaitReady("taxi")
}

func TestBrokenDataset(t *testing.T) {
	w := newWorld(t)
	w.nodes.set(func() {
		w.nodes.health = func(_ string, h *flightruntime.Health) {
			for i := range h.Datasets {
				if h.Datasets[i].Name == "broken" {
					h.Datasets[i].State, h.Datasets[i].Message = flightruntime.DatasetDegraded, "row 3 has 5 columns, expected 4: mend the row"
				}
			}
		}
	})
	fs := w.flightServer("taxi", datasets(inline("words", "a\n1\n"), inline("broken", "a\n1\n")))
	w.create(fs)
	got := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDatasetsFailed)
	if d := got.Status.Datasets[0]; d.Name != "broken" || d.State != v1alpha1.DatasetDegraded || !strings.Contains(d.Message, "row 3") {
		t.Errorf("the dataset in trouble should come first: %+v", got.Status.Datasets)
	}
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.Datasets = fs.Spec.Datasets[:1] })
	w.awaitReady("taxi")
}

func TestStatusOfManyDatasetsIsBounded(t *testing.T) {
	w := newWorld(t)
	var many []v1alpha1.Dataset
	for i := range 1000 {
		many = append(many, inline(fmt.Sprintf("d%04d", i), "a\n1\n"))
	}
	w.nodes.set(func() {
		w.nodes.health = func(_ string, h *flightruntime.Health) {
			for i := range h.Datasets {
				h.Datasets[i].State, h.Datasets[i].Message = flightruntime.DatasetFailed, strings.Repeat("€", 500)
			}
		}
	})
	w.create(w.flightServer("taxi", datasets(many...), func(fs *v1alpha1.FlightServer) {
		// An answer of more than a MiB takes its time where the machine is busy and the race detector looks on.
		fs.Spec.HealthCheck = &v1alpha1.HealthCheck{Timeout: &metav1.Duration{Duration: time.Minute}}
	}))
	got := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDatasetsFailed)
	if n := len(got.Status.Datasets); n != v1alpha1.MaxStatusDatasets {
		t.Errorf("%d datasets in the status, expected %d", n, v1alpha1.MaxStatusDatasets)
	}
	if got.Status.Summary.Datasets != "0/1000" {
		t.Errorf("summary %s", got.Status.Summary.Datasets)
	}
	for _, d := range got.Status.Datasets {
		if len(d.Message) > v1alpha1.MaxStatusMessage || !strings.HasSuffix(d.Message, "…") {
			t.Fatalf("message of %d bytes, expected %d at most and a mark of the cut", len(d.Message), v1alpha1.MaxStatusMessage)
		}
	}
}

// An object that the API server refuses stalls the FlightServer with the API server's own words.
func TestRefusedObject(t *testing.T) {
	w := newWorld(t)
	fs := w.flightServer("taxi", func(fs *v1alpha1.FlightServer) {
		fs.Spec.PodTemplate = &v1alpha1.PodTemplate{Labels: map[string]string{"not a label": "x"}}
	})
	w.create(fs)
	got := w.awaitCondition("taxi", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonApplyFailed)
	if m := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionStalled).Message; !strings.Contains(m, "not a label") {
		t.Errorf("message %q does not say what is refused", m)
	}
	change(w, fs, func(fs *v1alpha1.FlightServer) { fs.Spec.PodTemplate = nil })
	w.awaitReady("taxi")
}

// Objects of a FlightServer that is gone are not its successor's before they are removed.
func TestObjectsOfAnEarlierFlightServer(t *testing.T) {
	w := newWorld(t)
	old := &corev1.Service{ObjectMeta: w.meta("taxi"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	old.Labels = map[string]string{v1alpha1.LabelManagedBy: v1alpha1.LabelManagedByValue, v1alpha1.LabelInstance: "taxi"}
	old.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind, Name: "taxi", UID: types.UID("earlier"), Controller: ptr.To(true)}}
	w.create(old)
	w.create(w.flightServer("taxi"))
	got := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	if m := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, "earlier FlightServer") {
		// The Deployment comes first, and may still be on its way.
		w.eventually("the wait to be told", func() error {
			got := w.awaitCondition("taxi", v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
			if m := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady).Message; !strings.Contains(m, "earlier FlightServer") {
				return errors.New(m)
			}
			return nil
		})
	}
	w.delete(old)
	w.awaitReady("taxi")
}
