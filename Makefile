# Caches lie outside the checkout: a fresh clone finds dependencies, programs of the test
# cluster and images built.
export SEARCHOP_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/searchop
CLUSTER := tests/e2e/cluster

# Two target folders: the trainer's polars is built for the trainer alone, so another crate's
# features never rebuild it, and both build at once. For the same reason all else is always
# built as one workspace, whatever of it is then run.
TRAINER_TARGET   := $(SEARCHOP_CACHE)/target/trainer
WORKSPACE_TARGET := $(SEARCHOP_CACHE)/target/workspace
trainer   = env MAKEFLAGS= CARGO_TARGET_DIR=$(TRAINER_TARGET) cargo $(1) --locked --release --package searchop-trainer
workspace = env MAKEFLAGS= CARGO_TARGET_DIR=$(WORKSPACE_TARGET) cargo $(1) --locked --release --workspace --exclude searchop-trainer

# The crate of the API's types has a test program of the same name as one of the scenarios'.
scenarios = $(call workspace,test) --exclude searchop-api

# cmake where the system's is too old; the programs, for local mode and the tests.
export PATH := $(SEARCHOP_CACHE)/cmake/bin:$(WORKSPACE_TARGET)/release:$(TRAINER_TARGET)/release:$(PATH)
export SEARCHOP_OPERATOR_BIN := $(WORKSPACE_TARGET)/release/searchop-operator

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show the targets
	@awk -F ': .*## ' '/^[a-z0-9-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup-build ## Train, judge and serve the sample on this machine, until Ctrl-C
	@$(MAKE) --no-print-directory -j2 build
	@echo "searchop is $(WORKSPACE_TARGET)/release/searchop"
	@searchop local up -f config/samples/rankingmodel.yaml

.PHONY: test
test: ## Everything that CI runs, a real cluster included (root)
	@.ci/test

.PHONY: setup-build setup
setup-build: ; @$(CLUSTER)/setup.sh build
setup: ## Install what is missing
	@$(CLUSTER)/setup.sh cluster

.PHONY: build build-trainer build-workspace
build: build-trainer build-workspace ## Build the programs
build-trainer: ; $(call trainer,build)
build-workspace: ; $(call workspace,build)

# kubectl finds plugins, and who completes their lines, by name.
PREFIX ?= $(HOME)/.local
.PHONY: install
install: build-workspace ## Install searchop, also as plugin of kubectl, into PREFIX/bin
	@install -D --target-directory=$(PREFIX)/bin $(WORKSPACE_TARGET)/release/searchop
	@ln -sf searchop $(PREFIX)/bin/kubectl-searchop
	@ln -sf searchop $(PREFIX)/bin/kubectl_complete-searchop

.PHONY: fmt
fmt: ## Check the formatting
	cargo fmt --all --check

# A wrapper of the workspace's crates alone: dependencies are built once, for lints and programs.
LINT := env RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/.ci/clippy
.PHONY: lint lint-trainer lint-workspace
lint: lint-trainer lint-workspace ## Run clippy; any warning fails
lint-trainer: ; $(LINT) $(call trainer,build) --all-targets
lint-workspace: ; $(LINT) $(call workspace,build) --all-targets

.PHONY: unit unit-trainer unit-workspace
unit: unit-trainer unit-workspace ## Tests beside the code
unit-trainer: ; $(call trainer,test) --lib --bins
unit-workspace: ; $(call workspace,test) --lib --bins

.PHONY: bench-tables
bench-tables: ## Figures of the serving tables
	@$(call workspace,test) --quiet --bench tables

CASES ?= 10000000
fuzzed = PROPTEST_CASES=$(CASES) $(call workspace,test) --exclude searchop-api
.PHONY: fuzz fuzz-tables
fuzz: fuzz-tables ## Damage models, tables, manifests and requests CASES times each; a reader must refuse them or read on
	@$(fuzzed) --lib --test model fuzz
fuzz-tables: ## The same of tables alone
	@$(fuzzed) --lib tables::tests

# The scenarios need a cluster.
.PHONY: integration integration-trainer integration-workspace
integration: integration-trainer integration-workspace ## Tests of whole programs on real files
integration-trainer: build-trainer ; $(call trainer,test) --test '*'
integration-workspace: build ; $(call workspace,test) --exclude searchop-e2e --test '*'

# Skips without QUALITY_DATA, a folder with products.parquet, judgments.csv and clickstream*.parquet.
.PHONY: bench-quality
bench-quality: setup-build ## Measure rankings on the products and human grades in QUALITY_DATA
	@$(call trainer,test) --quiet --bench quality

.PHONY: bench-drifting-world
bench-drifting-world: setup-build ## What tables are worth that are refreshed every day
	@$(call trainer,test) --quiet --bench drifting_world

.PHONY: bench-gate
bench-gate: build-trainer ## How often the gate errs, on worlds whose truth is known
	@$(call workspace,test) --quiet --bench gate -- $(TRAINER_TARGET)/release/searchop-trainer

.PHONY: bench-drift
bench-drift: ## How often drift is told where there is none, and found where there is
	@$(call workspace,test) --quiet --bench drift

.PHONY: bench-cron
bench-cron: ## Schedules against an oracle that walks the minutes, and a gap of ten years (CASES=100000)
	@$(call workspace,test) --quiet --bench cron -- $(if $(filter file,$(origin CASES)),,$(CASES))

.PHONY: crds crds-check
crds: build-workspace ## Write crds/ from the types
	@rm -f crds/*.yaml && mkdir -p crds
	@searchop-operator crd | .ci/split-crds crds
crds-check: build-workspace ## Fail where crds/ is not what the types say
	@new=$$(mktemp -d) && trap 'rm -r "$$new"' EXIT && searchop-operator crd | .ci/split-crds "$$new" \
		&& diff -r "$$new" crds || { echo 'crds/ is not what the types say; run "make crds"' >&2; exit 1; }

.PHONY: openapi
openapi: build-workspace ## Write docs/openapi.json from the ranker's types
	@searchop-ranker openapi > docs/openapi.json

.PHONY: tools
tools: ## Build the programs of the test cluster
	@$(CLUSTER)/tools/build.sh

# A throw-away environment for the engines that ours is compared with.
BENCH := $(SEARCHOP_CACHE)/bench
.PHONY: bench-etl
bench-etl: setup-build ## Count 10 million events, beside Python polars and DuckDB
	@mkdir -p $(BENCH)
	@$(BENCH)/venv/bin/python -c 'import duckdb, polars' 2>/dev/null \
		|| { python3 -m venv $(BENCH)/venv && $(BENCH)/venv/bin/pip install --quiet duckdb polars; }
	@$(call trainer,build) --bench etl
	@$(BENCH)/venv/bin/python trainer-job/benches/etl/compare.py \
		"$$(ls -t $(TRAINER_TARGET)/release/deps/etl-* | grep -v '\.d$$' | head -1)" $(BENCH) $(EVENTS)

.PHONY: bench-forest
bench-forest: setup-build ## Score forests, beside LightGBM
	@$(call trainer,test) --quiet --bench forest

.PHONY: bench-debias
bench-debias: ## What positions are worth, found in worlds of which it is known
	@$(call trainer,test) --test trainer debias -- --nocapture | grep '^figure'

BASELINES := benches/baselines
BENCH_VENV = $(BENCH)/venv-$(shell sha256sum $(BASELINES)/requirements.txt | cut -c1-12)
.PHONY: bench-rank bench-overload bench-shadow bench-venv
bench-venv:
	@[ -f $(BENCH_VENV)/complete ] || { python3 -m venv $(BENCH_VENV) \
		&& $(BENCH_VENV)/bin/pip install --quiet --requirement $(BASELINES)/requirements.txt && touch $(BENCH_VENV)/complete; }
bench-rank: build bench-venv ## Measure a ranking beside services in Python (ESCI=DIR for real queries)
	@searchop-bench rank --cache $(BENCH)/rank --baselines $(BASELINES) --python $(BENCH_VENV)/bin/python $(if $(ESCI),--esci $(ESCI))
bench-overload: build ## Measure overload, slow clients, drain and limits
	@searchop-bench overload --cache $(BENCH)/rank
bench-shadow: build ## Measure what a candidate in the shadow costs
	@searchop-bench shadow --cache $(BENCH)/rank

IMAGES := operator trainer ranker probe
image-operator = $(WORKSPACE_TARGET)/release/searchop-operator
image-ranker   = $(WORKSPACE_TARGET)/release/searchop-ranker
image-probe    = $(WORKSPACE_TARGET)/release/searchop-probe
image-trainer  = $(TRAINER_TARGET)/release/searchop-trainer
.PHONY: images
images: build ## Build the images; prints their archives
	@mkdir -p $(SEARCHOP_CACHE)/images
	@$(foreach name,$(IMAGES),$(CLUSTER)/images.sh build $(name) $(image-$(name)) &&) true

.PHONY: cluster-up cluster-down
cluster-up: images tools ## Start a cluster with the images in it (root)
	@$(CLUSTER)/up.sh $(foreach name,$(IMAGES),--load "$$($(CLUSTER)/images.sh build $(name) $(image-$(name)))")
cluster-down: ## Take it away
	@$(CLUSTER)/down.sh

.PHONY: e2e-api e2e
e2e-api: build-workspace tools ## Scenarios on an API server with its controllers
	@$(scenarios) --config 'target."cfg(unix)".runner = ["$(CLUSTER)/with.sh", "--api-only", "--", "bash", "-c", "\"$$@\" && searchop-privileges \"$$SEARCHOP_AUDIT_LOG\"", "api"]' --test api -- --test-threads=12
e2e: images tools ## Scenarios on a whole cluster (root)
	@$(scenarios) --no-run --test cluster
	@$(CLUSTER)/with.sh $(foreach name,$(IMAGES),--load "$$($(CLUSTER)/images.sh build $(name) $(image-$(name)))") \
		-- $(scenarios) --test cluster -- --test-threads=2

.PHONY: soak
soak: images tools ## Ten minutes of rollouts, rollbacks and lost pods under load, on a whole cluster (root)
	@$(scenarios) --no-run --test cluster
	@$(CLUSTER)/with.sh $(foreach name,$(IMAGES),--load "$$($(CLUSTER)/images.sh build $(name) $(image-$(name)))") \
		-- $(scenarios) --test cluster -- --ignored --nocapture soak

.PHONY: clients
clients: build ## Ask a ranker as the Cohere SDK and schemathesis do (PyPI)
	@tests/clients/run.sh

# Not part of "make test": needs Docker, kind, kubectl and Helm. The base must have the glibc that
# the programs were built against, or a newer one.
BASE ?= gcr.io/distroless/cc-debian12
image-s3 = $(shell bash -c 'source $(CLUSTER)/tools/lib.sh && tool_folder s3s-fs')/s3s-fs
.PHONY: kind-up kind-load kind-e2e kind-down
kind-up: ## Start a kind cluster
	kind create cluster --name searchop --config $(CLUSTER)/kind.yaml
	kubectl apply -f https://github.com/kubernetes-sigs/metrics-server/releases/download/v0.9.0/components.yaml
	kubectl patch deployment metrics-server -n kube-system --type=json \
		-p '[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"--kubelet-insecure-tls"}]'
	kubectl rollout status deployment metrics-server -n kube-system --timeout=3m
kind-load: build ## Build the images with Docker and load them into kind
	@$(CLUSTER)/tools/build.sh s3s-fs
	@mkdir -p $(SEARCHOP_CACHE)/kind
	@$(foreach name,$(IMAGES) s3,cp $(image-$(name)) $(SEARCHOP_CACHE)/kind/ && docker build --quiet --file Dockerfile \
		--build-arg BASE=$(BASE) --build-arg PROGRAM=$(notdir $(image-$(name))) --tag searchop/$(name):dev $(SEARCHOP_CACHE)/kind \
		&& kind load docker-image --name searchop searchop/$(name):dev &&) true
kind-e2e: ## Scenarios on kind
	kubectl config use-context kind-searchop
	KUBECONFIG=$${KUBECONFIG:-$$HOME/.kube/config} $(scenarios) --test cluster -- --test-threads=2
kind-down: ## Delete the kind cluster
	kind delete cluster --name searchop
