# Needs git, make and Python >= 3.11; everything else is installed into .venv from a lock with hashes.
PYTHON ?= python3
UV ?= uv
BIN := .venv/bin
STAMP := .venv/installed
CODE := gateway tests bench deploy
IN_ONE_PIECE := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.DEFAULT_GOAL := help
.PHONY: help install psi demo test lint types policies prove pytest clauses mutation bench stack bundle lock migration clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv and install everything from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

psi: install ## install private set intersection, where it has a wheel: Linux on x86-64, glibc 2.35, Python 3.13 at most
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-psi.lock

demo: install ## run the demo alliance: the main job from start to end
	$(BIN)/gateway demo

test: install ## check style, types, imports, policies and their proofs, and run every test
	@$(MAKE) --no-print-directory -j $(IN_ONE_PIECE) lint types policies prove
	@$(MAKE) --no-print-directory pytest

lint: install ## check style and which package imports which
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports

types: install ## check types
	$(BIN)/mypy --explicit-package-bases $(CODE)

policies: install ## find or build OPA, then check, format-check and test the policies
	$(BIN)/python -m tests.services.opa check

prove: install ## prove the policy's invariants for all inputs (z3); a counter-example is printed as a test
	$(BIN)/python -m tests.policy.smt

pytest: install
	@$(MAKE) --no-print-directory psi || echo "No private set intersection on this machine: its tests are skipped."
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

clauses: install ## run the tests of each clause of the rulebook; prints clause, test, result
	$(BIN)/python -m tests.clauses

mutation: install ## take away one check after the other: its attack must succeed each time
	$(BIN)/python -m tests.mutation

bench: install ## measure beside FastAPI hello and npm oidc-provider; prints ratios
	$(BIN)/python -m bench

stack: install ## run the production set as local processes until Ctrl-C
	$(BIN)/python -m deploy.stack

bundle: install ## write the policies as an OPA bundle to var/opa, for docker-compose.yml
	$(BIN)/python -m tests.services.opa bundle var/opa/bundle.tar.gz

lock: ## resolve the dependencies anew (needs uv)
	$(UV) pip compile pyproject.toml --extra build --extra demo --extra dev --extra pdf $(LOCK_OPTIONS) --output-file requirements.lock
	$(UV) pip compile pyproject.toml --extra build $(LOCK_OPTIONS) --constraint requirements.lock \
	  --output-file deploy/requirements.lock
	echo openmined-psi | $(UV) pip compile - $(LOCK_OPTIONS) --only-binary :all: --output-file requirements-psi.lock

LOCK_OPTIONS = --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate

migration: install ## draft a migration from the tables: make migration MESSAGE="what changes"
	$(BIN)/python -m gateway.migrations "$(MESSAGE)"

clean: ## remove whatever is not in git, except .tools
	rm -rf .venv build var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
