# Everything a person or CI runs. Each target does its own set-up: a virtual environment in .venv, pinned and hashed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Where this is set, every process compiles every module anew, and pytest every test module: two thirds of a collection.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check docs test-peers bluez powercut deep bench bench-quick format clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "setting up $(VENV) (once)"
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## the whole story: refused, entered, updated, confirmed, reverted; no hardware
	@$(BIN)/keyswitch demo

test: $(READY)  ## the tests, in virtual time
	@$(BIN)/pytest -q -n auto

test-peers: $(READY)  ## real servers and real clients, in environments of their own
	@tools/peers/setup
	@$(BIN)/pytest -q -n auto --peers -m peers

bluez: $(READY)  ## our device as centrals on real Linux and BlueZ meet it; the first time it builds a small Linux
	@tools/bluez/test

powercut: $(READY)  ## cut the power at every flash operation, and at every one of the recovery
	@$(BIN)/python -m bench.powercut

deep: $(READY)  ## everything large, into docs/deep.md: a million frames, all cuts, thousands of mutants
	@tools/peers/setup
	@rm -f build/deep.json
	@$(BIN)/pytest -q -n auto --deep --timeout=7200
	@$(BIN)/pytest -q -n auto --deep --peers -m peers --timeout=1800
	@$(BIN)/python -m bench.powercut --keep
	@$(BIN)/python -m bench.deep

check: $(READY)  ## lint, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy
	@$(BIN)/basedpyright --warnings

docs: .venv-docs/.ready  ## the documentation's site, into build/docs, every link checked
	@tools/docs-site .venv-docs/bin/zensical

.venv-docs/.ready: requirements/docs.txt
	@$(PYTHON) -m venv .venv-docs
	@echo "setting up .venv-docs (once)"
	@.venv-docs/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

bench: $(READY)  ## rates beside bounds and peers, into build/bench.json; takes half an hour
	@tools/peers/setup
	@$(BIN)/python -m bench

bench-quick: $(READY)  ## four cells of the comparison with the peers
	@tools/peers/setup
	@$(BIN)/python -m bench.peers --quick

format: $(READY)  ## let ruff lay out the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

clean:  ## remove what was built; the virtual environment too
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache
