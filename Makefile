# `make` alone prints what there is to make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Or 1.31.4: hack/localcluster/binaries pins both.
KUBERNETES ?= 1.37.2
# CLUSTER=existing uses the cluster of KUBECONFIG. Every other run makes its own and never sees yours.
CLUSTER ?=
KEEP ?=
# One name for every commit: a tag, or the commit after it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

ifneq ($(CLUSTER),existing)
unexport KUBECONFIG
endif
export GOTOOLCHAIN := local
export GOWORK := off
# As localcluster compiles Kubernetes, so that the tests find its packages compiled; and nothing asks git.
export GOFLAGS := -trimpath -buildvcs=false

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kubernaut
TOOLS := $(CACHE)/tools-$(shell { go env GOVERSION; cat go.tools.mod go.tools.sum; } | sha256sum | cut -c1-12)
CONTROLLER_GEN := $(TOOLS)/controller-gen
KUSTOMIZE := $(TOOLS)/kustomize
GINKGO := $(TOOLS)/ginkgo
# kube-api-linter's program is golangci-lint with its linter compiled in.
GOLANGCI_LINT := $(TOOLS)/golangci-lint

MODULES := . hack/localcluster hack/localcluster/binaries hack/localcluster/binaries/kubernetes-1.31 test/receiver
LOCALCLUSTER := go -C hack/localcluster run .
# envtest takes its API server from the same cache as the local cluster.
ASSETS = $$($(LOCALCLUSTER) binaries --kubernetes $(KUBERNETES) --only kube-apiserver,etcd,kubectl)
BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

##@ See it
.PHONY: help demo
help: ## Print this.
	@awk -F ':.*## ' '/^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: $(if $(CLUSTER),,packages) build ## Five incidents on a real cluster of this machine (KEEP=1 keeps it, CLUSTER=existing uses yours).
	go run ./hack/demo --kubernetes=$(KUBERNETES) --keep=$(or $(KEEP),0) --cluster=$(CLUSTER)

##@ Build
.PHONY: build generate manifests packages binaries
build: ## Put kubernaut and kubectl-kubernaut into bin/, and localcluster beside them.
	$(BUILD) -o bin/ ./cmd/...
	@CGO_ENABLED=0 go -C hack/localcluster build -trimpath -o ../../bin/ .

# OUT is another tree while verify compares.
OUT ?= .
generate: $(CONTROLLER_GEN) ## Write deep copies and CRDs from api/.
	$(CONTROLLER_GEN) object output:object:dir=$(OUT)/api/v1alpha1 \
	  crd output:crd:dir=$(OUT)/config/crd/bases paths=./api/...

manifests: $(KUSTOMIZE) ## Write what `kubectl apply -k config/default` applies to _output/kubernaut.yaml.
	mkdir -p _output && $(KUSTOMIZE) build config/default -o _output/kubernaut.yaml

packages: ## Install the Debian packages that a local cluster needs (as root; else say which).
	@hack/packages.sh

binaries: ## Build kube-apiserver, etcd and kubectl into the cache, once; print KUBEBUILDER_ASSETS.
	@assets=$(ASSETS) && echo "KUBEBUILDER_ASSETS=$$assets"

##@ Check
.PHONY: test fuzz verify e2e specs bench lint verify-generated verify-format verify-modules verify-rooms verify-budgets verify-config
test: ## Every test that needs no node: units, contracts, API server.
	assets=$(ASSETS) && KUBEBUILDER_ASSETS=$$assets go test ./...
	for module in hack/localcluster hack/localcluster/binaries/storage-provisioner test/receiver; do go -C $$module test ./...; done

# How many seconds each of the three targets is fed, in rounds of so many messages as its name
# says: rounds of so long a time fail now and then when it is over (https://go.dev/issue/75804).
FUZZ ?= 45
fuzz: ## Post hostile messages to the intake, two minutes and more in all; what breaks it is kept in testdata.
	for target in FuzzHandler/10000x FuzzAlert/3000x FuzzLarge/1000x; do \
	  for ((began = SECONDS; SECONDS - began < $(FUZZ); )); do \
	    go test -run '^$$' -fuzz "^$${target%/*}\$$" -fuzztime "$${target#*/}" -fuzzminimizetime 100x ./internal/intake; \
	  done; \
	done

verify: verify-generated verify-format verify-modules verify-config verify-budgets verify-rooms lint ## Everything a reviewer should not have to look at.
	@echo "verify: everything is as it should be"

e2e: specs ## Break a real cluster and watch it heal; JUnit in _output/e2e.xml.
	assets=$(ASSETS) && KUBEBUILDER_ASSETS=$$assets go test -v -count=1 -tags e2e -timeout 20m ./test/crash
	go -C hack/localcluster test -count=1 -tags e2e -timeout 20m ./downtest

# FOCUS chooses some of them by a regular expression of their names.
FOCUS ?=
specs: packages build $(GINKGO) ## The part of e2e that has a whole cluster.
	mkdir -p _output
	KUBERNETES=$(KUBERNETES) $(GINKGO) run --tags=e2e --timeout=40m --fail-on-empty $(if $(FOCUS),--focus '$(FOCUS)') \
	  --output-dir=_output --junit-report=$(if $(FOCUS),specs,e2e).xml ./test/e2e

bench: ## Measure what has to be fast and small; figures in _output/bench.json, for benchstat in bench.txt (40 min).
	mkdir -p _output && rm -f _output/bench.json
	assets=$(ASSETS) && export KUBEBUILDER_ASSETS=$$assets && { kept=true; for run in 'Diagnose|Reconcile 1s' 'Intake|Plan|Storm|Waiting|Resident 1x'; do \
	  go test -run '^$$' -bench "$${run% *}" -benchtime "$${run#* }" -timeout 60m ./test/bench -figures $(CURDIR)/_output/bench.json || kept=false; \
	done; $$kept; } | tee _output/bench.txt

lint: $(GOLANGCI_LINT) ## Run the linters of .golangci.yml over all modules.
	$(GOLANGCI_LINT) run
	cd hack/localcluster && $(GOLANGCI_LINT) run --config ../../.golangci.yml
	cd test/receiver && $(GOLANGCI_LINT) run --config ../../.golangci.yml

verify-generated:
	@rm -rf _output/generated
	@$(MAKE) --no-print-directory generate OUT=_output/generated >/dev/null
	diff -ru _output/generated/config/crd/bases config/crd/bases
	diff -u _output/generated/api/v1alpha1/zz_generated.deepcopy.go api/v1alpha1/zz_generated.deepcopy.go

verify-format:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt -w $$bad"; exit 1; }
	go vet ./...
	go -C hack/localcluster vet ./...
	go -C test/receiver vet ./...

verify-modules:
	for module in $(MODULES); do go -C $$module mod tidy -diff; done

verify-config: $(KUSTOMIZE)
	for base in $$(git ls-files 'config/*kustomization.yaml'); do $(KUSTOMIZE) build $${base%/*} >/dev/null; done

verify-budgets:
	go run ./hack/codebudget

verify-rooms:
	go test -count=1 -run '^TestImports' ./internal/app

##@ Local cluster
.PHONY: cluster cluster-down clean
cluster: packages ## Two nodes, Prometheus, Alertmanager, metrics-server, volumes; prints its kubeconfig.
	$(LOCALCLUSTER) up --kubernetes $(KUBERNETES) --nodes 2 --monitoring --metrics --storage
	@$(LOCALCLUSTER) kubeconfig

cluster-down: ## Remove it; leave the machine as it was.
	$(LOCALCLUSTER) down

clean: ## Remove what was built here; caches stay.
	rm -rf bin _output

# Tools are pinned in go.tools.mod and kept outside the repository, by the hash of that file.
package-controller-gen := sigs.k8s.io/controller-tools/cmd/controller-gen
package-kustomize := sigs.k8s.io/kustomize/kustomize/v5
package-ginkgo := github.com/onsi/ginkgo/v2/ginkgo
package-golangci-lint := sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
$(TOOLS)/%:
	@echo "building $* into $(TOOLS), once (golangci-lint takes some minutes)"
	@mkdir -p $(TOOLS) && go build -modfile=go.tools.mod -trimpath -o $@ $(package-$*)
