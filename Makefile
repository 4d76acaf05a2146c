# Everything a person or CI runs. Each target does its own set-up, pinned and hashed, in a virtual environment beside
# the sources, and says at its end how long it took.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := .venv-run
DIST := build/dist

# Where this is set, every process compiles every module anew, and pytest every test module: two thirds of a collection.
unexport PYTHONDONTWRITEBYTECODE
export PYTHON

BEGAN := $(shell date +%s)
took = @echo "make $@: $$(($$(date +%s) - $(BEGAN))) s"

.DEFAULT_GOAL := help
.PHONY: help demo test check docs test-peers test-campaign test-console test-install test-firmware bluez powercut deep bench bench-quick man dist format clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "setting up $(VENV) (once)"
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo:  ## the whole story: refused, entered, updated, confirmed, reverted; no hardware
	@tools/environment runtime $(RUN) src
	@$(RUN)/bin/keyswitch demo
	$(took)

test: $(READY)  ## the tests, in virtual time
	@$(BIN)/pytest -q -n auto
	$(took)

test-peers: $(READY) dist  ## real servers and real clients, in environments of their own; our wheel beside smpmgr
	@tools/peers/setup
	@$(BIN)/pytest -q -n auto --peers -m peers
	@$(BIN)/pytest -q --install -m install --timeout=600 -k beside_smpmgr tests/install
	$(took)

test-campaign: $(READY)  ## whole campaigns, on both stores and over gateways, with devices over UDP; killed at named points
	@tools/apt-ensure postgresql gcc libc6-dev
	@$(BIN)/pytest -q -n auto --campaign -m campaign tests/campaign
	$(took)

test-console: $(READY)  ## the console in a real browser, on real devices over UDP; pictures into build/console
	@tools/console-tools
	@$(BIN)/pytest -q -n auto --console -m console tests/console
	$(took)

test-install: $(READY) dist  ## the built wheel in fresh environments: bare, with extras, lowest versions, beside smpmgr
	@tools/apt-ensure libcairo2
	@$(BIN)/pytest -q --install -m install --timeout=600
	$(took)

test-firmware: $(READY)  ## the C core of the firmware module against the Python gate, on every compiler and in the device; fuzzed; weighed
	@tools/firmware-tools
	@$(BIN)/python -m tests.firmware
	$(took)

bluez: $(READY)  ## our device as centrals on real Linux and BlueZ meet it; the first time it builds a small Linux
	@tools/bluez/test
	$(took)

powercut: $(READY)  ## cut the power at every flash operation, and at every one of the recovery
	@$(BIN)/python -m bench.powercut
	$(took)

deep: $(READY)  ## everything large, into docs/deep.md: a million frames, all cuts, thousands of mutants
	@tools/peers/setup
	@rm -f build/deep.json
	@$(BIN)/pytest -q -n auto --deep --timeout=7200
	@$(BIN)/pytest -q -n auto --deep --peers -m peers --timeout=1800
	@tools/apt-ensure postgresql gcc libc6-dev
	@$(BIN)/pytest -q -n auto --deep --campaign -m campaign --timeout=1800 tests/campaign
	@$(BIN)/python -m bench.campaign --deep
	@$(BIN)/python -m bench.powercut --keep
	@tools/firmware-tools
	@$(BIN)/python -m tests.firmware --deep
	@$(BIN)/python -m bench.deep
	$(took)

check: $(READY)  ## lint, types, layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy
	@$(BIN)/basedpyright --warnings
	$(took)

docs: .venv-docs/.ready  ## the documentation's site, into build/docs, every link checked
	@tools/docs-site .venv-docs/bin/zensical
	$(took)

.venv-docs/.ready: requirements/docs.txt
	@$(PYTHON) -m venv .venv-docs
	@echo "setting up .venv-docs (once)"
	@.venv-docs/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

bench: $(READY)  ## rates beside bounds and peers, into build/bench.json; takes half an hour
	@tools/peers/setup
	@tools/apt-ensure postgresql
	@$(BIN)/python -m bench
	$(took)

bench-quick: $(READY)  ## four cells of the comparison with the peers
	@tools/peers/setup
	@$(BIN)/python -m bench.peers --quick
	$(took)

man: $(READY)  ## the manual pages, from the commands' own help, into build/man
	@$(BIN)/python tools/man.py build/man
	$(took)

dist: man  ## the source archive, and the wheel that is built from it, into build/dist
	@tools/dist $(DIST)
	$(took)

format: $(READY)  ## let ruff lay out the code
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .
	$(took)

clean:  ## remove what was built; the virtual environments too
	rm -rf build .venv .venv-run .mypy_cache .ruff_cache .pytest_cache
