package desired

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
	"github.com/flight-operator/flight-operator/flightruntime/config"
)

// Names of the operator's volumes start with flight-, which users' may not.
const (
	volumeConfig   = "flight-config"
	volumeSigning  = "flight-signing"
	volumeTLS      = "flight-tls"
	volumeClientCA = "flight-client-ca"
	volumeReview   = "flight-token-review"
	volumeTmp      = "flight-tmp"
	volumeCache    = "flight-cache"
	// volumeNameStem bounds the readable part of a volume's name; with a prefix and a hash it stays below the 63 characters of a label.
	volumeNameStem = 24
)

// mount gives the pod the volumes that the server reads, and those that the user adds. Those of datasets are sorted, so that another order
// of the datasets is the same pod.
func mount(p Params, wish *v1alpha1.PodTemplate, spec *corev1ac.PodSpecApplyConfiguration, c *corev1ac.ContainerApplyConfiguration) error {
	add := func(volume *corev1ac.VolumeApplyConfiguration, path string, readOnly bool) {
		spec.WithVolumes(volume)
		m := corev1ac.VolumeMount().WithName(*volume.Name).WithMountPath(path)
		if readOnly {
			m.WithReadOnly(true)
		}
		c.WithVolumeMounts(m)
	}
	add(corev1ac.Volume().WithName(volumeConfig).WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(ConfigMapName(p.FlightServer.Name))), configDir, true)
	add(corev1ac.Volume().WithName(volumeSigning).WithSecret(corev1ac.SecretVolumeSource().WithSecretName(SigningSecretName(p.FlightServer.Name))), signingDir, true)
	if fs := p.FlightServer; fs.Spec.TLS != nil {
		add(tlsVolume(config.SecretName(fs)), config.PodTLSDir, true)
		if ca := fs.Spec.TLS.ClientCA; ca != nil {
			add(clientCAVolume(ca), config.PodClientCADir, true)
		}
	}
	for _, files := range authFolders(p.FlightServer) {
		add(authVolume(files), config.PodDirs.Auth(files[0].Dir), true)
	}
	if a := p.FlightServer.Spec.Auth; a != nil && a.Methods.ServiceAccount != nil && a.Methods.ServiceAccount.Verification == v1alpha1.TokenReview {
		add(tokenReviewVolume(), config.TokenReviewDir, true)
	}
	add(corev1ac.Volume().WithName(volumeTmp).WithEmptyDir(corev1ac.EmptyDirVolumeSource()), "/tmp", false)
	if n := config.DiskCacheBytes(p.FlightServer); n > 0 && config.CacheClaim(p.FlightServer) == "" {
		add(cacheVolume(n), config.PodCacheDir, false)
	}
	for _, name := range slices.Sorted(slices.Values(p.ConfigMaps)) {
		// Optional: one that is created later, or deleted, reaches the running pods. They are not replaced for it.
		add(corev1ac.Volume().WithName(volumeName("configmap", name)).
			WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(name).WithOptional(true)), config.PodDirs.ConfigMap(name), true)
	}
	written := config.WrittenClaims(p.FlightServer)
	for _, name := range slices.Sorted(slices.Values(p.Claims)) {
		// The mount is read-only, unless servers write to it, and not the claim: that would attach the volume read-only, and shut out a writer on the same node.
		add(corev1ac.Volume().WithName(volumeName("claim", name)).
			WithPersistentVolumeClaim(corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(name)), config.PodDirs.Claim(name), !written[name])
	}
	for _, v := range wish.Volumes {
		volume, err := convert[*corev1ac.VolumeApplyConfiguration](corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{
			ConfigMap:             v.ConfigMap,
			Secret:                v.Secret,
			EmptyDir:              v.EmptyDir,
			PersistentVolumeClaim: v.PersistentVolumeClaim,
			CSI:                   v.CSI,
			Projected:             v.Projected,
		}})
		if err != nil {
			return err
		}
		add(volume, v.MountPath, v.Access != v1alpha1.VolumeReadWrite)
	}
	return nil
}

// cacheMargin keeps the kubelet, which evicts a pod whose emptyDir is too large, from ever doing so: of what the cache may take, it is
// one part in so many, for what file systems take besides the bytes of files, and cacheMarginLeast for the messages that are under way.
const (
	cacheMargin      = 10
	cacheMarginLeast = 64 << 20
)

// cacheVolume has room for a cache of so many bytes.
func cacheVolume(n int64) *corev1ac.VolumeApplyConfiguration {
	size := resource.NewQuantity(n+n/cacheMargin+cacheMarginLeast, resource.BinarySI)
	return corev1ac.Volume().WithName(volumeCache).WithEmptyDir(corev1ac.EmptyDirVolumeSource().WithSizeLimit(*size))
}

// tlsVolume has the certificate and its key, and nothing else of the Secret. It is optional, for the Secret may be created later, and it is
// mounted as a directory, for a file mounted by subPath never changes.
func tlsVolume(secret string) *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volumeTLS).WithSecret(corev1ac.SecretVolumeSource().
		WithSecretName(secret).
		WithOptional(true).
		WithItems(corev1ac.KeyToPath().WithKey(config.CertKey).WithPath(config.CertKey), corev1ac.KeyToPath().WithKey(config.KeyKey).WithPath(config.KeyKey)))
}

// clientCAVolume has the CA certificates alone: a Secret with them may well hold the CA's key too.
func clientCAVolume(ca *v1alpha1.ClientCA) *corev1ac.VolumeApplyConfiguration {
	kind, name, key := config.ClientCAKey(ca)
	item := corev1ac.KeyToPath().WithKey(key).WithPath(config.CAKey)
	volume := corev1ac.Volume().WithName(volumeClientCA)
	if kind == "Secret" {
		return volume.WithSecret(corev1ac.SecretVolumeSource().WithSecretName(name).WithOptional(true).WithItems(item))
	}
	return volume.WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(name).WithOptional(true).WithItems(item))
}

// authFolders are the files of spec.auth, those of one folder together, sorted by folder.
func authFolders(fs *v1alpha1.FlightServer) (folders [][]config.AuthFile) {
	files := config.AuthFiles(fs)
	slices.SortStableFunc(files, func(a, b config.AuthFile) int { return strings.Compare(a.Dir, b.Dir) })
	for _, f := range files {
		if n := len(folders); n > 0 && folders[n-1][0].Dir == f.Dir {
			folders[n-1] = append(folders[n-1], f)
			continue
		}
		folders = append(folders, []config.AuthFile{f})
	}
	return folders
}

// authVolume has the files of one folder, which are keys of one object, and no other key of that. It is optional, for it may be created later.
func authVolume(files []config.AuthFile) *corev1ac.VolumeApplyConfiguration {
	volume := corev1ac.Volume().WithName(volumeName("auth", files[0].Dir))
	var items []*corev1ac.KeyToPathApplyConfiguration
	for _, f := range files {
		items = append(items, corev1ac.KeyToPath().WithKey(f.Key).WithPath(f.File))
	}
	if files[0].Kind == "Secret" {
		return volume.WithSecret(corev1ac.SecretVolumeSource().WithSecretName(files[0].Name).WithOptional(true).WithItems(items...))
	}
	return volume.WithConfigMap(corev1ac.ConfigMapVolumeSource().WithName(files[0].Name).WithOptional(true).WithItems(items...))
}

// tokenLifetime is how long the pod's own token is valid; the kubelet renews it.
const tokenLifetime = 3600

// tokenReviewVolume has the pod's own token, for asking the API server about others, and whom to ask. No other pod of the operator's has one.
func tokenReviewVolume() *corev1ac.VolumeApplyConfiguration {
	return corev1ac.Volume().WithName(volumeReview).WithProjected(corev1ac.ProjectedVolumeSource().WithSources(
		corev1ac.VolumeProjection().WithServiceAccountToken(corev1ac.ServiceAccountTokenProjection().WithPath("token").WithExpirationSeconds(tokenLifetime)),
		corev1ac.VolumeProjection().WithConfigMap(corev1ac.ConfigMapProjection().WithName("kube-root-ca.crt").
			WithItems(corev1ac.KeyToPath().WithKey("ca.crt").WithPath("ca.crt")))))
}

// volumeName makes an RFC 1123 label of an object's name, which may be longer and have dots. The hash keeps two of them apart.
func volumeName(kind, name string) string {
	stem := strings.Trim(strings.ReplaceAll(name[:min(len(name), volumeNameStem)], ".", "-"), "-")
	return "flight-" + kind + "-" + stem + "-" + hash([]byte(name))
}
