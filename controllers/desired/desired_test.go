package desired_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/controllers/desired"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

// minimal is a FlightServer that says nothing but its name.
func minimal() desired.Params {
	return desired.Params{
		FlightServer: &v1alpha1.FlightServer{ObjectMeta: metav1.ObjectMeta{Namespace: "data", Name: "taxi", UID: "11111111-2222-3333-4444-555555555555"}},
		Config:       []byte("apiVersion: runtime.flightoperator.dev/v1alpha1\nkind: RuntimeConfig\n"),
		ConfigHash:   "0123456789abcdef",
		DefaultImage: "ghcr.io/flight-operator/flightruntime:v1.0.0",
		DrainTimeout: time.Minute,
	}
}

// full says all that a FlightServer can.
func full() desired.Params {
	p := minimal()
	p.ConfigMaps = []string{"weather", "a.name.with.dots-and-beyond-the-length-of-a-label." + strings.Repeat("x", 60)}
	p.Claims = []string{"taxi-data", "events"}
	p.DrainTimeout = 90 * time.Second
	p.FlightServer.Spec = v1alpha1.FlightServerSpec{
		Replicas: ptr.To[int32](3),
		Datasets: []v1alpha1.Dataset{
			{Name: "trips", Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "taxi-data", Path: "trips.parquet"}}},
			{Name: "seen", Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "events", Path: "seen.parquet"}}},
			{Name: "events", Access: v1alpha1.AccessAppend, Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "events", Path: "*.parquet"}}},
		},
		Image:  "example.test/own:v2",
		Limits: &v1alpha1.Limits{MaxStreams: ptr.To[int32](64), DrainTimeout: &metav1.Duration{Duration: 90 * time.Second}},
		Resources: &v1alpha1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m"), corev1.ResourceMemory: resource.MustParse("1Gi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
		},
		PodTemplate: &v1alpha1.PodTemplate{
			Labels:             map[string]string{"team": "data", v1alpha1.LabelInstance: "another"},
			Annotations:        map[string]string{"note": "mine", v1alpha1.AnnotationConfigHash: "mine"},
			ImagePullPolicy:    corev1.PullAlways,
			ImagePullSecrets:   []v1alpha1.LocalReference{{Name: "registry"}},
			ServiceAccountName: "taxi",
			PriorityClassName:  "high",
			NodeSelector:       map[string]string{"disk": "ssd"},
			Tolerations:        []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "arch", Operator: corev1.NodeSelectorOpIn, Values: []string{"amd64"}}}}},
			}}},
			TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
				{MaxSkew: 1, TopologyKey: "topology.kubernetes.io/zone", WhenUnsatisfiable: corev1.DoNotSchedule},
				{MaxSkew: 2, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "data"}}},
			},
			FSGroup: ptr.To[int64](65532),
			Env:     []corev1.EnvVar{{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}},
			Volumes: []v1alpha1.Volume{
				{Name: "cache", MountPath: "/cache", Access: v1alpha1.VolumeReadWrite, EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr.To(resource.MustParse("1Gi"))}},
				{Name: "keys", MountPath: "/keys", Secret: &corev1.SecretVolumeSource{SecretName: "keys"}},
			},
		},
		Service: &v1alpha1.Service{
			Type:                     corev1.ServiceTypeLoadBalancer,
			Port:                     443,
			NodePort:                 30443,
			Labels:                   map[string]string{"team": "data", v1alpha1.LabelManagedBy: "another"},
			Annotations:              map[string]string{"dns": "taxi.example.test"},
			LoadBalancerClass:        ptr.To("example.test/lb"),
			LoadBalancerSourceRanges: []string{"10.0.0.0/8"},
			ExternalTrafficPolicy:    corev1.ServiceExternalTrafficPolicyLocal,
		},
	}
	return p
}

// encrypted has a certificate of cert-manager's, and asks clients for theirs.
func encrypted() desired.Params {
	p := minimal()
	p.FlightServer.Spec.TLS = &v1alpha1.TLS{
		Certificate: &v1alpha1.Certificate{
			IssuerRef:    v1alpha1.IssuerReference{Name: "corp", Kind: "ClusterIssuer"},
			Duration:     &metav1.Duration{Duration: 24 * time.Hour},
			RenewBefore:  &metav1.Duration{Duration: 8 * time.Hour},
			PrivateKey:   &v1alpha1.PrivateKey{Algorithm: v1alpha1.KeyRSA},
			SubjectNames: v1alpha1.SubjectNames{DNSNames: []string{"taxi.example.com"}, IPAddresses: []string{"192.0.2.7"}},
		},
		ClientCA: &v1alpha1.ClientCA{SecretRef: &v1alpha1.KeyReference{Name: "clients", Key: "bundle.pem"}},
	}
	p.FlightServer.Spec.Service = &v1alpha1.Service{ExternalAddress: "grpc+tls://203.0.113.9:443"}
	p.FlightServer.Spec.Auth = &v1alpha1.Auth{Methods: v1alpha1.AuthMethods{
		Basic:          &v1alpha1.BasicAuth{SecretRef: v1alpha1.LocalReference{Name: "users"}},
		Bearer:         &v1alpha1.BearerAuth{SecretRef: v1alpha1.LocalReference{Name: "tokens"}},
		JWT:            []v1alpha1.JWTAuth{{Issuer: "https://sso.example.com", Audiences: []string{"flight"}, JWKS: &v1alpha1.ObjectKey{ConfigMapRef: &v1alpha1.NamedKey{Name: "sso", Key: "keys.json"}}}},
		ServiceAccount: &v1alpha1.ServiceAccountAuth{Audiences: []string{"flight"}, Verification: v1alpha1.TokenReview},
	}}
	return p
}

// cached keeps datasets in memory and on a disk of its own.
func cached() desired.Params {
	p := minimal()
	p.FlightServer.Spec.Datasets = []v1alpha1.Dataset{
		{Name: "notes", Cache: &v1alpha1.DatasetCache{Mode: v1alpha1.CacheMemory}},
		{Name: "trips", Cache: &v1alpha1.DatasetCache{Mode: v1alpha1.CacheDisk}},
	}
	p.FlightServer.Spec.Cache = &v1alpha1.Cache{
		Memory: &v1alpha1.MemoryCache{SizeLimit: ptr.To(resource.MustParse("1Gi"))}, Disk: &v1alpha1.DiskCache{SizeLimit: ptr.To(resource.MustParse("20Gi"))},
	}
	p.FlightServer.Spec.Resources = &v1alpha1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")}}
	return p
}

func TestTheCacheIsOnAClaimInPlaceOfAnEmptyDir(t *testing.T) {
	p := cached()
	p.FlightServer.Spec.Cache.Disk.ClaimName, p.Claims = "cache", []string{"cache"}
	d, err := desired.Deployment(p)
	if err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template.Spec
	found := 0
	for i, v := range pod.Volumes {
		m := pod.Containers[0].VolumeMounts[i]
		switch {
		case *v.Name == "flight-cache":
			t.Error("there is an emptyDir")
		case v.PersistentVolumeClaim != nil:
			found++
			if *v.PersistentVolumeClaim.ClaimName != "cache" || *m.MountPath != "/var/lib/flight/claims/cache" || m.ReadOnly != nil {
				t.Errorf("the claim is mounted as %+v", m)
			}
		}
	}
	if found != 1 {
		t.Errorf("there are %d claims", found)
	}
}

func TestGolden(t *testing.T) {
	for name, p := range map[string]desired.Params{"minimal": minimal(), "full": full(), "encrypted": encrypted(), "cached": cached()} {
		deployment, err := desired.Deployment(p)
		if err != nil {
			t.Fatal(err)
		}
		objects := map[string]any{
			"clientconfigmap":     desired.ClientConfigMap(p.FlightServer, desired.Trust{}),
			"configmap":           desired.ConfigMap(p),
			"secret":              desired.SigningSecret(p.FlightServer, []byte("c2lnbmluZw==\n")),
			"deployment":          deployment,
			"service":             desired.Service(p),
			"poddisruptionbudget": desired.PodDisruptionBudget(p),
		}
		if p.FlightServer.Spec.TLS != nil {
			objects["certificate"] = desired.Certificate(p.FlightServer, config.ServerNames(p.FlightServer, "cluster.local"))
			objects["certificatesecret"] = desired.CertificateSecret(p.FlightServer, []byte("certificate"), []byte("key"), []byte("ca"))
			objects["clientconfigmap"] = desired.ClientConfigMap(p.FlightServer, desired.Trust{CA: []byte("ca"), OverlapUntil: time.Unix(1_000_000, 0)})
		}
		for kind, object := range objects {
			t.Run(name+"/"+kind, func(t *testing.T) {
				got, err := yaml.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				golden := filepath.Join("testdata", name, kind+".yaml")
				if *update {
					if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(golden, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatalf("%v; go test ./controllers/desired -update writes the golden files", err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("not as in %s; if it should be so, go test ./controllers/desired -update:\n%s", golden, diff)
				}
			})
		}
	}
}

// image is what a Deployment gives its server.
func image(d *appsv1ac.DeploymentApplyConfiguration) string {
	return *d.Spec.Template.Spec.Containers[0].Image
}

func TestImageOutlivesAnUpgradeOfTheOperator(t *testing.T) {
	before, err := desired.Deployment(minimal())
	if err != nil {
		t.Fatal(err)
	}
	const old, next = "ghcr.io/flight-operator/flightruntime:v1.0.0", "ghcr.io/flight-operator/flightruntime:v2.0.0"
	for _, c := range []struct {
		what string
		edit func(*desired.Params)
		want string
	}{
		{"a new release alone", func(*desired.Params) {}, old},
		{"more servers", func(p *desired.Params) { p.FlightServer.Spec.Replicas = ptr.To[int32](5) }, old},
		{"another configuration", func(p *desired.Params) { p.Config, p.ConfigHash = []byte("x"), "x" }, old},
		{"another pod", func(p *desired.Params) {
			p.FlightServer.Spec.PodTemplate = &v1alpha1.PodTemplate{PriorityClassName: "high"}
		}, next},
		{"another claim", func(p *desired.Params) { p.Claims = []string{"disk"} }, next},
		{"an image of the user's", func(p *desired.Params) { p.FlightServer.Spec.Image = "example.test/own:v1" }, "example.test/own:v1"},
		{"the annotation removed", func(p *desired.Params) { p.Before.Annotations = nil }, next},
		{"the Deployment removed", func(p *desired.Params) { p.Before = nil }, next},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := minimal()
			p.DefaultImage = next
			copied := *before
			meta := *before.ObjectMetaApplyConfiguration
			copied.ObjectMetaApplyConfiguration = &meta
			p.Before = &copied
			c.edit(&p)
			got, err := desired.Deployment(p)
			if err != nil {
				t.Fatal(err)
			}
			if image(got) != c.want {
				t.Errorf("image %s, expected %s", image(got), c.want)
			}
		})
	}
}

func TestClaimsAreWrittenToOnlyWhereADatasetAppends(t *testing.T) {
	for access, readOnly := range map[v1alpha1.Access]bool{"": true, v1alpha1.AccessReadOnly: true, v1alpha1.AccessAppend: false, v1alpha1.AccessReadWrite: false} {
		p := minimal()
		p.Claims = []string{"disk", "other"}
		p.FlightServer.Spec.Datasets = []v1alpha1.Dataset{
			{Name: "a", Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "disk", Path: "a/*.parquet"}}},
			{Name: "b", Access: access, Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "disk", Path: "b/*.parquet"}}},
			{Name: "c", Source: v1alpha1.DatasetSource{Volume: &v1alpha1.VolumeSource{ClaimName: "other", Path: "*.parquet"}}},
		}
		d, err := desired.Deployment(p)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, m := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
			got[*m.MountPath] = ptr.Deref(m.ReadOnly, false)
		}
		if disk := got["/var/lib/flight/claims/disk"]; disk != readOnly {
			t.Errorf("with access %q, the claim is mounted read-only: %t, want %t", access, disk, readOnly)
		}
		if !got["/var/lib/flight/claims/other"] {
			t.Errorf("with access %q on another claim, this one can be written to", access)
		}
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ReadOnly != nil {
				t.Error("the claim is attached read-only: that shuts out writers on its node")
			}
		}
	}
}

func TestVolumeNamesAreValidAndUnique(t *testing.T) {
	long := strings.Repeat("a", 252)
	p := minimal()
	p.ConfigMaps = []string{"a", "a.b", "a-b", "a.", long + "a", long + "b", strings.Repeat("a", 23) + "." + "b"}
	p.Claims = []string{"a", "a.b"}
	d, err := desired.Deployment(p)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range d.Spec.Template.Spec.Volumes {
		if errs := validation.IsDNS1123Label(*v.Name); len(errs) > 0 {
			t.Errorf("%q: %v", *v.Name, errs)
		}
		if seen[*v.Name] {
			t.Errorf("%q twice", *v.Name)
		}
		seen[*v.Name] = true
	}
}

func TestOrderOfDatasetsIsNotThePods(t *testing.T) {
	one, two := minimal(), minimal()
	one.ConfigMaps, two.ConfigMaps = []string{"a", "b"}, []string{"b", "a"}
	a, err := desired.Deployment(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := desired.Deployment(two)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error("datasets in another order would replace the pods:", diff)
	}
}

func TestMemoryLimitOfGo(t *testing.T) {
	limit := func(memory string, env ...corev1.EnvVar) string {
		p := minimal()
		p.FlightServer.Spec.PodTemplate = &v1alpha1.PodTemplate{Env: env}
		if memory != "" {
			p.FlightServer.Spec.Resources = &v1alpha1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}}
		}
		d, err := desired.Deployment(p)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if *e.Name == "GOMEMLIMIT" {
				values = append(values, *e.Value)
			}
		}
		return strings.Join(values, ",")
	}
	if got := limit("1G"); got != "900000000" {
		t.Errorf("%q for 1G, expected nine tenths", got)
	}
	if got := limit(""); got != "" {
		t.Errorf("%q without a limit", got)
	}
	if got := limit("1G", corev1.EnvVar{Name: "GOMEMLIMIT", Value: "1"}); got != "1" {
		t.Errorf("%q, expected the user's own", got)
	}
}

// Pods that are about to be replaced get the configuration of those that come: they have to know what they have room for themselves.
func TestAPodKnowsWhatItHasRoomFor(t *testing.T) {
	room := func(change func(*v1alpha1.FlightServerSpec)) string {
		p := cached()
		change(&p.FlightServer.Spec)
		d, err := desired.Deployment(p)
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if name, ok := strings.CutPrefix(*e.Name, "FLIGHT_CACHE_"); ok {
				values = append(values, name+" "+*e.Value)
			}
		}
		return strings.Join(values, ", ")
	}
	for what, tt := range map[string]struct {
		change func(*v1alpha1.FlightServerSpec)
		want   string
	}{
		"both":               {func(*v1alpha1.FlightServerSpec) {}, "DISK 21474836480, MEMORY 1073741824"},
		"no limit of memory": {func(s *v1alpha1.FlightServerSpec) { s.Resources = nil }, "DISK 21474836480"},
		"a claim":            {func(s *v1alpha1.FlightServerSpec) { s.Cache.Disk.ClaimName = "cache" }, "MEMORY 1073741824"},
		"no dataset is kept": {func(s *v1alpha1.FlightServerSpec) { s.Datasets = nil }, "MEMORY 0"},
		"the user says something": {func(s *v1alpha1.FlightServerSpec) {
			s.PodTemplate = &v1alpha1.PodTemplate{Env: []corev1.EnvVar{{Name: "FLIGHT_CACHE_MEMORY", Value: "1"}}}
		}, "MEMORY 1, DISK 21474836480"},
	} {
		if got := room(tt.change); got != tt.want {
			t.Errorf("%s: %q, want %q", what, got, tt.want)
		}
	}
}

func TestAddress(t *testing.T) {
	fs := minimal().FlightServer
	if got := desired.Address(fs); got != "grpc://taxi.data.svc:8815" {
		t.Error(got)
	}
	fs.Spec.Service = &v1alpha1.Service{Port: 443}
	if got := desired.Address(fs); got != "grpc://taxi.data.svc:443" {
		t.Error(got)
	}
}
