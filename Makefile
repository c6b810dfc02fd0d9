# Everything runs in ./.venv, made on first use from any Python >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Tests start hundreds of Pythons: each would compile every module again where an environment forbids to keep bytecode.
test quick: export PYTHONDONTWRITEBYTECODE =
# Stores and ledgers wait for the disk thousands of times: memory has the same semantics, where 4 GB of it are free.
test quick: export PYTEST_DEBUG_TEMPROOT = $(shell df --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 4e6 {print "/dev/shm"}')

.PHONY: demo test quick check format proto diagrams reference console console-check console-shots bench clean

demo: $(VENV)/.demo
	@$(BIN)/covey demo

# What finds most of the mistakes of a change in 90 s; a test file of its own subject belongs to it: make quick ARGS=tests/crypto
QUICK := $(addprefix tests/,base federation edge_client deployment/test_in_process.py test_proto.py)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --durations=10 $(ARGS)

quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto $(QUICK) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(VENV)/.dev
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. featurestore/define/view.proto federation/plan.proto federation/batch/batch.proto training/serving/kinds/onnx_model.proto training/serving/oip/inference.proto
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. aggregator/services/aggregator.proto featurestore/read/features.proto

# Mermaid draws in a browser: the installed Chromium. 11 is the last mermaid-cli for Node 20. Each SVG ends in the hash of its source.
MERMAID := PUPPETEER_SKIP_DOWNLOAD=1 npx --yes --package @mermaid-js/mermaid-cli@11.12.0 mmdc --quiet
DIAGRAMS := $(patsubst %.mmd,%.svg,$(wildcard docs/diagrams/*.mmd))

diagrams: $(DIAGRAMS)

docs/diagrams/%.svg: docs/diagrams/%.mmd docs/diagrams/mermaid.json
	$(MERMAID) --configFile docs/diagrams/mermaid.json --puppeteerConfigFile docs/diagrams/puppeteer.json --svgId $* --input $< --output $@
	@printf '\n<!-- sha256 of the source: %s -->\n' "$$(sha256sum < $< | cut -d' ' -f1)" >> $@

reference: $(VENV)/.dev
	$(BIN)/python -m docs.reference
	$(BIN)/python -m deploy.grafana.generate

# The page of the console, and the archive of it that is committed. Only these two need Node; see console/.node-version.
console: $(VENV)/.dev
	cd console && npm ci && PYTHON=$(CURDIR)/$(BIN)/python npm run api && npm run build
	$(BIN)/python -m docs.console_archive

console-check: $(VENV)/.dev
	cd console && npm ci && PYTHON=$(CURDIR)/$(BIN)/python npm run api && npm run check && npm run build
	$(BIN)/python -m docs.console_archive --check

# Pictures of every place of the console, in build/console-shots; ARGS=--docs also writes those of docs/console.md.
console-shots: $(VENV)/.dev
	$(BIN)/python -m docs.console_shots $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.shares
	$(BIN)/python -m benchmarks.core
	$(BIN)/python -m benchmarks.way
	$(BIN)/python -m benchmarks.privacy_error
	$(BIN)/python -m benchmarks.accounting
	$(BIN)/python -m benchmarks.prio3
	$(BIN)/python -m benchmarks.validity_cost
	$(BIN)/python -m benchmarks.he
	$(BIN)/python -m benchmarks.protections
	$(BIN)/python -m benchmarks.mpc
	$(BIN)/python -m benchmarks.pit_join
	$(BIN)/python -m benchmarks.read_path
	$(BIN)/python -m benchmarks.guards
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.console
	$(BIN)/python -m benchmarks.freshness
	$(BIN)/python -m benchmarks.sources
	$(BIN)/python -m benchmarks.aged
	$(BIN)/python -m benchmarks.drift
	$(BIN)/python -m benchmarks.trainer
	$(BIN)/python -m benchmarks.table
	$(BIN)/python -m benchmarks.utility
	$(BIN)/python -m benchmarks.prediction_intervals
	$(BIN)/python -m benchmarks.fleet --clients 1000000
	$(BIN)/python -m benchmarks.fleet --clients 10000 --validity prio3
	$(BIN)/python -m benchmarks.flower --sites 200
	$(BIN)/python -m benchmarks.scale

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "covey needs Python >= 3.11: make PYTHON=python3.11 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# One stamp file for each set of extras: remade when pyproject.toml changes. Of what CrypTen declares, some does not build.
$(VENV)/.%: $(BIN)/python pyproject.toml
	$(PIP) install --quiet --editable '.[$(EXTRAS_$*)]'
	$(if $(findstring dev,$(EXTRAS_$*)),$(PIP) install --quiet --no-deps 'crypten>=0.4')
	@touch $@

EXTRAS_demo := demo
EXTRAS_dev := dev,demo
EXTRAS_bench := dev,bench
