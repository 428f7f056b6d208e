# Every target sets up what it needs, given Python >= 3.11. `make help` lists them.
PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
CORE := .venv/.stamp-core
DATA := .venv/.stamp-data
DEV := .venv/.stamp-dev
DOCS := .venv/.stamp-docs
SCRIPTS := .ci/run $(filter-out %.yml %.d,$(wildcard scripts/*)) $(wildcard scripts/services.d/*.sh)

export PYTHON
.DEFAULT_GOAL := help
.PHONY: help demo test chaos bench lint format types docs constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

demo: $(DATA) ## Run three days of a web shop end to end, offline
	@$(BIN)/python examples/shop/demo.py $(ARGS)

test: $(DEV) ## Run the tests, on real servers where there are any (ARGS='tests/unit -k retry')
	@scripts/test -m "not slow" $(ARGS)

chaos: $(DEV) ## Run the tests that kill processes, then workers under fire (ARGS=600 for ten minutes each)
	@scripts/chaos $(ARGS)

bench: $(CORE) ## Measure Penstock and its peers in one run
	@scripts/bench $(ARGS)

lint: $(DEV) ## Check style, imports and shell scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/shellcheck $(SCRIPTS)

format: $(DEV) ## Put the code in its format, and mend what ruff can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV) ## Check the types (mypy, strict)
	@$(BIN)/mypy

docs: $(DOCS) ## Build the documentation into site/
	@$(BIN)/mkdocs build --strict $(ARGS)

constraints: $(CORE) ## Resolve constraints.txt again (ARGS=--upgrade for newer releases)
	@scripts/constraints $(ARGS)

clean: ## Delete everything made here, and stop the servers started for the tests
	@scripts/clean

.venv/.stamp-%: pyproject.toml constraints.txt scripts/setup
	@scripts/setup $*
