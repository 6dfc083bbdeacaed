# Gatewright. `make` or `make help` lists what there is.

PORT ?= 3000
DATA ?= data
VENV ?= .venv
PYTHON ?= python3
PIP_OPTIONS ?=
UV ?= $(BIN)/uv

BIN := $(VENV)/bin
LOCK := pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: faults soak vocabularies help run test nightly lint format docs bench table agents lock wheel clean install install-dev

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# exported by make, so that no shell takes a path with blanks apart
run: export PORT := $(PORT)
run: export GATEWRIGHT_DATA := $(DATA)
run: install  ## Start the gateway and a demo upstream (PORT=3000 DATA=data)
	@exec $(BIN)/gatewright serve --demo

# The environment is made anew only when the lock, the project file or the Python changed.
install:
	@. ./deploy/install.sh && gatewright_install "$(PYTHON)" "$(VENV)" requirements.lock $(PIP_OPTIONS)

install-dev:
	@. ./deploy/install.sh && gatewright_install "$(PYTHON)" "$(VENV)" requirements-dev.lock $(PIP_OPTIONS)

test: install-dev  ## Run the tests
	$(BIN)/python -m pytest -n auto --dist loadgroup

nightly: install-dev  ## Run the long tests: every recorded stream, byte by byte; 40,000 spoilt messages; streams over changes; silent databases
	GATEWRIGHT_NIGHTLY=1 $(BIN)/python -m pytest -n auto --dist loadgroup tests/formats tests/relay/test_bad_input.py tests/fuzz \
		tests/server/test_reload.py tests/ledger/test_hang.py

table: install-dev  ## Print format x feature x pass over all recordings
	$(BIN)/python -m pytest -s tests/formats/test_table.py

lint: install-dev  ## Check style, types, specs, and that pages are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m engine.settings --check
	$(BIN)/python -m engine.compiler.reference --check
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

bench: install-dev  ## Measure speed
	@for each in tests/bench/bench_*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done
	@if command -v valgrind >/dev/null; then echo "== instructions"; $(BIN)/python tests/bench/count.py; fi

agents: install-dev  ## Run real agents through the gateway (AGENTS='--agent claude'; needs node and npm)
	$(BIN)/python -m tests.agents.run $(AGENTS)

vocabularies: install-dev  ## Fetch what counts tokens exactly, if installing could not; without it counts are estimates
	$(BIN)/python deploy/vocabularies.py

soak: install-dev  ## Kill workers, master and database servers during 10,000 calls, and prove the books (COUNT=10000)
	$(BIN)/python -m tests.soak.soak --count $(or $(COUNT),10000)

faults: install-dev  ## Print the table of 48 upstream faults x channels x clients x upstreams, charges checked (a few minutes)
	$(BIN)/python -m tests.faults

lock:  ## Make the lock files anew (needs uv: UV=path)
	$(UV) $(LOCK) pyproject.toml deploy/build.in -o requirements.lock
	$(UV) $(LOCK) pyproject.toml deploy/build.in --extra dev -c requirements.lock -o requirements-dev.lock

wheel: vocabularies  ## Build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

clean:  ## Remove the environment and what was built; data stays
	rm -rf $(VENV) dist build engine/vocabularies .mypy_cache .ruff_cache .pytest_cache
