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
AUDIT := $(VENV)-audit
READY := $(VENV)/.ready
LOCKS := requirements/build.txt requirements/dev.txt
ARGS ?=
WORKERS ?= 2

# Tests start hundreds of processes; where the environment keeps Python from writing what it compiles,
# each of them compiles all of this anew, which is a fifth of its start.
test coverage soak: export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo serve test coverage soak check lint types imports bench simulate policies lock \
  audit sbom clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## twenty years of US cars through the running service (ARGS=--no-serve to end it)
	@$(BIN)/whyledger demo $(ARGS)

serve: $(READY) ## start the service on loopback (ARGS="--port 8080")
	@$(BIN)/whyledger serve $(ARGS)

test: $(READY) ## every test and doctest, in any order (ARGS="-k drift", WORKERS=1)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile \
	  --no-loadscope-reorder --durations=10 $(ARGS)

KILLS ?=
HOURS ?=
INTO ?=

SOAK = $(BIN)/python -m pytest --soak $(if $(KILLS),--kills=$(KILLS)) \
  $(if $(HOURS),--hours=$(HOURS)) $(if $(INTO),--into=$(INTO))

# What measures and what kills has the machine for itself, then many cases go beside each other. Both
# are run, whatever came of the first; ARGS may choose from one of them alone (pytest: 5, no test).
soak: $(READY) ## kill -9, full and slow disks, stopped databases: the long form (ARGS="-k every_part" KILLS=1000, HOURS=8, WORKERS=4)
	@$(SOAK) tests/soak $(addprefix --ignore=,$(TRAINS)) --capture=no $(ARGS); alone=$$?; test $$alone -ne 2 || exit 2; \
	$(SOAK) $(CASES) --numprocesses $(WORKERS) --dist worksteal --durations=10 $(ARGS); beside=$$?; \
	if test $$alone -eq 5; then exit $$beside; fi; \
	if test $$beside -eq 5; then exit $$alone; fi; exit $$(( alone > beside ? alone : beside ))

# What else has a long form: forgeries, permissions, clocks, erasures that are killed, requests, wrong
# values, lines of rows.
TRAINS := tests/soak/test_policies_compared.py tests/soak/test_reigns_of_the_demo.py \
  tests/app/cycle/test_run_story.py tests/long
CASES := $(TRAINS) tests/app/proof/verify/test_random_forgeries.py \
  tests/app/proof/test_mutated_bundles.py tests/app/test_permissions.py tests/app/test_clock.py \
  tests/app/cycle/test_clock_jumps.py tests/app/intake/test_erasure_killed.py \
  tests/app/http/routes/test_openapi_generated.py tests/app/http/routes/test_hostile_bodies.py \
  tests/app/http/routes/test_wrong_values_everywhere.py \
  tests/app/training/test_registry_full_or_locked.py tests/domain/blocks/test_lines.py

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

bench: $(READY) ## measure this machine and what runs on it (ARGS=canonical_bytes for one, ARGS="growth --sizes 10k")
	$(BIN)/python -m benchmarks $(ARGS)

simulate: $(READY) ## everything that is simulated, against what it must come to (ARGS=short)
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
	$(COMPILE) requirements/audit.in -o requirements/audit.txt

audit: $(AUDIT)/.ready ## known vulnerabilities of everything that is pinned, where OSV can be asked
	@requirements/audit.sh $(AUDIT)/bin/pip-audit

# Names, versions and hashes from the lock; licences from what is installed; the whole then checked.
sbom: $(READY) $(AUDIT)/.ready ## what is shipped, as CycloneDX: build/sbom.json
	@mkdir -p build
	@PYTHONWARNINGS=ignore $(AUDIT)/bin/cyclonedx-py requirements requirements/runtime.txt \
	  --pyproject pyproject.toml --spec-version 1.6 --output-reproducible --output-file build/pinned.json
	@$(BIN)/python -m requirements.bill < build/pinned.json > build/sbom.json
	@$(AUDIT)/bin/python -c 'import sys; from pathlib import Path; \
	  from cyclonedx.schema import SchemaVersion; \
	  from cyclonedx.validation.json import JsonStrictValidator; \
	  bill = Path("build/sbom.json").read_text(encoding="utf-8"); \
	  sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill))'
	@rm build/pinned.json && echo "whyledger: build/sbom.json"

clean: ## remove the environment and every cache; the ledger in state/ stays
	rm -rf .venv .venv-3.* .venv-audit .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

# The environment is right when it is newer than the locks it was made from.
$(READY): $(LOCKS) requirements/runtime.in pyproject.toml requirements/install.sh
	@requirements/install.sh $(VENV)
	@touch $@

# Nothing of it is shipped or tested with, so it stands apart from what is.
$(AUDIT)/.ready: requirements/audit.txt $(READY)
	@$(BIN)/python -m venv --clear $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/audit.txt
	@touch $@
