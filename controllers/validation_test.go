package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/flight-operator/flight-operator/api/v1alpha1"
)

// trips is a dataset that is fine, for manifests that are about something else.
const trips = `{name: trips, source: {volume: {claimName: disk, path: trips.parquet}}}`

// refused are manifests that the API server has to refuse, by the spec alone or, with a line "name:", the name too. The message has to name
// the field and say the mend.
var refused = []struct{ name, spec, field, message string }{
	{"a name too long", "name: " + strings.Repeat("a", 57), "", "56 characters at most"},
	{"a name that no Service can have", "name: 1taxi", "", "start it with a letter"},
	{"a name with dots", "name: taxi.data", "", "lower-case letters, digits and '-' alone"},

	{"fewer than no servers", "replicas: -1", "spec.replicas", "greater than or equal to 0"},
	{"too many servers", "replicas: 1001", "spec.replicas", "less than or equal to 1000"},
	{"an empty image", `image: ""`, "spec.image", "at least 1 chars"},
	{"a suspension that nobody knows", "suspend: Please", "spec.suspend", `supported values: "None", "Reconciliation"`},

	{"two datasets of one name", "datasets: [" + trips + ", " + trips + "]", "spec.datasets[1]", "Duplicate value"},
	{"a dataset without a source", "datasets: [{name: trips, format: CSV, source: {}}]", "spec.datasets[0].source", "set exactly one of inline, configMap and volume"},
	{"a dataset with two sources", "datasets: [{name: trips, format: CSV, source: {inline: {data: a}, configMap: {name: a, key: b}}}]", "spec.datasets[0].source", "set exactly one of inline, configMap and volume"},
	{"a dataset's name with capitals", "datasets: [{name: Trips, format: CSV, source: {inline: {data: a}}}]", "spec.datasets[0].name", "RFC 1123 label"},
	{"a dataset's name too long", "datasets: [{name: " + strings.Repeat("a", 64) + ", format: CSV, source: {inline: {data: a}}}]", "spec.datasets[0].name", "63"},
	{"an unknown format", "datasets: [{name: trips, format: Excel, source: {inline: {data: a}}}]", "spec.datasets[0].format", `"Parquet"`},
	{"inline data without a format", "datasets: [{name: trips, source: {inline: {data: a}}}]", "spec.datasets[0].format", "set format to CSV or JSON"},
	{"inline data of a binary format", "datasets: [{name: trips, format: Parquet, source: {inline: {data: a}}}]", "spec.datasets[0].format", "set format to CSV or JSON"},
	{"empty inline data", `datasets: [{name: trips, format: CSV, source: {inline: {data: ""}}}]`, "spec.datasets[0].source.inline.data", "at least 1 chars"},
	{"a key whose extension tells nothing", "datasets: [{name: trips, source: {configMap: {name: a, key: trips.txt}}}]", "spec.datasets[0].format", "set format to Parquet, CSV, JSON, ArrowFile or ArrowStream"},
	{"a path whose extension tells nothing", "datasets: [{name: trips, source: {volume: {claimName: a, path: trips}}}]", "spec.datasets[0].format", "set format to Parquet, CSV, JSON, ArrowFile or ArrowStream"},
	{"a ConfigMap's name with capitals", "datasets: [{name: trips, source: {configMap: {name: Data, key: trips.csv}}}]", "spec.datasets[0].source.configMap.name", "lower-case letters, digits, '-' and '.'"},
	{"a ConfigMap's key with a slash", "datasets: [{name: trips, source: {configMap: {name: data, key: a/trips.csv}}}]", "spec.datasets[0].source.configMap.key", "letters, digits, '-', '_' and '.'"},
	{"a ConfigMap's key that starts with two dots", "datasets: [{name: trips, source: {configMap: {name: data, key: ..trips.csv}}}]", "spec.datasets[0].source.configMap.key", "does not start with '..'"},
	{"a claim's name with capitals", "datasets: [{name: trips, source: {volume: {claimName: Disk, path: trips.csv}}}]", "spec.datasets[0].source.volume.claimName", "lower-case letters, digits, '-' and '.'"},
	{"an absolute path", "datasets: [{name: trips, source: {volume: {claimName: disk, path: /trips.csv}}}]", "spec.datasets[0].source.volume.path", "leave out the leading '/'"},
	{"a path that climbs", "datasets: [{name: trips, source: {volume: {claimName: disk, path: a/../../trips.csv}}}]", "spec.datasets[0].source.volume.path", "no empty segment, '.' or '..'"},
	{"a path with a dot", "datasets: [{name: trips, source: {volume: {claimName: disk, path: ./trips.csv}}}]", "spec.datasets[0].source.volume.path", "no empty segment, '.' or '..'"},
	{"a path with an empty segment", "datasets: [{name: trips, source: {volume: {claimName: disk, path: a//trips.csv}}}]", "spec.datasets[0].source.volume.path", "no empty segment, '.' or '..'"},
	{"a path with a slash at its end", "datasets: [{name: trips, format: CSV, source: {volume: {claimName: disk, path: trips/}}}]", "spec.datasets[0].source.volume.path", "no '/' at its end"},
	{"a refresh that never rests", "datasets: [{name: trips, refresh: {interval: 100ms}, source: {volume: {claimName: disk, path: trips.csv}}}]", "spec.datasets[0].refresh.interval", "0s (never) or a duration of at least 1s"},
	{"a refresh by the day", "datasets: [{name: trips, refresh: {interval: 1d}, source: {volume: {claimName: disk, path: trips.csv}}}]", "spec.datasets[0].refresh.interval", "0s (never) or a duration of at least 1s, for instance 5m"},

	{"an external address without a port", "service: {externalAddress: grpc+tls://flight.example.com}", "spec.service.externalAddress", "grpc+tls://flight.example.com:443"},
	{"an external address of another scheme", "service: {externalAddress: https://flight.example.com:443}", "spec.service.externalAddress", "a Flight location"},

	{"an access that nobody knows", "datasets: [{name: trips, access: Write, source: {volume: {claimName: disk, path: '*.parquet'}}}]", "spec.datasets[0].access", `supported values: "ReadOnly", "Append", "ReadWrite"`},
	{"puts into inline data", "datasets: [{name: trips, access: Append, format: CSV, source: {inline: {data: a}}}]", "spec.datasets[0].access", "set source.volume"},
	{"puts into a ConfigMap", "datasets: [{name: trips, access: Append, source: {configMap: {name: a, key: a.arrow}}}]", "spec.datasets[0].access", "set source.volume"},
	{"puts into CSV by its extension", "datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: '*.csv'}}}]", "spec.datasets[0].format", "Parquet, ArrowFile and ArrowStream"},
	{"overwriting CSV", "datasets: [{name: trips, access: ReadWrite, source: {volume: {claimName: disk, path: '*.csv'}}}]", "spec.datasets[0].format", "Parquet, ArrowFile and ArrowStream"},
	{"overwriting inline data", "datasets: [{name: trips, access: ReadWrite, format: CSV, source: {inline: {data: a}}}]", "spec.datasets[0].access", "set source.volume"},
	{"overwriting one file", "datasets: [{name: trips, access: ReadWrite, source: {volume: {claimName: disk, path: trips.parquet}}}]", "spec.datasets[0].source.volume.path", "a name with one asterisk"},
	{"puts into JSON", "datasets: [{name: trips, access: Append, format: JSON, source: {volume: {claimName: disk, path: '*'}}}]", "spec.datasets[0].format", "Parquet, ArrowFile and ArrowStream"},
	{"puts into one file", "datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: trips.parquet}}}]", "spec.datasets[0].source.volume.path", "a name with one asterisk"},
	{"puts into a glob with two patterns", "datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: 'trips/[a]*.parquet'}}}]", "spec.datasets[0].source.volume.path", "a name with one asterisk"},
	{"puts into a name with a backslash", `datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: 'a\*.parquet'}}}]`, "spec.datasets[0].source.volume.path", "a name with one asterisk"},
	{"puts into some folder", "datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: 'trips/*/*.parquet'}}}]", "spec.datasets[0].source.volume.path", "folders with plain names"},
	{"puts into some folder below others", "datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: 'trips/**/a/*.parquet'}}}]", "spec.datasets[0].source.volume.path", "folders with plain names"},
	{"puts into names that are not listed", "datasets: [{name: trips, access: Append, source: {volume: {claimName: disk, path: 'trips/..*.parquet'}}}]", "spec.datasets[0].source.volume.path", "does not begin with '..'"},
	{"a group of no files", "podTemplate: {fsGroup: 0}", "spec.podTemplate.fsGroup", "greater than or equal to 1"},

	{"TLS from nowhere", "tls: {}", "spec.tls", "set exactly one of secretRef, certificate and operatorCA"},
	{"TLS from two places", "tls: {secretRef: {name: a}, operatorCA: {}}", "spec.tls", "set exactly one of secretRef, certificate and operatorCA"},
	{"a Secret's name with capitals", "tls: {secretRef: {name: Taxi}}", "spec.tls.secretRef.name", "lower-case letters, digits, '-' and '.'"},
	{"a Secret of another namespace", "tls: {secretRef: {name: taxi, namespace: other}}", "spec.tls.secretRef", "unknown field"},
	{"an old version of TLS", "tls: {operatorCA: {}, minVersion: TLS11}", "spec.tls.minVersion", `supported values: "TLS12", "TLS13"`},
	{"a certificate of no issuer", "tls: {certificate: {}}", "spec.tls.certificate.issuerRef", "Required"},
	{"a certificate for a minute", "tls: {certificate: {issuerRef: {name: a}, duration: 1m}}", "spec.tls.certificate.duration", "at least 1h"},
	{"a renewal before the beginning", "tls: {certificate: {issuerRef: {name: a}, duration: 2h, renewBefore: 2h}}", "spec.tls.certificate.renewBefore", "shorter than duration"},
	{"an RSA key too short", "tls: {operatorCA: {privateKey: {algorithm: RSA, size: 1024}}}", "spec.tls.operatorCA.privateKey.size", "2048, 3072, 4096 or 8192"},
	{"an Ed25519 key of a size", "tls: {operatorCA: {privateKey: {algorithm: Ed25519, size: 256}}}", "spec.tls.operatorCA.privateKey.size", "no choice"},
	{"an address that is none", "tls: {operatorCA: {ipAddresses: [flight.example.com]}}", "spec.tls.operatorCA.ipAddresses", "192.0.2.7"},
	{"a clientCA from nowhere", "tls: {operatorCA: {}, clientCA: {}}", "spec.tls.clientCA", "set exactly one of secretRef and configMapRef"},
	{"a clientCA from two places", "tls: {operatorCA: {}, clientCA: {secretRef: {name: a}, configMapRef: {name: a}}}", "spec.tls.clientCA", "set exactly one of secretRef and configMapRef"},
	{"a clientCA's key with a slash", "tls: {operatorCA: {}, clientCA: {secretRef: {name: a, key: a/b}}}", "spec.tls.clientCA.secretRef.key", "letters, digits, '-', '_' and '.'"},
	{"connections that do not last", "limits: {maxConnectionAge: 10ms}", "spec.limits.maxConnectionAge", "at least 1s"},

	{"auth without methods", "tls: {operatorCA: {}}\nauth: {methods: {}}", "spec.auth.methods", "at least 1 properties"},
	{"passwords in plain text", "auth: {methods: {basic: {secretRef: {name: a}}}}", "spec.auth", "credentials in plain text can be read by anybody on the way"},
	{"passwords in plain text that nobody allows", "auth: {insecure: Refuse, methods: {basic: {secretRef: {name: a}}}}", "spec.auth", "spec.auth.insecure: Allow if that is meant"},
	{"perhaps in plain text", "auth: {insecure: Maybe, methods: {basic: {secretRef: {name: a}}}}", "spec.auth.insecure", `supported values: "Refuse", "Allow"`},
	{"certificates in plain text", "auth: {insecure: Allow, methods: {clientCertificate: {}}}", "spec.auth.methods.clientCertificate", "set spec.tls.clientCA"},
	{"clients' certificates that nobody asks for", "tls: {operatorCA: {}}\nauth: {methods: {clientCertificate: {}}}", "spec.auth.methods.clientCertificate", "set spec.tls.clientCA"},
	{"an issuer without encryption", "tls: {operatorCA: {}}\nauth: {methods: {jwt: [{issuer: 'http://sso.example.com', audiences: [a]}]}}", "spec.auth.methods.jwt[0].issuer", "a URL of the scheme https"},
	{"tokens for everybody", "tls: {operatorCA: {}}\nauth: {methods: {jwt: [{issuer: 'https://sso.example.com', audiences: []}]}}", "spec.auth.methods.jwt[0].audiences", "at least 1 items"},
	{"an algorithm that proves nothing", "tls: {operatorCA: {}}\nauth: {methods: {jwt: [{issuer: 'https://sso.example.com', audiences: [a], algorithms: [none]}]}}", "spec.auth.methods.jwt[0].algorithms", "RS256"},
	{"a rule for nobody", "tls: {operatorCA: {}}\nauth: {methods: {anonymous: {}}, rules: [{subjects: [], verbs: [get]}]}", "spec.auth.rules[0].subjects", "at least 1 items"},
	{"a subject that is two", "tls: {operatorCA: {}}\nauth: {methods: {anonymous: {}}, rules: [{subjects: [{user: a, group: b}], verbs: [get]}]}", "spec.auth.rules[0].subjects[0]", "set exactly one of user and group"},
	{"a verb that nobody knows", "tls: {operatorCA: {}}\nauth: {methods: {anonymous: {}}, rules: [{subjects: [{user: a}], verbs: [delete]}]}", "spec.auth.rules[0].verbs", "exchange"},
	{"actions without the verb", "tls: {operatorCA: {}}\nauth: {methods: {anonymous: {}}, rules: [{subjects: [{user: a}], verbs: [get], actions: [Delete]}]}", "spec.auth.rules[0].actions", "actions need the verb action"},

	{"probes that never rest", "healthCheck: {interval: 100ms}", "spec.healthCheck.interval", "a duration of at least 1s"},
	{"probes at no time", "healthCheck: {interval: soon}", "spec.healthCheck.interval", "a duration of at least 1s, for instance 10s"},
	{"probes before the beginning", "healthCheck: {interval: -5s}", "spec.healthCheck.interval", "a duration of at least 1s"},
	{"a deadline too short", "healthCheck: {timeout: 10ms}", "spec.healthCheck.timeout", "between 100ms and 1m"},
	{"a deadline too long", "healthCheck: {timeout: 2m}", "spec.healthCheck.timeout", "between 100ms and 1m"},
	{"a threshold of nothing", "healthCheck: {failureThreshold: 0}", "spec.healthCheck.failureThreshold", "greater than or equal to 1"},

	{"messages too small", `limits: {maxMessageBytes: "10"}`, "spec.limits.maxMessageBytes", "between 1Ki and 2Gi"},
	{"messages too small in a number", "limits: {maxMessageBytes: 64}", "spec.limits.maxMessageBytes", "between 1Ki and 2Gi, for instance 64Mi"},
	{"messages of words", "limits: {maxMessageBytes: large}", "spec.limits.maxMessageBytes", "between 1Ki and 2Gi, for instance 64Mi"},
	{"messages too large", "limits: {maxMessageBytes: 3Gi}", "spec.limits.maxMessageBytes", "between 1Ki and 2Gi"},
	{"no calls", "limits: {maxStreams: 0}", "spec.limits.maxStreams", "greater than or equal to 1"},
	{"calls too short", "limits: {maxCallDuration: 1ms}", "spec.limits.maxCallDuration", "at least 1s"},
	{"calls of no duration", "limits: {maxCallDuration: 60}", "spec.limits.maxCallDuration", "must be of type string"},
	{"calls by the week", "limits: {maxCallDuration: 1w}", "spec.limits.maxCallDuration", "a duration of at least 1s, for instance 1h30m"},
	{"no time to drain", "limits: {drainTimeout: 0s}", "spec.limits.drainTimeout", "between 1s and 24h"},
	{"days to drain", "limits: {drainTimeout: 48h}", "spec.limits.drainTimeout", "between 1s and 24h"},

	{"memory that is no quantity", "resources: {limits: {memory: much}}", "spec.resources.limits.memory", "should match"},

	{"an image with blanks", "image: an image", "spec.image", "has no blanks"},
	{"an account's name with capitals", "podTemplate: {serviceAccountName: Taxi}", "spec.podTemplate.serviceAccountName", "lower-case letters, digits, '-' and '.'"},
	{"a priority's name with blanks", "podTemplate: {priorityClassName: very high}", "spec.podTemplate.priorityClassName", "lower-case letters, digits, '-' and '.'"},
	{"a Secret's name with capitals", "podTemplate: {imagePullSecrets: [{name: Registry}]}", "spec.podTemplate.imagePullSecrets[0].name", "lower-case letters, digits, '-' and '.'"},
	{"a volume at the root", "podTemplate: {volumes: [{name: x, mountPath: /, emptyDir: {}}]}", "spec.podTemplate.volumes[0].mountPath", "mount the volume elsewhere"},
	{"a volume over the scratch space", "podTemplate: {volumes: [{name: x, mountPath: /tmp/, emptyDir: {}}]}", "spec.podTemplate.volumes[0].mountPath", "mount the volume elsewhere"},
	{"a volume over the configuration", "podTemplate: {volumes: [{name: x, mountPath: /etc/flight, emptyDir: {}}]}", "spec.podTemplate.volumes[0].mountPath", "mount the volume elsewhere"},
	{"a volume over the data", "podTemplate: {volumes: [{name: x, mountPath: /var/lib/flight/claims/x, emptyDir: {}}]}", "spec.podTemplate.volumes[0].mountPath", "mount the volume elsewhere"},
	{"two volumes at one path", "podTemplate: {volumes: [{name: a, mountPath: /x, emptyDir: {}}, {name: b, mountPath: /x, emptyDir: {}}]}", "spec.podTemplate.volumes", "give each its own mountPath"},
	{"two volumes of one name", "podTemplate: {volumes: [{name: a, mountPath: /a, emptyDir: {}}, {name: a, mountPath: /b, emptyDir: {}}]}", "spec.podTemplate.volumes[1]", "Duplicate value"},
	{"a volume of the operator's name", "podTemplate: {volumes: [{name: flight-config, mountPath: /x, emptyDir: {}}]}", "spec.podTemplate.volumes", "choose another"},
	{"a volume without a source", "podTemplate: {volumes: [{name: x, mountPath: /x}]}", "spec.podTemplate.volumes[0]", "set exactly one of configMap, secret"},
	{"a volume with two sources", "podTemplate: {volumes: [{name: x, mountPath: /x, emptyDir: {}, secret: {secretName: keys}}]}", "spec.podTemplate.volumes[0]", "set exactly one of configMap, secret"},
	{"a volume at a relative path", "podTemplate: {volumes: [{name: x, mountPath: x, emptyDir: {}}]}", "spec.podTemplate.volumes[0].mountPath", "mountPath is absolute"},

	{"a class without a load balancer", "service: {loadBalancerClass: x}", "spec.service.loadBalancerClass", "needs type LoadBalancer"},
	{"a node port without a node port", "service: {nodePort: 30000}", "spec.service.nodePort", "needs type NodePort or LoadBalancer"},
	{"a policy without traffic from outside", "service: {externalTrafficPolicy: Local}", "spec.service.externalTrafficPolicy", "needs type NodePort or LoadBalancer"},
	{"ranges without a load balancer", "service: {type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8]}", "spec.service.loadBalancerSourceRanges", "need type LoadBalancer"},
	{"a range that is an address", "service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1]}", "spec.service.loadBalancerSourceRanges", "such as 10.0.0.0/8"},
	{"a type that exposes nothing", "service: {type: ExternalName}", "spec.service.type", `"ClusterIP"`},
	{"a port beyond all ports", "service: {port: 70000}", "spec.service.port", "less than or equal to 65535"},
	{"a field that nobody knows", "colour: red", "spec.colour", "unknown field"},
}

// accepted are manifests at the edges of what is allowed.
var accepted = []struct{ name, spec string }{
	{"nothing at all", "replicas: 0"},
	{"a name of 56 characters", "name: " + strings.Repeat("a", 56)},
	{"many servers", "replicas: 1000"},
	{"inline CSV and JSON", "datasets: [{name: a, format: CSV, source: {inline: {data: a}}}, {name: b, format: JSON, source: {inline: {data: '{}'}}}]"},
	{"a format by each extension", "datasets: [" + func() string {
		var all []string
		for i, ext := range []string{"parquet", "csv", "json", "jsonl", "ndjson", "arrow", "feather", "ipc", "arrows"} {
			all = append(all, fmt.Sprintf("{name: d%d, source: {volume: {claimName: disk, path: 'a/**/*.%s'}}}", i, ext))
		}
		return strings.Join(all, ", ")
	}() + "]"},
	{"a format said where the extension tells nothing", "datasets: [{name: a, format: Parquet, source: {volume: {claimName: disk, path: 'part-*'}}}]"},
	{"a hidden file and names with dots", "datasets: [{name: a, source: {volume: {claimName: disk.v2, path: '.hidden/..data/...csv'}}}, {name: b, source: {configMap: {name: a.b, key: _.csv}}}]"},
	{"never to refresh", "datasets: [{name: a, refresh: {interval: 0s}, source: {volume: {claimName: disk, path: a.csv}}}]"},
	{"puts", "datasets: [{name: a, access: Append, source: {volume: {claimName: disk, path: 'a/**/*.parquet'}}}, {name: b, access: Append, format: ArrowFile, source: {volume: {claimName: disk, path: '**/*'}}}, {name: c, access: Append, source: {volume: {claimName: disk, path: 'c-d/e f/part-*.arrows'}}}]"},
	{"overwriting", "datasets: [{name: a, access: ReadWrite, source: {volume: {claimName: disk, path: 'a/**/*.parquet'}}}]"},
	{"no puts", "datasets: [{name: a, access: ReadOnly, format: CSV, source: {inline: {data: a}}}]"},
	{"a group of files", "podTemplate: {fsGroup: 65532}"},
	{"the edges of the health check", "healthCheck: {interval: 1s, timeout: 100ms, failureThreshold: 1}"},
	{"durations as Go writes them", "healthCheck: {interval: 1h2m3.5s, timeout: 1m0s}"},
	{"the edges of the limits", "limits: {maxMessageBytes: 2000Mi, maxStreams: 65536, maxCallDuration: 1s, drainTimeout: 24h0m0s}"},
	{"the smallest message", "limits: {maxMessageBytes: 1Ki}"},
	{"a number of bytes", "limits: {maxMessageBytes: 67108864}"},
	{"volumes beside the operator's", "podTemplate: {volumes: [{name: a, mountPath: /tmp/a, emptyDir: {}}, {name: b, mountPath: /etc/flights, emptyDir: {}}, {name: c, mountPath: /var/lib/flights, emptyDir: {}}]}"},
	{"a volume of each kind", "podTemplate: {volumes: [{name: a, mountPath: /a, configMap: {name: x}}, {name: b, mountPath: /b, secret: {secretName: x}}, {name: c, mountPath: /c, access: ReadWrite, emptyDir: {}}, {name: d, mountPath: /d, persistentVolumeClaim: {claimName: x}}, {name: e, mountPath: /e, csi: {driver: x}}, {name: f, mountPath: /f, projected: {sources: []}}]}"},
	{"a load balancer", "service: {type: LoadBalancer, port: 443, nodePort: 30443, loadBalancerClass: example.test/lb, loadBalancerSourceRanges: [10.0.0.0/8, '2001:db8::/32'], externalTrafficPolicy: Local}"},
	{"node ports", "service: {type: NodePort, nodePort: 30000, externalTrafficPolicy: Local}"},
	{"suspended", "suspend: Reconciliation"},
	{"TLS from a Secret, and clients' certificates", "tls: {secretRef: {name: taxi-tls}, minVersion: TLS13, clientCA: {configMapRef: {name: clients}, mode: Optional}}"},
	{"TLS from cert-manager", "tls: {certificate: {issuerRef: {name: corp, kind: ClusterIssuer, group: cert-manager.io}, duration: 24h, renewBefore: 8h, privateKey: {algorithm: RSA, size: 4096}, dnsNames: [flight.example.com], ipAddresses: ['2001:db8::7']}}"},
	{"TLS from the operator", "tls: {operatorCA: {}}"},
	{"auth of all kinds", "tls: {operatorCA: {}, clientCA: {secretRef: {name: a}}}\nauth: {methods: {basic: {secretRef: {name: a}}, bearer: {secretRef: {name: a}}, jwt: [{issuer: 'https://sso.example.com', audiences: [flight]}], serviceAccount: {audiences: [flight]}, clientCertificate: {}, anonymous: {}}, rules: [{subjects: [{group: a}], verbs: [get, action], actions: [Refresh], columns: [a], filter: 'a > 1'}], runningCalls: End}"},
	{"auth in plain text, if that is meant", "auth: {insecure: Allow, methods: {basic: {secretRef: {name: a}}, bearer: {secretRef: {name: a}}, jwt: [{issuer: 'https://sso.example.com', audiences: [flight]}], serviceAccount: {audiences: [flight]}, anonymous: {}}}"},
	{"connections that last an hour", "limits: {maxConnectionAge: 1h}"},
}

func TestValidation(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	for _, c := range refused {
		t.Run("refuses "+c.name, func(t *testing.T) {
			err := w.client.Create(t.Context(), w.manifest(t, c.spec), client.DryRunAll, client.FieldValidation("Strict"))
			if err == nil {
				t.Fatal("expected to be refused")
			}
			if !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("expected %s and %q, got: %v", c.field, c.message, err)
			}
		})
	}
	for _, c := range accepted {
		t.Run("accepts "+c.name, func(t *testing.T) {
			if err := w.client.Create(t.Context(), w.manifest(t, c.spec), client.DryRunAll, client.FieldValidation("Strict")); err != nil {
				t.Error(err)
			}
		})
	}
}

// manifest is a FlightServer by its spec in YAML, as a user would write it.
func (w *world) manifest(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	fields := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	name, ok := fields["name"].(string)
	if !ok {
		name = "taxi"
	}
	delete(fields, "name")
	u := &unstructured.Unstructured{Object: map[string]any{"spec": fields}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.Kind))
	u.SetNamespace(w.namespace)
	u.SetName(name)
	return u
}

// Until the operator has looked at it, a FlightServer must not pass for done.
func TestNewFlightServerIsInProgress(t *testing.T) {
	t.Parallel()
	w := bareWorld(t)
	w.create(w.flightServer("taxi"))
	w.checkKstatus("taxi")
	fs := &v1alpha1.FlightServer{ObjectMeta: w.meta("taxi")}
	if err := w.get(fs); err != nil {
		t.Fatal(err)
	}
	if fs.Status.ObservedGeneration >= 0 {
		t.Errorf("generation %d observed by nobody", fs.Status.ObservedGeneration)
	}
}
