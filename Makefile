# `make help` lists the targets. `make demo` and `make test` do all their set-up themselves.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The version that binaries and images carry.
VERSION ?= dev
# The cluster that the targets below use: a name for one of ours, or "current" for the user's current kube-context (make demo only).
CLUSTER ?= flight
# With CLUSTER=current: a registry and path to push the images to, such as registry.example.com/team.
IMAGE_PUSH ?=

export VERSION
LDFLAGS := -s -w -X github.com/flight-operator/flight-operator/internal/version.Version=$(VERSION)

##@ Use

.PHONY: demo
demo: ## The whole thing: a Kubernetes cluster, the operator, and a Flight server with real data
	@CLUSTER=$(CLUSTER) IMAGE_PUSH=$(IMAGE_PUSH) hack/demo up

.PHONY: demo-down
demo-down: ## Take the demo away, and its cluster if it is ours
	@CLUSTER=$(CLUSTER) hack/demo down

.PHONY: cluster-up
cluster-up: ## Start a single-node Kubernetes in a network namespace of its own
	@test/cluster/cluster --name $(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop it and remove everything of it
	@test/cluster/cluster --name $(CLUSTER) down

##@ Build

.PHONY: build
build: ## Build the static binaries into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/manager ./cmd/flightruntime ./hack/quickstart-data

.PHONY: images
images: build ## Build image archives into dist/
	@hack/images dist

.PHONY: generate
generate: ## Write what is generated: deep copies, CRD, RBAC, chart, API reference
	@hack/generate

##@ Test

# The parts of `make test` run one after the other: two builds at once gain nothing on two cores.
.PHONY: test
test: verify lint test-unit test-controllers test-conformance test-bench test-cluster test-e2e ## Everything that CI needs

.PHONY: verify
verify: ## Generated files are current, modules tidy, sources formatted
	@hack/verify

.PHONY: lint
lint: ## golangci-lint, on every module of ours
	hack/tool golangci-lint run ./...
	cd hack/image && ../tool golangci-lint run ./...
	cd hack/tools && ../tool golangci-lint run ./...
	cd hack/tools/alerts && ../../tool golangci-lint run ./...
	cd test/cluster && ../../hack/tool golangci-lint run ./...

RACE_TEST := go test -race -timeout 20m

.PHONY: test-unit
test-unit: ## Unit and table tests, golden files, fuzz seeds, with the race detector
	$(RACE_TEST) $$(go list ./... | grep -v -e /controllers$$ -e /test/)
	cd test/cluster && go test ./...
	cd hack/image && go test ./...

.PHONY: test-controllers
test-controllers: ## The controller against a real kube-apiserver and etcd
	KUBEBUILDER_ASSETS=$$(test/cluster/cluster build kubernetes | tail -n 1) $(RACE_TEST) ./controllers

.PHONY: test-conformance
test-conformance: ## pyarrow against the runtime
	hack/pyarrow --version
	$(RACE_TEST) ./test/conformance/...

.PHONY: test-cluster
test-cluster: ## Our own clusters: side by side, killed in the middle, gone without a trace
	@hack/cluster-test

.PHONY: test-e2e
test-e2e: ## Everything together on a real cluster
	@hack/e2e

.PHONY: fuzz
fuzz: ## Fuzz each target that parses bytes from outside for FUZZTIME
	@hack/fuzz $(or $(FUZZTIME),1m)

##@ Measure

# numpy makes the data, matplotlib draws.
BENCH := PYARROW_WITH='numpy==2.3.5 matplotlib==3.10.8' hack/pyarrow -m

.PHONY: bench
bench: ## Ours against pyarrow's own server, the whole table: writes docs/benchmarks.md
	$(BENCH) bench

.PHONY: bench-quick
bench-quick: ## A subset, in less than five minutes: writes bench/results/quick.json
	$(BENCH) bench --quick

.PHONY: bench-go
bench-go: ## Go benchmarks of the hot paths, for benchstat
	go test -run '^$$' -bench . -benchmem ./flightruntime/...

.PHONY: test-bench
test-bench: ## The benchmark's own tests, and all of it with little data
	$(BENCH) unittest discover -t . -s bench/tests
	$(BENCH) bench.tests.smoke

##@ Help

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
