# Everything the project needs lies in .venv and node_modules of this checkout; nothing else is touched.
PYTHON ?= python3
BIN := .venv/bin
# Modules are compiled when they are first read: most of what is installed never is.
INSTALL := pip install --quiet --disable-pip-version-check --no-compile
PIN = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --no-header --no-annotate --quiet
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test simulate faults check lock gas dossier verify mutate bench

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:  ## make .venv and node_modules, and nothing else
	@$(PYTHON) scripts/requirements.py
	@$(MAKE) --no-print-directory --jobs 2 .venv/installed node_modules/installed

demo: install  ## run the main job once, on a local chain with a mock bank
	@$(BIN)/python -m scripts.demo

test: check  ## every check and every test
	@$(BIN)/pytest -n 4 -m "not slow" tests

simulate: install .venv/tests-installed  ## run the simulated world, SEEDS=first..last; a failing seed prints its trace
	@$(BIN)/python -m tests.simulation $(SEEDS)

faults: install .venv/tests-installed  ## the long fault tests
	@$(BIN)/pytest -n 2 tests/faults

bench: install .venv/tests-installed  ## measure everything, and write docs/benchmarks.json and docs/benchmarks.md
	@$(BIN)/python -m tests.benchmarks

check: install .venv/tests-installed  ## the floors, the style and the types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

gas: install  ## measure what the contracts cost, and write docs/gas.json and docs/gas.md
	@$(BIN)/python -m scripts.gas

dossier: install  ## write docs/dossier.md, what the contracts are and who may do what
	@$(BIN)/python -m scripts.dossier

verify: install .venv/tests-installed .venv-slither/installed .venv-halmos/installed  ## the long proofs of the contracts: slither, halmos, invariants, a sample of mutants
	@$(BIN)/python -m scripts.verify

mutate: install .venv/tests-installed  ## the mutants of the contracts, as many as MINUTES allows or all in an hour; writes docs/mutation.md
	@$(BIN)/python -m scripts.mutate $(if $(MINUTES),--minutes $(MINUTES))

lock: install  ## write the locks again after a change of the dependencies
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(PIN) --extra build --extra test --output-file requirements-test.lock pyproject.toml
	@$(PIN) --extra build --constraint requirements-test.lock --output-file requirements.lock pyproject.toml
	@for tool in slither-analyzer halmos; do echo $$tool | $(PIN) --output-file scripts/$${tool%-analyzer}.lock -; done

.venv/installed: requirements.lock pyproject.toml
	@echo "Installing the Python packages into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/$(INSTALL) --require-hashes -r requirements.lock
	@$(BIN)/$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/tests-installed: requirements-test.lock .venv/installed
	@echo "Installing what the tests need into .venv"
	@$(BIN)/$(INSTALL) --require-hashes -r requirements-test.lock
	@touch $@

.venv-%/installed: scripts/%.lock
	@echo "Installing $* into .venv-$*"
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/$(INSTALL) --require-hashes -r scripts/$*.lock
	@touch $@

node_modules/installed: package-lock.json
	@echo "Installing the chain and the compiler into node_modules"
	@npm install --no-save --silent
	@touch $@
