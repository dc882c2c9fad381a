package v1alpha1

// Condition types of a FlightServer. Ready, Reconciling and Stalled follow kstatus: Reconciling and Stalled are present only while they hold.
const (
	// ConditionReady sums up the others: every replica runs the current specification, can be reached, and serves every dataset.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the cluster is on its way to the specification.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when no retry can help: the specification, or something it names, has to change.
	ConditionStalled = "Stalled"
	// ConditionAvailable is True when at least one server takes calls, by the kubelet's word: it does not depend on the operator's probes.
	ConditionAvailable = "Available"
	// ConditionDatasetsReady is True when every server serves every dataset in its newest version.
	ConditionDatasetsReady = "DatasetsReady"
	// ConditionReachable is True when the operator's Flight client gets healthy answers from every ready server. It is apart from
	// Available: a NetworkPolicy that blocks the operator does not mean that the server is down.
	ConditionReachable = "Reachable"
	// ConditionCertificateReady is True when there is a certificate that the servers can present: it is there, whole, in its time, and valid
	// for the servers' names. Absent without TLS.
	ConditionCertificateReady = "CertificateReady"
	// ConditionCertificateServed is True when every ready server was seen to present the certificate of status.certificate in a handshake of
	// the operator's own. It is proof, not belief. Absent without TLS.
	ConditionCertificateServed = "CertificateServed"
	// ConditionAuthReady is True when every ready server lets callers in by the users, tokens and keys that spec.auth names. Absent without auth.
	ConditionAuthReady = "AuthReady"
)

// Reasons of conditions. Events carry the same words.
const (
	// ReasonReady: everything specified is served.
	ReasonReady = "Ready"
	// ReasonProgressing: servers are being created, replaced or removed.
	ReasonProgressing = "Progressing"
	// ReasonSuspended: the operator leaves the FlightServer's objects alone, as spec.suspend asks.
	ReasonSuspended = "Suspended"
	// ReasonScaledToZero: spec.replicas is 0, so nothing serves and nothing is wrong.
	ReasonScaledToZero = "ScaledToZero"
	// ReasonInvalidSpec: the specification breaks a rule that the CRD's validation cannot express.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonApplyFailed: the API server refused an object that the operator applied.
	ReasonApplyFailed = "ApplyFailed"
	// ReasonNameConflict: an object of the needed name exists and belongs to somebody else.
	ReasonNameConflict = "NameConflict"

	// ReasonServersAvailable: at least one server takes calls.
	ReasonServersAvailable = "ServersAvailable"
	// ReasonNoServerAvailable: no server takes calls.
	ReasonNoServerAvailable = "NoServerAvailable"
	// ReasonUnschedulable: the scheduler finds no node for a pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonImagePullFailed: the kubelet cannot get the image.
	ReasonImagePullFailed = "ImagePullFailed"
	// ReasonContainerFailed: the container cannot start, or keeps ending.
	ReasonContainerFailed = "ContainerFailed"
	// ReasonPodsForbidden: the API server refuses to create pods (quota, admission).
	ReasonPodsForbidden = "PodsForbidden"
	// ReasonProgressDeadlineExceeded: the Deployment made no progress for its progress deadline.
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"

	// ReasonDatasetsServed: every server serves every dataset in its newest version.
	ReasonDatasetsServed = "DatasetsServed"
	// ReasonDatasetsLoading: servers are reading datasets.
	ReasonDatasetsLoading = "DatasetsLoading"
	// ReasonDatasetsFailed: at least one dataset cannot be read.
	ReasonDatasetsFailed = "DatasetsFailed"
	// ReasonSourceNotFound: a ConfigMap, key or PersistentVolumeClaim that a dataset names does not exist.
	ReasonSourceNotFound = "SourceNotFound"
	// ReasonConfigurationPending: a server does not serve the current configuration yet.
	ReasonConfigurationPending = "ConfigurationPending"

	// ReasonProbesSucceed: each ready server answers HealthCheck.
	ReasonProbesSucceed = "ProbesSucceed"
	// ReasonNotProbed: no server has been probed yet.
	ReasonNotProbed = "NotProbed"
	// ReasonProbeTimeout: a server took the connection and did not answer in time, or the network swallowed the packets.
	ReasonProbeTimeout = "ProbeTimeout"
	// ReasonConnectionFailed: a server refused or reset the connection.
	ReasonConnectionFailed = "ConnectionFailed"
	// ReasonInvalidAnswer: what answered does not speak Flight, or not as our runtime does.
	ReasonInvalidAnswer = "InvalidAnswer"
	// ReasonNotServing: a server answered that it does not serve.
	ReasonNotServing = "NotServing"
	// ReasonHandshakeFailed: a server and the operator could not agree on TLS.
	ReasonHandshakeFailed = "HandshakeFailed"

	// ReasonCertificateValid: the certificate can be presented.
	ReasonCertificateValid = "CertificateValid"
	// ReasonSecretNotFound: the Secret with the certificate does not exist, or lacks a key.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonCertificateMalformed: what the Secret holds is no certificate and key in PEM.
	ReasonCertificateMalformed = "CertificateMalformed"
	// ReasonKeyMismatch: the Secret's key does not belong to its certificate.
	ReasonKeyMismatch = "KeyMismatch"
	// ReasonCertificateExpired: the certificate's time is over.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonCertificateNotYetValid: the certificate's time has not begun.
	ReasonCertificateNotYetValid = "CertificateNotYetValid"
	// ReasonNameMismatch: the certificate is valid for none of the servers' names.
	ReasonNameMismatch = "NameMismatch"
	// ReasonClientCAInvalid: the CA certificates that clients are checked against do not exist, or are none.
	ReasonClientCAInvalid = "ClientCAInvalid"
	// ReasonIssuing: the certificate is being issued.
	ReasonIssuing = "Issuing"
	// ReasonIssuanceFailed: cert-manager, or the operator's own CA, could not issue the certificate.
	ReasonIssuanceFailed = "IssuanceFailed"
	// ReasonCertManagerNotInstalled: the cluster does not know cert-manager's Certificates.
	ReasonCertManagerNotInstalled = "CertManagerNotInstalled"

	// ReasonCertificateServed: every ready server presents the certificate.
	ReasonCertificateServed = "CertificateServed"
	// ReasonRotating: servers are taking up the certificate.
	ReasonRotating = "Rotating"
	// ReasonAuthLoaded: every ready server goes by what spec.auth names.
	ReasonAuthLoaded = "AuthLoaded"
	// ReasonAuthInsecure: the same, and credentials travel in plain text, as spec.auth.insecure allows.
	ReasonAuthInsecure = "AuthInsecure"
	// ReasonAuthSourceNotFound: a Secret, ConfigMap or key that spec.auth names does not exist.
	ReasonAuthSourceNotFound = "AuthSourceNotFound"
	// ReasonAuthInvalid: a server cannot read the users, tokens, keys or rules; those before stay in force.
	ReasonAuthInvalid = "AuthInvalid"
	// ReasonAuthPending: servers are taking up what spec.auth names.
	ReasonAuthPending = "AuthPending"

	// ReasonRotationOverdue: a server should have taken up the certificate long ago.
	ReasonRotationOverdue = "RotationOverdue"
)

// Labels and annotations that the operator sets.
const (
	// LabelName, LabelInstance and LabelManagedBy are Kubernetes' recommended labels, on every object that the operator owns.
	LabelName      = "app.kubernetes.io/name"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// LabelNameValue and LabelManagedByValue are their values; LabelInstance carries the FlightServer's name.
	LabelNameValue      = "flightserver"
	LabelManagedByValue = "flight-operator"
	// AnnotationConfigHash on a pod is the configuration that the pod should serve. Changing it makes the kubelet bring mounted
	// ConfigMaps up to date at once rather than at its next period.
	AnnotationConfigHash = "flightoperator.dev/config-hash"
)

// Ports of every server.
const (
	// PortFlight is the data port of a pod, and of its Service unless spec.service.port says otherwise.
	PortFlight = 8815
	// PortHTTP carries /metrics, /livez and /readyz in plain HTTP.
	PortHTTP = 8080
)
