# Every job of the project, one recipe each. CI calls the same recipes.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RELEASE_STAMP := $(VENV)/.release-tools
# Processes of `make test`. Its stories wait most of their time, for leases, for looks of the sensor, for their turn at a
# carrier: three processes keep two cores at work. Each takes 0.7 GB, and a story with a Dagster and a browser as much again.
WORKERS ?= 3

# A venv of somebody else must not leak in, and Dagster's home is this folder unless you say otherwise.
unexport VIRTUAL_ENV PYTHONHOME
export DAGSTER_HOME ?= $(CURDIR)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help run dev test test-fast explore coverage check format bench pictures build audit clean

help: ## list the jobs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sim_sync needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP) ## the main job end to end, on simulated carriers: crash, resume, reconcile, report
	$(BIN)/python -m sim_sync demo

dev: $(STAMP) ## the same with the Dagster UI on 127.0.0.1:3000, sensor and schedule on
	$(BIN)/python -m sim_sync dev

test: $(STAMP) ## all tests, on SQLite and on a PostgreSQL that they start themselves
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: $(STAMP) ## the tests without those that start real Dagster or real processes
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' $(ARGS)

explore: $(STAMP) ## the property tests with new random examples; what they find becomes a test of its own
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' --hypothesis-profile=explore $(ARGS)

coverage: $(STAMP) ## the same with branch coverage, and its floor
	@mkdir -p build/coverage
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' --cov --cov-report=term

check: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(STAMP) ## bring the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## the figures to reach beside those of this machine; ARGS="--against REV --peer dlt --long"
	$(BIN)/python -m sim_sync_tests.bench $(ARGS)

pictures: $(STAMP) ## the pictures of the documents, taken from the running system; ARGS names some of them
	$(BIN)/python -m sim_sync_tests.ui.pictures $(ARGS)

$(RELEASE_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,release]'
	@touch $@

build: $(RELEASE_STAMP) ## wheel and source archive in dist/, checked, and the wheel tried out from an empty folder
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	SIM_SYNC_WHEEL="$$(ls dist/*.whl)" $(BIN)/python -m pytest sim_sync_tests/acceptance/test_installed_package.py

audit: $(RELEASE_STAMP) ## known vulnerabilities of the pinned versions, as PyPI lists them
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

clean: ## remove the environment and what the demonstration wrote
	rm -rf $(VENV) .sim_sync logs build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
