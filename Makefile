# Whyledger: one word for each thing. Every target sets up what it needs in .venv, and may be
# repeated without harm. A fresh machine needs Python 3.11 or 3.12 with its headers, a C compiler
# (durable-rules has no wheel) and a package registry that pip can reach. PYTHON=python3.12 names
# the Python, and whatever the word is then happens in an environment of that version's own.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
VENV := .venv$(if $(PYTHON),-$(or $(shell $(PYTHON) -c \
  'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null),$(error PYTHON=$(PYTHON) does not \
  run here. Install it, or name the Python 3.11 or 3.12 that you have)))
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKS := requirements/build.txt requirements/dev.txt
ARGS ?=
WORKERS ?= 2

.PHONY: help demo serve test coverage soak check lint types imports bench simulate policies lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## twenty years of US cars through the running service (ARGS=--no-serve to end it)
	@$(BIN)/whyledger demo $(ARGS)

serve: $(READY) ## start the service on loopback (ARGS="--port 8080")
	@$(BIN)/whyledger serve $(ARGS)

test: $(READY) ## every test and doctest, in any order (ARGS="-k drift", WORKERS=1)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --durations=10 $(ARGS)

soak: $(READY) ## kill -9, full and slow disks, stopped databases: the long form (ARGS="-k kill")
	$(BIN)/python -m pytest tests/soak --soak --capture=no $(ARGS)

# What decides has no line and no branch that its own tests leave out.
coverage: $(READY) ## every line and branch of domain/ and rules/, by their own tests
	$(BIN)/python -m pytest tests/domain tests/rules domain rules --quiet \
	  --cov=domain --cov=rules --cov-fail-under=100

check: $(READY) ## format, lint, types, import contracts, coverage, tests
	$(MAKE) --jobs $(WORKERS) lint types imports coverage
	$(MAKE) test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

bench: $(READY) ## measure this machine and what runs on it (ARGS=canonical_bytes for one)
	$(BIN)/python -m benchmarks $(ARGS)

simulate: $(READY) ## how often each policy retrains falsely, and how soon rightly (ARGS=short)
	$(BIN)/python -m benchmarks.simulations $(ARGS)

DEMO ?= $(lastword $(sort $(wildcard state/demo-*)))

policies: $(READY) ## each policy over the newest demo's years, into docs/policies.md (DEMO=state/demo-…)
	@test -n "$(DEMO)" || { echo "no state/demo-* is here: make demo first, or name one with DEMO=" >&2; exit 1; }
	@WHYLEDGER_STATE_DIR=$(DEMO) $(BIN)/whyledger whatif --policy all --into docs/policies.md $(ARGS)

COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --exclude-newer "7 days"

lock: $(READY) ## pin everything anew, by hash, from what is at least a week old
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/runtime.in -o requirements/runtime.txt
	$(COMPILE) -c requirements/build.txt -c requirements/runtime.txt \
	  requirements/dev.in -o requirements/dev.txt

clean: ## remove the environment and every cache; the ledger in state/ stays
	rm -rf .venv .venv-3.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

# The environment is right when it is newer than the locks it was made from.
$(READY): $(LOCKS) requirements/runtime.in pyproject.toml requirements/install.sh
	@requirements/install.sh $(VENV)
	@touch $@
