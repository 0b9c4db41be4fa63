# Everything a first user and a developer run; `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
# Processes of the ordinary tests: a number, auto for one a core, 0 for none beside this one.
WORKERS ?= auto
BIN := $(VENV)/bin

# Also binds the isolated environments in which pip builds wheels. Relative: pip splits this value at spaces.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Material announces its successor at every build.
export NO_MKDOCS_2_WARNING := 1

# Tests on real tables and images look here; without it they are skipped.
ifneq ($(wildcard ../shared/data/.),)
export REGIMEN_DATA ?= $(shell cd ../shared/data && pwd)
endif

.PHONY: help study test slow check lint types imports docs wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

study: $(VENV)/.installed ## install into .venv, study the digits data, print where the report is
	$(BIN)/regimen study digits
	@folder=$$(ls -td runs/digits-*/ | head -n 1); echo "Report: $$PWD/$${folder}report.html"

test: $(VENV)/.installed-test ## run the ordinary tests and every example of the documentation
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile -m "not slow" $(PYTEST_ARGS)

slow: $(VENV)/.installed-test ## run the tests that take more than about ten seconds each
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# Cheapest first, one after the other also under `make -j`.
check: $(VENV)/.installed-dev ## everything below; the one gate before a commit is shared
	@for step in lint types imports slow test docs wheel; do echo "== make $$step"; $(MAKE) --no-print-directory $$step; done
	@echo "make check: all passed"

lint: $(VENV)/.installed-dev ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## mypy, strict, on src
	$(BIN)/mypy

imports: $(VENV)/.installed-dev ## import-linter: imports point down only
	$(BIN)/lint-imports --no-logo

docs: $(VENV)/.installed-dev ## build the site into site/; any warning is an error
	$(BIN)/mkdocs build --strict

wheel: $(VENV)/.installed-dev ## build the wheel and use it outside the repository, in a fresh environment
	PYTHON=$(BIN)/python scripts/check_wheel.sh

clean: ## remove what the other targets made, except .venv and runs/
	rm -rf build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: an environment is brought up to date only when what it should hold has changed.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	  "regimen needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install -c constraints.txt -e '.[test]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.installed $(VENV)/.installed-test $@
