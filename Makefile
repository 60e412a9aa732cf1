# Everything the project needs lies in .venv and node_modules of this checkout; nothing else is touched.
PYTHON ?= python3
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install demo test faults check lock gas dossier verify mutate bench

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: .venv/installed node_modules/installed  ## make .venv and node_modules, and nothing else

demo: install  ## run the main job once, on a local chain with a mock bank
	@$(BIN)/python -m scripts.demo

test: install check  ## every check and every test
	@$(BIN)/pytest -n 2 --dist worksteal -m "not slow" tests

faults: install  ## the long fault tests
	@$(BIN)/pytest -n 2 --dist worksteal tests/faults

bench: install  ## measure the log and its verifier
	@$(BIN)/python -m tests.benchmarks.bench_verify

check: install  ## the floors, the style and the types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

gas: install  ## measure what the contracts cost, and write docs/gas.json and docs/gas.md
	@$(BIN)/python -m scripts.gas

dossier: install  ## write docs/dossier.md, what the contracts are and who may do what
	@$(BIN)/python -m scripts.dossier

verify: install .venv-slither/installed .venv-halmos/installed  ## the long proofs of the contracts: slither, halmos, invariants, a sample of mutants
	@$(BIN)/python -m scripts.verify

mutate: install  ## every mutant of the contracts, which takes hours; writes docs/mutation.md
	@$(BIN)/python -m scripts.mutate

lock: install  ## write the locks again after a change of the dependencies
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.lock
	@for tool in slither-analyzer halmos; do echo $$tool | $(BIN)/uv pip compile - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet \
	  --output-file scripts/$${tool%-analyzer}.lock; done

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) scripts/requirements.py
	@echo "Installing the Python packages into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv-%/installed: scripts/%.lock
	@$(PYTHON) scripts/requirements.py
	@echo "Installing $* into .venv-$*"
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/pip install --quiet --disable-pip-version-check --require-hashes -r scripts/$*.lock
	@touch $@

node_modules/installed: package-lock.json
	@$(PYTHON) scripts/requirements.py
	@echo "Installing the chain and the compiler into node_modules"
	@npm install --no-save --silent
	@touch $@
