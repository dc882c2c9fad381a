package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FlightServer is an Apache Arrow Flight server: datasets, and the pods that serve them.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=flightservers,shortName=fls,categories=flight
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Servers",type=string,JSONPath=`.status.summary.servers`,description="Servers that are ready, of those wanted"
// +kubebuilder:printcolumn:name="Datasets",type=string,JSONPath=`.status.summary.datasets`,description="Datasets that are served, of those specified"
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 56 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name becomes the name of a Service: start it with a letter, use lower-case letters, digits and '-' alone, 56 characters at most"
type FlightServer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec FlightServerSpec `json:"spec"`
	// The default is never an observed generation: until the operator has looked at a FlightServer, kstatus sees it in progress.
	//
	// +kubebuilder:default={"observedGeneration":-1}
	Status FlightServerStatus `json:"status,omitempty"`
}

// FlightServerList is a list of FlightServers.
//
// +kubebuilder:object:root=true
type FlightServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []FlightServer `json:"items"`
}

// FlightServerSpec is what is wanted. Nothing is filled in here by the operator: a field left out keeps following the operator's default.
//
// +kubebuilder:validation:XValidation:rule="!has(self.auth) || has(self.tls) || (has(self.auth.insecure) && self.auth.insecure == 'Allow')",message="credentials in plain text can be read by anybody on the way: set spec.tls, or spec.auth.insecure: Allow if that is meant",fieldPath=".auth"
// +kubebuilder:validation:XValidation:rule="!has(self.auth) || !has(self.auth.methods.clientCertificate) || (has(self.tls) && has(self.tls.clientCA))",message="clients show certificates only where they are asked: set spec.tls.clientCA",fieldPath=".auth.methods.clientCertificate"
type FlightServerSpec struct {
	// Number of servers. Each serves all datasets. If left out, the number is the Deployment's: 1, until an autoscaler or somebody else sets
	// that. A HorizontalPodAutoscaler of the FlightServer itself goes through the scale subresource, and needs this field to be set once.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`

	// Image of the runtime, if not the one that the operator was released with. An image built on the flightruntime library goes here.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:]]')",message="the name of an image has no blanks"
	Image string `json:"image,omitempty"`

	// What is served. A dataset is asked for by its name: FlightDescriptor.for_path("trips").
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	Datasets []Dataset `json:"datasets,omitempty"`

	// Bounds of what each server keeps of datasets with a cache.
	// +optional
	Cache *Cache `json:"cache,omitempty"`

	// TLS of the servers. Left out, they speak plain text.
	// +optional
	TLS *TLS `json:"tls,omitempty"`

	// Who may call, and what they may do. Left out, everybody may do everything. It needs spec.tls.
	// +optional
	Auth *Auth `json:"auth,omitempty"`

	// How the operator probes each server, through its Flight port.
	// +optional
	HealthCheck *HealthCheck `json:"healthCheck,omitempty"`

	// Bounds that keep one caller from harming the others.
	// +optional
	Limits *Limits `json:"limits,omitempty"`

	// Compute resources of each server.
	// +optional
	Resources *ResourceRequirements `json:"resources,omitempty"`

	// What the pods get beyond what the operator gives them.
	// +optional
	PodTemplate *PodTemplate `json:"podTemplate,omitempty"`

	// The Service in front of the pods.
	// +optional
	Service *Service `json:"service,omitempty"`

	// Reconciliation makes the operator leave this FlightServer and all that it owns as they are; what runs goes on running.
	// +optional
	Suspend Suspend `json:"suspend,omitempty"`
}

// Suspend says what the operator stops doing.
// +kubebuilder:validation:Enum=None;Reconciliation
type Suspend string

// Values of Suspend.
const (
	// SuspendNone: the operator does its work.
	SuspendNone Suspend = "None"
	// SuspendReconciliation: the operator leaves the FlightServer and all that it owns as they are.
	SuspendReconciliation Suspend = "Reconciliation"
)

// Format is how a dataset's bytes become record batches.
// +kubebuilder:validation:Enum=Parquet;CSV;JSON;ArrowFile;ArrowStream
type Format string

// Values of Format.
const (
	// FormatParquet: Apache Parquet.
	FormatParquet Format = "Parquet"
	// FormatCSV: comma-separated values with a header, as pyarrow.csv.read_csv reads them.
	FormatCSV Format = "CSV"
	// FormatJSON: an object a line, as pyarrow.json.read_json reads them, or one array of objects.
	FormatJSON Format = "JSON"
	// FormatArrowFile: Arrow's IPC file format (Feather V2).
	FormatArrowFile Format = "ArrowFile"
	// FormatArrowStream: Arrow's IPC streaming format.
	FormatArrowStream Format = "ArrowStream"
)

// Dataset is a table that is served under one name.
//
// +kubebuilder:validation:XValidation:rule="!has(self.source.inline) || (has(self.format) && self.format in ['CSV', 'JSON'])",message="inline data is text: set format to CSV or JSON (Parquet and Arrow files go into a volume, or into binaryData of a ConfigMap)",fieldPath=".format"
// +kubebuilder:validation:XValidation:rule="has(self.format) || has(self.source.inline) || (has(self.source.volume) ? self.source.volume.path : self.source.configMap.key).matches('\\\\.(parquet|csv|json|jsonl|ndjson|arrow|feather|ipc|arrows)$')",message="the format cannot be told from the file extension: set format to Parquet, CSV, JSON, ArrowFile or ArrowStream",fieldPath=".format"
// +kubebuilder:validation:XValidation:rule="!has(self.access) || !(self.access in ['Append', 'ReadWrite']) || has(self.source.volume)",message="what is put needs a place to land: set source.volume, or access to ReadOnly",fieldPath=".access"
// +kubebuilder:validation:XValidation:rule="!has(self.access) || !(self.access in ['Append', 'ReadWrite']) || !has(self.source.volume) || (has(self.format) ? self.format in ['Parquet', 'ArrowFile', 'ArrowStream'] : !self.source.volume.path.matches('\\\\.(csv|json|jsonl|ndjson)$'))",message="what is put keeps its types only in Parquet, ArrowFile and ArrowStream: set format, or the path's extension, to one of these, or access to ReadOnly",fieldPath=".format"
// +kubebuilder:validation:XValidation:rule="!has(self.access) || !(self.access in ['Append', 'ReadWrite']) || !has(self.source.volume) || (self.source.volume.path.matches('^([^]*?{}/[\\\\\\\\]+/)*([*][*]/)*[^]*?{}/[\\\\\\\\]*[*][^]*?{}/[\\\\\\\\]*$') && !self.source.volume.path.matches('(^|/)[.][.][^/]*$'))",message="puts become further files of the path's glob: let it end in a name with one asterisk and no other pattern, which does not begin with '..', below folders with plain names and then double asterisks at most, such as trips/*.parquet",fieldPath=".source.volume.path"
type Dataset struct {
	// Name in descriptors and tickets, and in the status.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="a dataset's name is an RFC 1123 label: lower-case letters, digits and '-', starting and ending with a letter or digit"
	Name string `json:"name"`

	// What the dataset is, for people; clients find it in the metadata of the FlightInfo.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// Format of the files. If left out, the file extension tells: .parquet, .csv, .json .jsonl .ndjson, .arrow .feather .ipc (ArrowFile), .arrows (ArrowStream).
	// +optional
	Format Format `json:"format,omitempty"`

	// Where the bytes are: exactly one member.
	Source DatasetSource `json:"source"`

	// When a server looks for new and changed files by itself. The Refresh action makes it look at once.
	// +optional
	Refresh *Refresh `json:"refresh,omitempty"`

	// Whether servers keep the dataset as it is sent, so that reads need not decode files.
	// +optional
	Cache *DatasetCache `json:"cache,omitempty"`

	// What clients may do besides reading; nothing (ReadOnly) if left out. With Append, the record batches that they put become
	// further files of the volume's glob; with ReadWrite, they may overwrite and delete these files, too.
	// +optional
	Access Access `json:"access,omitempty"`
}

// Access says what clients may do to a dataset; ReadOnly if left out.
// +kubebuilder:validation:Enum=ReadOnly;Append;ReadWrite
type Access string

// Values of Access.
const (
	// AccessReadOnly: clients read.
	AccessReadOnly Access = "ReadOnly"
	// AccessAppend: clients read, and what they put is on the volume's disk before it is acknowledged. It needs a volume, a path whose last
	// name has one `*`, and format Parquet, ArrowFile or ArrowStream.
	AccessAppend Access = "Append"
	// AccessReadWrite: as Append, and clients may replace all files of the dataset at one stroke, and delete files, whoever wrote them.
	AccessReadWrite Access = "ReadWrite"
)

// DatasetSource is where a dataset's bytes are.
//
// +kubebuilder:validation:XValidation:rule="(has(self.inline) ? 1 : 0) + (has(self.configMap) ? 1 : 0) + (has(self.volume) ? 1 : 0) == 1",message="set exactly one of inline, configMap and volume"
type DatasetSource struct {
	// Data in this manifest.
	// +optional
	Inline *InlineSource `json:"inline,omitempty"`
	// One key of a ConfigMap in this namespace.
	// +optional
	ConfigMap *ConfigMapSource `json:"configMap,omitempty"`
	// Files on a PersistentVolumeClaim in this namespace.
	// +optional
	Volume *VolumeSource `json:"volume,omitempty"`
}

// InlineSource is data in the manifest itself.
type InlineSource struct {
	// CSV or JSON text. All inline data of one FlightServer together has to fit in a ConfigMap (1 MiB).
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=524288
	Data string `json:"data"`
}

// ConfigMapSource is one key of a ConfigMap.
type ConfigMapSource struct {
	// Name of the ConfigMap, in the FlightServer's namespace. It may be created later.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a ConfigMap's name is made of lower-case letters, digits, '-' and '.'"
	Name string `json:"name"`
	// Key in its data or binaryData.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..')",message="a ConfigMap's key is made of letters, digits, '-', '_' and '.', and does not start with '..'"
	Key string `json:"key"`
}

// VolumeSource is the files on a volume that a path names.
type VolumeSource struct {
	// Name of the PersistentVolumeClaim, in the FlightServer's namespace. It may be created later. It is mounted read-only,
	// unless a dataset with access Append is on it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a PersistentVolumeClaim's name is made of lower-case letters, digits, '-' and '.'"
	ClaimName string `json:"claimName"`
	// Path of one file, or a glob (`*`, `?`, `[a-z]`, `{a,b}`, and `**` for any number of folders) whose files, in path order, are one
	// dataset. It is relative to the volume's root and cannot leave it, by a symbolic link neither.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/')",message="the path is relative to the volume's root: leave out the leading '/'"
	// +kubebuilder:validation:XValidation:rule="!('/' + self + '/').matches('/[.]{0,2}/') || self.startsWith('/')",message="the path has to be clean: no empty segment, '.' or '..', and no '/' at its end"
	Path string `json:"path"`
}

// Refresh says when a server looks for new and changed files.
type Refresh struct {
	// Time between two looks, 1m if left out; 0s means never. Only the list of files, their sizes and times are read; what has not changed is not read again.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && (duration(self) == duration('0s') || duration(self) >= duration('1s'))",message="expected 0s (never) or a duration of at least 1s, for instance 5m"
	Interval *metav1.Duration `json:"interval,omitempty"`
}

// HealthCheck is how the operator probes each server: the HealthCheck action, through the Flight port.
type HealthCheck struct {
	// Time between two probes of one server, 10s if left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('1s')",message="expected a duration of at least 1s, for instance 10s"
	Interval *metav1.Duration `json:"interval,omitempty"`
	// Deadline of one probe, 2s if left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('100ms') && duration(self) <= duration('1m')",message="expected a duration between 100ms and 1m, for instance 2s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// Probes in a row that have to fail before a server counts as unreachable, 3 if left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailureThreshold *int32 `json:"failureThreshold,omitempty"`
}

// Limits bound what one server does for its callers.
type Limits struct {
	// Largest Flight message, in either direction, 64Mi if left out.
	// +optional
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self)).isLessThan(quantity('2Gi'))",message="expected a quantity between 1Ki and 2Gi, for instance 64Mi"
	MaxMessageBytes *resource.Quantity `json:"maxMessageBytes,omitempty"`
	// Calls at a time on one connection, 512 if left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65536
	MaxStreams *int32 `json:"maxStreams,omitempty"`
	// Longest time that a call may take, 1h if left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('1s')",message="expected a duration of at least 1s, for instance 1h30m"
	MaxCallDuration *metav1.Duration `json:"maxCallDuration,omitempty"`
	// Longest time that a connection takes new calls, without end if left out. Then the client makes a new one, which presents the certificate
	// of that time; calls that are running go on to their end on the old one.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('1s')",message="expected a duration of at least 1s, for instance 1h"
	MaxConnectionAge *metav1.Duration `json:"maxConnectionAge,omitempty"`
	// Time that running calls get to end when a server is stopped, 1m if left out.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,9})?(h|m|s|ms|us|µs|ns)){1,4}$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="expected a duration between 1s and 24h, for instance 2m"
	DrainTimeout *metav1.Duration `json:"drainTimeout,omitempty"`
}

// ResourceRequirements are the compute resources of each server.
type ResourceRequirements struct {
	// What the scheduler reserves.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty"`
	// What a server may not exceed.
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// PodTemplate is what the pods get beyond what the operator gives them. The operator's own labels, ports and user cannot be changed here.
type PodTemplate struct {
	// Labels of the pods. Those under app.kubernetes.io/ that the operator sets win.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations of the pods. Those under flightoperator.dev/ are the operator's.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// When the kubelet pulls the image.
	// +optional
	// +kubebuilder:validation:Enum=Always;Never;IfNotPresent
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	// Secrets to pull the image with.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	ImagePullSecrets []LocalReference `json:"imagePullSecrets,omitempty"`
	// ServiceAccount of the pods. Its token is not mounted.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a ServiceAccount's name is made of lower-case letters, digits, '-' and '.'"
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// PriorityClass of the pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a PriorityClass's name is made of lower-case letters, digits, '-' and '.'"
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// Labels that a node has to carry.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Taints that the pods tolerate.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// Affinity of the pods.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// How the pods spread over the topology. A constraint without a labelSelector spreads this FlightServer's pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// Group that the kubelet gives to the files of the pod's volumes, with the right to write, where the root of the volume has another one and
	// the volume's type supports it. Left out, files stay as they are. A new disk, which belongs to root, needs it for access Append: 65532.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967294
	FSGroup *int64 `json:"fsGroup,omitempty"`
	// Environment of the server's container.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Env []corev1.EnvVar `json:"env,omitempty"`
	// Volumes of the pod besides the operator's. Names starting with "flight-" are the operator's.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(v, !v.name.startsWith('flight-'))",message="volume names starting with 'flight-' are the operator's: choose another"
	// +kubebuilder:validation:XValidation:rule="self.all(v, self.exists_one(w, w.mountPath == v.mountPath))",message="two volumes cannot be mounted at one path: give each its own mountPath"
	Volumes []Volume `json:"volumes,omitempty"`
}

// LocalReference names an object in the FlightServer's namespace.
type LocalReference struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="the object's name is made of lower-case letters, digits, '-' and '.'"
	Name string `json:"name"`
}

// Volume is a volume of the pod and where the server's container sees it. The sources are those that the restricted Pod Security Standard allows.
//
// +kubebuilder:validation:XValidation:rule="(has(self.configMap) ? 1 : 0) + (has(self.secret) ? 1 : 0) + (has(self.emptyDir) ? 1 : 0) + (has(self.persistentVolumeClaim) ? 1 : 0) + (has(self.csi) ? 1 : 0) + (has(self.projected) ? 1 : 0) == 1",message="set exactly one of configMap, secret, emptyDir, persistentVolumeClaim, csi and projected"
type Volume struct {
	// Name of the volume, unique in the pod.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// Absolute path in the server's container. The root itself, /tmp, /etc/flight and /var/lib/flight are the operator's.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.matches('^/*(tmp|(etc|var/lib)/flight(/.*)?)?/*$')",message="the paths '/', /tmp, /etc/flight and /var/lib/flight are the operator's: mount the volume elsewhere"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/') && !self.contains(':')",message="mountPath is absolute and contains no ':'"
	MountPath string `json:"mountPath"`
	// Whether the container may write.
	// +optional
	Access VolumeAccess `json:"access,omitempty"`

	// Files of a ConfigMap.
	// +optional
	ConfigMap *corev1.ConfigMapVolumeSource `json:"configMap,omitempty"`
	// Files of a Secret.
	// +optional
	Secret *corev1.SecretVolumeSource `json:"secret,omitempty"`
	// An empty folder that lives as long as the pod.
	// +optional
	EmptyDir *corev1.EmptyDirVolumeSource `json:"emptyDir,omitempty"`
	// A PersistentVolumeClaim.
	// +optional
	PersistentVolumeClaim *corev1.PersistentVolumeClaimVolumeSource `json:"persistentVolumeClaim,omitempty"`
	// A volume of a CSI driver that lives as long as the pod.
	// +optional
	CSI *corev1.CSIVolumeSource `json:"csi,omitempty"`
	// Files of several ConfigMaps, Secrets, fields and tokens.
	// +optional
	Projected *corev1.ProjectedVolumeSource `json:"projected,omitempty"`
}

// VolumeAccess says whether a container may write to a volume; ReadOnly if left out.
// +kubebuilder:validation:Enum=ReadOnly;ReadWrite
type VolumeAccess string

// Values of VolumeAccess.
const (
	// VolumeReadOnly: the container can read.
	VolumeReadOnly VolumeAccess = "ReadOnly"
	// VolumeReadWrite: the container can read and write.
	VolumeReadWrite VolumeAccess = "ReadWrite"
)

// Service is the Service in front of the pods.
//
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || (has(self.type) && self.type == 'LoadBalancer')",message="loadBalancerClass needs type LoadBalancer",fieldPath=".loadBalancerClass"
// +kubebuilder:validation:XValidation:rule="!has(self.nodePort) || (has(self.type) && self.type != 'ClusterIP')",message="nodePort needs type NodePort or LoadBalancer",fieldPath=".nodePort"
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || (has(self.type) && self.type != 'ClusterIP')",message="externalTrafficPolicy needs type NodePort or LoadBalancer",fieldPath=".externalTrafficPolicy"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerSourceRanges) || (has(self.type) && self.type == 'LoadBalancer')",message="loadBalancerSourceRanges need type LoadBalancer",fieldPath=".loadBalancerSourceRanges"
type Service struct {
	// Type of the Service, ClusterIP if left out.
	// +optional
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`
	// Port of the Service, 8815 if left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// Port on every node; the API server chooses one if left out.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort,omitempty"`
	// Labels of the Service. Those under app.kubernetes.io/ that the operator sets win.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations of the Service, for load balancers and external DNS for instance.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Class of the load balancer. Like Kubernetes, the operator cannot change it once it is set.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
	// Address ranges that a load balancer lets in.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(r, isCIDR(r))",message="expected address ranges such as 10.0.0.0/8 or 2001:db8::/32"
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
	// Whether traffic from outside keeps to the node it came to.
	// +optional
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
	// Where clients outside of the cluster find the servers, as a Flight location. Endpoints name it after the place where they were got, for
	// clients that hand endpoints to others.
	// +optional
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^grpc([+]tcp|[+]tls)?://([-.a-zA-Z0-9]+|[[][0-9a-fA-F:.]+[]]):[0-9]{1,5}$')",message="an external address is a Flight location, such as grpc+tls://flight.example.com:443"
	ExternalAddress string `json:"externalAddress,omitempty"`
}

// FlightServerStatus is what was found. It is bounded whatever the numbers of datasets and servers: those in trouble come first, and the summary counts all.
type FlightServerStatus struct {
	// Generation of the specification that this status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Servers that exist.
	// +optional
	Replicas int32 `json:"replicas"`
	// Servers that take calls.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`
	// Label selector of the pods, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`
	// Where clients in the cluster connect, as a Flight location.
	// +optional
	Address string `json:"address,omitempty"`
	// Hash of the configuration that every server should serve.
	// +optional
	ConfigHash string `json:"configHash,omitempty"`
	// Counts over all servers and datasets.
	// +optional
	Summary Summary `json:"summary,omitempty"`
	// The certificate that the servers should present; absent without TLS.
	// +optional
	Certificate *CertificateStatus `json:"certificate,omitempty"`
	// Who callers are, and what they may do, as the servers have it; absent without auth.
	// +optional
	Auth *AuthStatus `json:"auth,omitempty"`
	// Ready, Available, DatasetsReady and Reachable; with TLS CertificateReady and CertificateServed; Reconciling and Stalled while they hold. docs/conditions.md says what each reason means.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Up to 100 datasets, those in trouble first, then by name.
	// +optional
	// +listType=map
	// +listMapKey=name
	Datasets []DatasetStatus `json:"datasets,omitempty"`
	// Up to 50 servers, those in trouble first, then by name.
	// +optional
	// +listType=map
	// +listMapKey=pod
	Servers []ServerStatus `json:"servers,omitempty"`
}

// Bounds of the lists in the status.
const (
	MaxStatusDatasets = 100
	MaxStatusServers  = 50
	// MaxStatusMessage is the longest message of a condition, dataset or server in bytes; the rest is cut.
	MaxStatusMessage = 1024
)

// Summary counts over all servers and datasets.
type Summary struct {
	// Servers that are ready, of those wanted, for instance "2/3".
	// +optional
	Servers string `json:"servers,omitempty"`
	// Datasets that every server serves in their newest version, of those specified, for instance "4/4".
	// +optional
	Datasets string `json:"datasets,omitempty"`
}

// DatasetState is how a dataset fares, over all servers: the worst of them counts.
// +kubebuilder:validation:Enum=Ready;Loading;Degraded;Failed;Unknown
type DatasetState string

// Values of DatasetState.
const (
	// DatasetReady: the newest version is served.
	DatasetReady DatasetState = "Ready"
	// DatasetLoading: the first version is being read.
	DatasetLoading DatasetState = "Loading"
	// DatasetDegraded: the newest version cannot be read, the one before is served.
	DatasetDegraded DatasetState = "Degraded"
	// DatasetFailed: no version can be served.
	DatasetFailed DatasetState = "Failed"
	// DatasetUnknown: no server has told yet.
	DatasetUnknown DatasetState = "Unknown"
)

// DatasetStatus is how one dataset fares.
type DatasetStatus struct {
	// Name of the dataset in the specification.
	Name string `json:"name"`
	// State over all servers: the worst of them counts.
	State DatasetState `json:"state"`
	// Rows served; absent while unknown.
	// +optional
	Rows *int64 `json:"rows,omitempty"`
	// Bytes of the files served.
	// +optional
	Bytes *int64 `json:"bytes,omitempty"`
	// Number of files served.
	// +optional
	Files *int32 `json:"files,omitempty"`
	// Bytes that the server holds in its cache.
	// +optional
	CachedBytes *int64 `json:"cachedBytes,omitempty"`
	// Fingerprint of the schema: equal for equal schemas.
	// +optional
	SchemaFingerprint string `json:"schemaFingerprint,omitempty"`
	// When the served version was read.
	// +optional
	RefreshedAt *metav1.Time `json:"refreshedAt,omitempty"`
	// What is wrong, and the mend.
	// +optional
	Message string `json:"message,omitempty"`
}

// ServerState is what the operator's probes found of one server.
// +kubebuilder:validation:Enum=Serving;NotServing;Unreachable;Pending
type ServerState string

// Values of ServerState.
const (
	// ServerServing: the server answers that it serves.
	ServerServing ServerState = "Serving"
	// ServerNotServing: the server answers that it does not serve.
	ServerNotServing ServerState = "NotServing"
	// ServerUnreachable: as many probes in a row as the threshold failed.
	ServerUnreachable ServerState = "Unreachable"
	// ServerPending: not probed yet; its container may still be starting.
	ServerPending ServerState = "Pending"
)

// ServerStatus is what the operator knows of one server. It is written when a server's state changes, not on each probe: an idle
// cluster sees no writes. Live figures are in the metrics.
type ServerStatus struct {
	// Name of the pod.
	Pod string `json:"pod"`
	// What the operator's probes found.
	State ServerState `json:"state"`
	// When the probe was made that this speaks of.
	// +optional
	LastProbe *metav1.Time `json:"lastProbe,omitempty"`
	// How long that probe took.
	// +optional
	Latency *metav1.Duration `json:"latency,omitempty"`
	// Version of the runtime.
	// +optional
	Version string `json:"version,omitempty"`
	// Hash of the configuration that the server serves.
	// +optional
	ConfigHash string `json:"configHash,omitempty"`
	// SHA-256 of the certificate that the server presents, in lower-case hexadecimal; absent without TLS.
	// +optional
	CertificateFingerprint string `json:"certificateFingerprint,omitempty"`
	// Calls that were running at that probe.
	// +optional
	ActiveStreams *int32 `json:"activeStreams,omitempty"`
	// Reason, if it does not serve.
	// +optional
	Reason string `json:"reason,omitempty"`
	// What is wrong, and the mend.
	// +optional
	Message string `json:"message,omitempty"`
}
