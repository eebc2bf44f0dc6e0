# Everything that builds, shows and tests wsproxy. `make` alone explains the targets.
#
# A machine needs Go, git, make and, for what runs a cluster, root. The scripts install or build the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

##@ Variables

# CLUSTER: where demo, deploy and the end-to-end tests run: local, kind or existing (the cluster of KUBECONFIG)
CLUSTER ?= local
# CLUSTER_NAME: instances of the local cluster under different names run beside each other
CLUSTER_NAME ?= wsproxy
# NODES: number of nodes of a new cluster
NODES ?= 1
# TEST_CLUSTER_NAME: the instance that test-e2e makes and removes
TEST_CLUSTER_NAME ?= wsproxy-test
# VERSION: what the binaries say they are
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# COMMIT: the commit that they say they were built from
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# RUN: a pattern of tests; test-unit, test-peers, test-api, test-e2e and mutate run only those
RUN ?=
# BENCH: flags of the benchmark, such as --quick or --figures roundtrip,idle
BENCH ?=

export CLUSTER CLUSTER_NAME

tool = go tool -modfile=hack/tools/go.mod
golangci = go tool -modfile=hack/tools/golangci/go.mod golangci-lint
stamp = -version '$(VERSION)' -commit '$(COMMIT)'
stamped = github.com/wsproxy/wsproxy/cmd/version
run = $(if $(RUN),-run '$(RUN)')
# Tests that need a real API server are in test/; those of test/e2e have the tag e2e.
unit_packages = $$(go list ./... | grep -v '/test/')
api_packages = ./test/...

##@ Build

.PHONY: build
build: plugin ## Build the commands into bin/
	go run ./hack/images $(stamp) -archives=false

.PHONY: plugin
plugin: ## Build bin/kubectl-ws, the plugin of kubectl, for this machine
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X $(stamped).number=$(VERSION) -X $(stamped).commit=$(COMMIT)' -o bin/kubectl-ws ./cmd/kubectl-ws

.PHONY: images
images: ## Pack bin/images/{operator,apiserver,dataplane,echo}.tar without a container engine
	go run ./hack/images $(stamp)

# What our API refers to. It is described, but must not be written to: as root, even the module cache can be.
machinery = $(addprefix k8s.io/apimachinery/pkg/,apis/meta/v1 runtime version)

.PHONY: generate
generate: ## Write protobuf stubs, deepcopy functions, OpenAPI, CRDs, docs/settings.md, docs/metrics.md and the values in the README of the chart from their sources
	$(tool) buf generate
	$(tool) controller-gen object:headerFile=hack/boilerplate.go.txt paths=./api/v1alpha1 paths=./api/connections/v1alpha1
	$(tool) controller-gen crd:maxDescLen=1000000 paths=./api/v1alpha1 output:crd:dir=config/crd/bases
	$(tool) openapi-gen --go-header-file hack/boilerplate.go.txt --output-dir apiserver/openapi \
		--output-pkg github.com/wsproxy/wsproxy/apiserver/openapi --output-file zz_generated.openapi.go \
		--output-model-name-file zz_generated.model_name.go --report-filename /dev/null \
		$(addprefix --readonly-pkg ,$(machinery)) ./api/connections/v1alpha1 $(machinery)
	hack/helm/sync-crds
	go run ./hack/docs
	go run ./hack/chartvalues
	go run ./hack/metricsdoc > docs/metrics.md.new
	mv docs/metrics.md.new docs/metrics.md

# Where generated files are.
generated = api apiserver/openapi config charts docs/settings.md docs/metrics.md go.mod go.sum

.PHONY: verify
verify: generate ## Generate again and fail where the tree is not what was committed
	go mod tidy -diff
	go mod verify
	@[[ -z "$$(git status --porcelain -- $(generated))" ]] || { git --no-pager diff -- $(generated); git status --short -- $(generated); echo 'these are not what is committed' >&2; exit 1; }

.PHONY: lint
lint: ## Run golangci-lint with the linters of .golangci.yml, the import rule among them, shellcheck and actionlint; data plane and plugin must build everywhere
	hack/shellcheck
	go tool -modfile=hack/tools/actionlint/go.mod actionlint
	$(golangci) run ./...
	for os in darwin windows; do GOOS=$$os go vet ./dataplane/... ./cmd/dataplane ./cmd/kubectl-ws/...; done

##@ Release

.PHONY: release
release: ## Build what a release VERSION=v0.1.0 consists of into dist/: images, chart, manifests, plugin, SBOM; see RELEASING.md
	@hack/release/release # It has VERSION in its environment where somebody gave it.

##@ Cluster

.PHONY: cluster-up
cluster-up: ## Start a Kubernetes to develop against; builds it at the first use
	hack/cluster up $(if $(filter-out 1,$(NODES)),--nodes $(NODES))

.PHONY: cluster-down
cluster-down: ## Remove it
	hack/cluster down

.PHONY: deploy
deploy: images ## Bring images, CRDs and operator into the cluster that is up, and wait for them
	hack/deploy

##@ Demo

.PHONY: demo
demo: images ## From nothing to a proxy under traffic whose settings change; leaves it running
	hack/demo/demo up

.PHONY: demo-down
demo-down: ## Remove everything that demo made
	hack/demo/demo down

##@ Test

.PHONY: test
test: test-unit test-peers test-api test-e2e ## test-unit, test-peers, test-api and test-e2e

# The race detector makes the simulator of the relay ten times as slow, and it starts no goroutine that matters: with it
# there are few schedules, without it as many as there should be.
.PHONY: test-unit
test-unit: ## Tests without Kubernetes, through real sockets, with the race detector
	@hack/race
	CGO_ENABLED=1 SIM_RUNS=500 go test -race -parallel 8 -timeout 10m $(run) $(unit_packages)
	$(if $(RUN),,go test -timeout 10m -run '^TestSimulation$$' ./dataplane/relay/core)

.PHONY: test-peers
test-peers: ## Tests with WebSocket programs of others: Chromium, Python, npm's ws, libwebsockets, gorilla
	RUN='$(RUN)' test/peers/run

.PHONY: test-api
test-api: ## Tests against a real etcd and kube-apiserver
	test/metrics/promtool >/dev/null
	assets=$$(hack/cluster assets) && KUBEBUILDER_ASSETS=$$assets go test -timeout 15m $(run) $(api_packages)

.PHONY: test-e2e
test-e2e: images plugin ## Tests on a cluster of its own, which is removed afterwards
	CLUSTER_NAME='$(TEST_CLUSTER_NAME)' RUN='$(RUN)' test/e2e/run

.PHONY: test-upgrade
test-upgrade: images ## helm upgrade from the commit FROM=… to this one, and back, on a cluster of its own, under 500 clients
	hack/upgrade '$(or $(FROM),HEAD)'

.PHONY: test-skew
test-skew: ## Data planes of another release, FROM=COMMIT, under today's control plane, and the other way round; on clusters of its own
	FROM='$(FROM)' RUN='$(RUN)' test/skew/run

.PHONY: churn
churn: images ## Informers against the clients' own record for DURATION=10m, with RATE=300 a second coming and going while pods are killed
	CLUSTER_NAME='$(TEST_CLUSTER_NAME)' CHURN='$(or $(DURATION),10m)' CHURN_RATE='$(or $(RATE),300)' TIMEOUT=0 RUN='^TestInformersStayEqualToTheTruth$$' test/e2e/run

.PHONY: sim
sim: ## A million random schedules for the core of the relay; SIM_SEED=n runs one of them again
	SIM_RUNS=$(or $(SIM_RUNS),1000000) go test -count=1 -v -timeout 4h -run '^TestSimulation$$' ./dataplane/relay/core

.PHONY: mutate
mutate: ## Break each promise of the relay's core and each rule of watches on purpose, and see that a random history tells
	go test -tags mutate -count=1 -v -timeout 2h -run 'Mutation$(if $(RUN),s/($(RUN)))' ./dataplane/relay/core ./test/versions

.PHONY: fuzz
fuzz: ## Let each fuzz test look for new inputs for 20 seconds
	hack/fuzz 20s

.PHONY: bench
bench: ## Put proxies side by side and say what each costs, in about 20 minutes (BENCH='--quick': 2); see hack/bench/README.md
	hack/bench/bench $(BENCH)

##@ Clean

.PHONY: clean
clean: ## Remove bin/ and dist/; the cache of Kubernetes binaries (~/.cache/wsproxy) stays
	rm -rf bin dist

##@ Help

.PHONY: help
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^# [A-Z_]+: / { sub(/^# /, ""); split($$0, a, ": "); printf "  %-18s %s\n", a[1], substr($$0, length(a[1]) + 3) } \
		/^[a-z0-9-]+:.*## / { split($$1, t, ":"); printf "  %-18s %s\n", t[1], $$2 }' $(MAKEFILE_LIST)
