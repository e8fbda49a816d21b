# What a contributor does more than once. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PYTEST_ARGS ?=
KUBELAB := PYTHONPATH=tests/cluster $(BIN)/python -m kubelab

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml tools/venv.sh
	tools/venv.sh $(PYTHON) $(VENV) media,operator
	@touch $@

$(VENV)/.installed-dev: pyproject.toml tools/venv.sh $(VENV)/.installed
	tools/venv.sh $(PYTHON) $(VENV) dev
	@touch $@

$(VENV)/.installed-fuzz: pyproject.toml tools/venv.sh $(VENV)/.installed
	tools/venv.sh $(PYTHON) $(VENV) fuzz
	@touch $@

.PHONY: install
install: $(VENV)/.installed player ## The `onair` command in .venv/bin

.PHONY: player
player: $(VENV)/.installed ## hls.js for the player page (needs npm; without it the page uses the browser's own HLS)
	@command -v npm >/dev/null || { echo "Installing npm, for hls.js …"; tools/apt.sh nodejs npm || true; }
	@$(BIN)/python -m onair_media.player.vendor || echo "The player page will use the browser's own HLS."

.PHONY: demo
demo: install ## Serve examples/, push a generated stream, print the watch URL; Ctrl-C stops
	@$(BIN)/python tools/demo.py

.PHONY: test
test: $(VENV)/.installed-dev player ## Everything that can run here; says what was skipped and why
	tools/test-tools.sh
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest tests/unit -n 2 -q $(PYTEST_ARGS)
	$(BIN)/pytest tests/media tests/e2e $(PYTEST_ARGS)
	$(KUBELAB) build  # minutes, the first time: not beside tests of live media
	$(BIN)/pytest tests/kube tests/chart tests/cluster $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: $(VENV)/.installed-dev ## The unit tests: under a minute
	$(BIN)/pytest tests/unit -n 2 -q $(PYTEST_ARGS)

NODES ?= 1
.PHONY: cluster-up
cluster-up: $(VENV)/.installed-dev ## A Kubernetes cluster that stays; prints what your shell needs. NODES=2 for two
	@$(KUBELAB) up --nodes $(NODES)

.PHONY: cluster-image
cluster-image: $(VENV)/.installed-dev player ## OnAir's image into that cluster, as the files are now; prints its name
	@$(KUBELAB) image

.PHONY: cluster-down
cluster-down: $(VENV)/.installed-dev ## Take that cluster down, and what killed tests left
	@$(KUBELAB) down

.PHONY: lint
lint: $(VENV)/.installed-dev ## ruff (lint, format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.installed-dev ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(VENV)/.installed-dev ## docs/reference.md from the CRDs
	$(BIN)/python -m onair_core.manifests.reference

.PHONY: manifests
manifests: $(VENV)/.installed-dev ## What the chart and deploy/kustomize have from the CRDs and the values
	PYTHONPATH=tests/cluster $(BIN)/python tools/manifests.py

BENCH_ARGS ?=
.PHONY: bench
bench: $(VENV)/.installed-dev ## OnAir beside its peers; shorter with BENCH_ARGS="--rounds 1 --publishers 10"
	tools/test-tools.sh nginx libnginx-mod-rtmp libnginx-mod-stream wrk
	$(BIN)/python bench/ingest.py $(BENCH_ARGS)
	$(BIN)/python bench/ingest.py --mtu $(BENCH_ARGS)
	$(BIN)/python bench/ingest.py --tls --chunks 4096 $(BENCH_ARGS)
	$(BIN)/python bench/ingest.py --processes --publishers 1 10 50 --chunks 4096 $(BENCH_ARGS)
	$(BIN)/python bench/ready.py
	$(BIN)/python bench/hls_serve.py

.PHONY: bench-operator
bench-operator: $(VENV)/.installed-dev ## The operator with up to 5 000 LiveStreams; fewer with BENCH_ARGS="--streams 100 500"
	$(BIN)/python bench/operator_scale.py $(BENCH_ARGS)

SOAK_HOURS ?= 8
.PHONY: soak
soak: $(VENV)/.installed-dev ## SOAK_HOURS of a stream (8) at a hundred times the clock: memory, files, playlists, recording
	$(BIN)/python bench/soak.py --hours $(SOAK_HOURS)

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: $(VENV)/.installed-fuzz ## Fuzz what the internet can reach, FUZZ_SECONDS for each target (60)
	$(BIN)/python fuzz/run.py --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: image
image: ## The container image (Docker or Podman)
	@tool=$$(command -v docker || command -v podman) || { echo "make image needs docker or podman"; exit 1; }; \
	$$tool build -t onair:dev .

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache tests/js/node_modules media/onair_media/player/vendor
