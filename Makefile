.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

IN_ENV := scripts/in-env
INSTALLED := .venv/.installed
PYTEST := $(IN_ENV) pytest
CORE_SUITE = pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS) @tests/spark35.txt
PYTEST_ARGS ?=
TIMES ?= 10
SEED ?=
FAST := not spark and not cluster and not slow
WORKERS ?= 4
MINUTES ?= 30

.PHONY: help
help:  ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup java  ## set everything up; endpoints, deployments and jobs on real images and real tables
	@$(IN_ENV) conf/examples/run-demo

.PHONY: test
test: setup java classes postgres azurite compiler chromium namespaces pythons  ## set everything up and run the whole suite, the fast tests first
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "$(FAST)" $(PYTEST_ARGS)
	@$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not ($(FAST)) and not alone" $(PYTEST_ARGS)
	@$(PYTEST) -m alone $(PYTEST_ARGS) tests/chaos
	@$(MAKE) spark35

.PHONY: test-fast
test-fast: setup postgres azurite  ## run the tests that start neither Spark nor anything else that is slow
	@$(PYTEST) -n $(WORKERS) --dist worksteal -m "$(FAST)" $(PYTEST_ARGS)

.PHONY: spark35
spark35: java .venv-spark35/.installed  ## run the core suite on the oldest Spark, Delta, pandas and pyarrow that are supported
	@VENV=.venv-spark35 $(IN_ENV) $(CORE_SUITE)

.PHONY: spark40
spark40: java .venv-spark40/.installed  ## run the core suite on Spark 4.0 with what Databricks' runtime 17.3 has beside it
	@VENV=.venv-spark40 $(IN_ENV) $(CORE_SUITE)

.PHONY: chaos
chaos: setup java classes azurite compiler  ## run the chaos tests with TIMES (10) as many faults, of SEED
	@$(PYTEST) tests/chaos --chaos-faults $(TIMES) $(SEED:%=--chaos-seed %) $(PYTEST_ARGS)

.PHONY: lint
lint: setup  ## check style of code, shell scripts and the Dockerfile
	@$(IN_ENV) ruff check .
	@$(IN_ENV) ruff format --check .
	@$(IN_ENV) shellcheck $$(scripts/shell-files)
	@$(IN_ENV) hadolint docker/Dockerfile

.PHONY: types
types: setup  ## check types
	@$(IN_ENV) mypy

.PHONY: format
format: setup  ## rewrite code in the project's style
	@$(IN_ENV) ruff check --fix .
	@$(IN_ENV) ruff format .

.PHONY: bench
bench: setup java  ## run the benchmarks (about an hour; see benchmarks/README.md)
	@$(IN_ENV) benchmarks/run

.PHONY: soak
soak: setup java  ## run jobs back to back for MINUTES (30) and look for what grows
	@$(IN_ENV) python benchmarks/soak.py --minutes $(MINUTES) --page docs/soak.md

.PHONY: wheel
wheel: setup  ## build the wheel and try it in a clean environment
	@$(IN_ENV) scripts/check-wheel

.PHONY: lock
lock: setup  ## remake the locks from pyproject.toml and the requirements of older Sparks
	@$(IN_ENV) scripts/lock

.PHONY: setup
setup: $(INSTALLED)  ## create .venv from requirements.lock (every target that needs it does so)

$(INSTALLED): requirements.lock pyproject.toml scripts/setup
	@scripts/setup
	@touch $@

.venv-%/.installed: requirements-%.lock pyproject.toml scripts/older-spark | $(INSTALLED)
	@scripts/older-spark $*
	@touch $@

.PHONY: java
java: setup  ## find Java 17 or later (as root on Debian: install it)
	@scripts/java > /dev/null

.PHONY: classes
classes: java  ## keep Spark's classes as JVMs map them, so that those of tests start sooner
	@$(IN_ENV) python -m tests.class_archive

.PHONY: postgres
postgres:  ## find the PostgreSQL server that tests start (as root on Debian: install it)
	@scripts/postgres > /dev/null

.PHONY: azurite
azurite: setup  ## install the Azure store that tests start (as root on Debian: Node.js too)
	@scripts/azurite > /dev/null

.PHONY: compiler
compiler:  ## find the C compiler that builds a clock for tests (as root on Debian: install it)
	@scripts/compiler > /dev/null

.PHONY: namespaces
namespaces:  ## find ip, by which tests make machines of their own (as root on Debian: install it)
	@scripts/namespaces > /dev/null

.PHONY: pythons
pythons: setup  ## find a Python of another version, which tests build environments with (or let uv fetch it)
	@$(IN_ENV) python -m tests.built_environments > /dev/null

.PHONY: chromium
chromium:  ## find the browser that tests use Studio in (as root on Debian: install it)
	@scripts/chromium > /dev/null

.PHONY: clean
clean:  ## remove the environment, caches and everything else that was made here
	rm -rf .venv .venv-spark35 .venv-spark40 .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist sparkscore-jobs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: ci
ci: lint types test  ## what continuous integration runs
