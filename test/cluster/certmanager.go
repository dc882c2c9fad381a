package main

import (
	"context"
	"os"
	"path/filepath"
)

const (
	certManager      = "cert-manager" // its namespace, and the name of all that is made for it
	certManagerImage = "localhost/flight-cluster/cert-manager:1"

	// definitionsFolder has the definitions of cert-manager's kinds, a file each, beside its program.
	definitionsFolder = "crds"
	definitions       = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
)

// addCertManager gives cert-manager to a cluster that runs without, and notes that it is there.
func (l *launch) addCertManager(ctx context.Context) error {
	for _, step := range []func(context.Context) error{l.loadCertManager, l.createCertManager, l.awaitCertManager} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	l.state.Bins[certManagerPart] = l.bins[certManagerPart]
	return l.state.save(l.stateFile())
}

// loadCertManager loads the image of cert-manager, unless the cluster goes without.
func (l *launch) loadCertManager(ctx context.Context) error {
	bin := l.bins[certManagerPart]
	if bin == "" {
		return nil
	}
	return l.loadProgram(ctx, l.bins[containersPart], certManagerImage, filepath.Join(bin, "cert-manager"))
}

// createCertManager makes cert-manager's kinds and its Deployment, unless the cluster goes without.
func (l *launch) createCertManager(ctx context.Context) error {
	bin := l.bins[certManagerPart]
	if bin == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(bin, definitionsFolder, "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := l.api.createYAML(ctx, definitions, text); err != nil {
			return err
		}
	}
	if err := l.await(ctx, "cert-manager's kinds", func() (bool, error) { return l.certManagerKindsServed(ctx) }); err != nil {
		return err
	}
	for _, o := range certManagerObjects() {
		if err := l.api.create(ctx, o.collection, o.object); err != nil {
			return err
		}
	}
	return nil
}

// certManagerKindsServed tells whether the API server serves every one of cert-manager's kinds. A controller that lists
// one before waits for seconds until it tries again.
func (l *launch) certManagerKindsServed(ctx context.Context) (bool, error) {
	for _, kind := range []string{"issuers", "clusterissuers", "certificates", "certificaterequests"} {
		served, err := l.api.hasCondition(ctx, definitions+"/"+kind+".cert-manager.io", "Established")
		if !served || err != nil {
			return false, err
		}
	}
	return true, nil
}

// awaitCertManager waits until the controllers work, unless the cluster goes without.
func (l *launch) awaitCertManager(ctx context.Context) error {
	if l.bins[certManagerPart] == "" {
		return nil
	}
	return l.await(ctx, "cert-manager", func() (bool, error) {
		return l.api.hasCondition(ctx, "/apis/apps/v1/namespaces/"+certManager+"/deployments/"+certManager, "Available")
	})
}

// A placedObject is an object and the collection that it belongs to.
type placedObject struct {
	collection string
	object     object
}

// certManagerObjects are cert-manager's namespace, its account and rights, and its Deployment.
func certManagerObjects() []placedObject {
	const (
		rbac      = "/apis/rbac.authorization.k8s.io/v1/"
		rbacGroup = "rbac.authorization.k8s.io"
		namespace = "/namespaces/" + certManager
	)
	return []placedObject{
		{"/api/v1/namespaces", object{"metadata": object{
			"name":   certManager,
			"labels": object{"pod-security.kubernetes.io/enforce": "restricted"},
		}}},
		{"/api/v1" + namespace + "/serviceaccounts", object{"metadata": object{"name": certManager}}},
		{rbac + "clusterroles", object{"metadata": object{"name": certManager}, "rules": certManagerRules()}},
		{rbac + "clusterrolebindings", object{
			"metadata": object{"name": certManager},
			"roleRef":  object{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": certManager},
			"subjects": []object{{"kind": "ServiceAccount", "namespace": certManager, "name": certManager}},
		}},
		{"/apis/apps/v1" + namespace + "/deployments", certManagerDeployment()},
	}
}

// certManagerRules are the rights that cert-manager's own chart grants to these controllers.
func certManagerRules() []object {
	const group = "cert-manager.io"
	read := []string{"get", "list", "watch"}
	change := []string{"update", "patch"}
	return []object{
		{"apiGroups": []string{group}, "resources": []string{"issuers", "clusterissuers", "certificates", "certificaterequests"}, "verbs": read},
		{"apiGroups": []string{group}, "resources": []string{
			"issuers", "issuers/status", "clusterissuers", "clusterissuers/status",
			"certificates", "certificates/status", "certificaterequests", "certificaterequests/status",
		}, "verbs": change},
		{"apiGroups": []string{group}, "resources": []string{"certificaterequests"}, "verbs": []string{"create", "delete"}},
		{"apiGroups": []string{group}, "resources": []string{"signers"}, "verbs": []string{"approve"}},
		// In any namespace: that is what it is for.
		{"apiGroups": []string{""}, "resources": []string{"secrets"}, "verbs": append([]string{"create", "delete"}, append(read, change...)...)},
		{"apiGroups": []string{""}, "resources": []string{"events"}, "verbs": []string{"create", "patch"}},
	}
}

// certManagerDeployment is the pod of the controllers. One is enough, and two would need to elect a leader.
func certManagerDeployment() object {
	labels := object{"app.kubernetes.io/name": certManager}
	return object{
		"metadata": object{"name": certManager, "labels": labels},
		"spec": object{
			"replicas": 1,
			"strategy": object{"type": "Recreate"},
			"selector": object{"matchLabels": labels},
			"template": object{
				"metadata": object{"labels": labels},
				"spec": object{
					"serviceAccountName": certManager,
					"enableServiceLinks": false,
					"securityContext":    object{"runAsNonRoot": true, "seccompProfile": object{"type": "RuntimeDefault"}},
					"containers": []object{{
						"name":            "controller",
						"image":           certManagerImage,
						"imagePullPolicy": "Never",
						"env": []object{{
							"name":      "POD_NAMESPACE",
							"valueFrom": object{"fieldRef": object{"fieldPath": "metadata.namespace"}},
						}},
						"readinessProbe": object{
							"httpGet":       object{"path": "/readyz", "port": 9403},
							"periodSeconds": 1,
						},
						"resources": object{"requests": object{"cpu": "10m", "memory": "32Mi"}},
						"securityContext": object{
							"allowPrivilegeEscalation": false,
							"readOnlyRootFilesystem":   true,
							"capabilities":             object{"drop": []string{"ALL"}},
						},
					}},
				},
			},
		},
	}
}
