# Touchstone's commands. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup up demo test test-faults lint format protos landed bench lock clean

# The system's Python first, if it will do: distributions build it with profile-guided optimization. Services on one that
# was built without, as pyenv does unless told otherwise, take a tenth to a quarter more of the processors.
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
LANES ?= 2
READY := $(VENV)/.ready
PROTOS := $(shell find protos/touchstone -name '*.proto')
GENERATED := protos/gen/.ready

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r deploy/local/bootstrap.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	mkdir -p protos/gen
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

$(GENERATED): $(READY) $(PROTOS)
	$(BIN)/python -m deploy.local.protos
	touch $@

setup: $(GENERATED)  ## the virtual environment and the generated code

protos: $(READY)  ## generate the code of the contracts
	$(BIN)/python -m deploy.local.protos
	touch $(GENERATED)

landed: $(GENERATED)  ## at a release: take the contracts as they are for those that `make lint` lets nobody break
	$(BIN)/buf build protos --exclude-source-info -o protos/landed.binpb

up: setup  ## start everything, until Ctrl-C
	@exec $(BIN)/python -m deploy.local

demo: setup  ## play a small shop's week into the running system
	@$(BIN)/touchstone demo

test: setup  ## run the tests, in two lanes; LANES=1 runs one after another
	$(BIN)/pytest -m "not faults" -n $(LANES)
	$(BIN)/pytest tests/faults -m faults -n $(LANES)

test-faults: setup  ## only those that kill processes
	$(BIN)/pytest tests/faults -m faults -n $(LANES)

lint: setup  ## every check that runs nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf breaking protos --against protos/landed.binpb --exclude-imports

format: setup  ## put everything in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format --write protos

bench: setup  ## measure, beside the reference; ONLY=webhook_accept runs one
	$(BIN)/python -m tests.bench $(ONLY)

lock:  ## choose the newest versions that fit, and write them down with their hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --all-extras --output-file requirements.lock pyproject.toml deploy/local/build.in
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --output-file deploy/local/bootstrap.lock deploy/local/bootstrap.in

clean:  ## forget what was made, but not the data
	rm -rf $(VENV) build protos/gen
