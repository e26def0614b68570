# make demo and make test need nothing but Python 3.11 or newer: both make .venv themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
TEST ?= tests
# Folders whose tests draw cases, and could draw any number of them.
THOROUGH ?= tests/decisions tests/faults tests/gathering tests/pipelines tests/schedulers \
	tests/simulation
# What a change breaks first; in these folders, tests that are marked slow are left out.
FAST ?= tests/rows tests/results tests/service tests/redaction

.PHONY: all demo test test-fast test-thorough test-oldest test-newest lint format bench docs dist audit lock help
.DEFAULT_GOAL := help

# The versions are locked, so that every clone installs the same.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "langchain-sutro needs Python 3.11 or newer; set PYTHON=python3.x" >&2; exit 1; }
ifdef UV
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
else
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endif
	@touch $@

demo: $(VENV)/.installed  ## Judge real leads with a local deployment, and show the trace
	@$(BIN)/python -m cookbook.demo

test: $(VENV)/.installed  ## Run the whole suite
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(TEST)

test-fast: $(VENV)/.installed  ## Run the part that takes less than a minute, see FAST
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not sdk" $(FAST)

test-thorough: $(VENV)/.installed  ## Run the tests that draw cases with many more cases, see THOROUGH
	@SUTRO_THOROUGH=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(THOROUGH)

test-oldest: $(VENV)/.installed  ## Run the suite with the oldest dependencies that pyproject.toml admits
	@$(BIN)/python -m tests.resolved oldest $(TEST)

test-newest: $(VENV)/.installed  ## Run the suite with the newest dependencies that pyproject.toml admits
	@$(BIN)/python -m tests.resolved newest $(TEST)

lint: $(VENV)/.installed  ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/.installed  ## Put the style right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.installed  ## Measure speed and memory beside httpx and the official SDK
	@$(BIN)/python -m tests.benchmarks

docs: $(VENV)/.installed  ## Build the pages and the API reference in build/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/docs/index.html

# Build tools in an environment of their own: what they require is not the package's business.
.release/.installed: pyproject.toml
	@$(PYTHON) -m venv .release
	@.release/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@.release/bin/python -m pip install --quiet --group release
	@touch $@

dist: .release/.installed  ## Build and check the distributions, and list what they install, in build
	@rm -rf build/dist build/installed
	@.release/bin/python -m build --outdir build/dist . >/dev/null
	@.release/bin/twine check --strict build/dist/*
	@$(PYTHON) -m venv build/installed
	@build/installed/bin/python -m pip install --quiet --disable-pip-version-check build/dist/*.whl
	@build/installed/bin/python -m pip uninstall --quiet --yes pip setuptools
	@.release/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom.json build/installed
	@echo build/dist build/sbom.json

audit: .release/.installed  ## Ask whether a locked version has a known vulnerability (needs the internet)
	@.release/bin/pip-audit --strict --disable-pip --no-deps --requirement requirements.lock

lock:  ## Resolve requirements.lock anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --extra local --extra agents --extra s3 \
		--extra plots --extra statistics --group dev pyproject.toml -o requirements.lock --no-header --no-annotate

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18
