# Works in a fresh clone with only python3 (3.10-3.13) and make, whatever the folder is called. See: make help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
# uv trusts only a list of its own; a lab's own authority stands among the system's.
export UV_SYSTEM_CERTS ?= 1
# Kept out of a demo and out of tests: what the person at the keyboard has set for their own stack.
CLEAN := env -u PYTHONDONTWRITEBYTECODE -u CNNCTL_DATABASE_URL -u CNNCTL_BROKER_URL -u CNNCTL_RUNS_DIR -u CNNCTL_HOST
DEMO := $(CLEAN) CNNCTL_HOME="$$PWD/.demo" CNNCTL_GPUS=sim:2 $(BIN)/cnnctl
PYTEST := $(CLEAN) $(BIN)/python -m pytest

.PHONY: help install demo test lint unit fast long pythons bench chaos crowd pages studies hooks lock clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED)  ## install the locked versions into .venv; all others do so where they must

$(INSTALLED): pyproject.toml requirements.lock .ci/install
	$(PYTHON) -m venv $(VENV)
	.ci/install $(VENV)
	touch $@

demo: $(INSTALLED)  ## train LeNet-5 on handwritten digits, on two simulated GPUs, and show it
	@$(DEMO) run lenet5 --dataset digits --gpus 2 --init orthogonal --dropout spatial:0.2 --l1 0 --l2 1e-4 \
		--epochs 15 --seed 0
	@$(DEMO) metrics $$($(DEMO) status --json | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)[0]["job"])')
	@$(DEMO) status

test: lint unit  ## everything that must hold: style, types, import rules, all tests

lint: $(INSTALLED)  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

TESTS ?=
unit: $(INSTALLED)  ## all tests, or some: TESTS=tests/unit/test_spec.py
	$(PYTEST) -n 2 --dist loadgroup $(TESTS)

fast: $(INSTALLED)  ## unit tests, and tests of what changed since origin/main
	changed=$$($(BIN)/python -m tests.changed) && $(PYTEST) -n 2 --dist loadgroup tests/unit $$changed

long: $(INSTALLED)  ## the longest tests, which make test leaves out
	EVERY_EXAMPLE=1 $(PYTEST) -n 2 --dist loadgroup -m "long or property"

pythons:  ## try each Python of 3.10-3.13 that is installed, in a venv of its own; TESTS=tests for all tests
	TESTS="$(TESTS)" .ci/pythons

bench: $(INSTALLED)  ## print one line a figure, `name ratio unit`, each measured side by side in one run
	@$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.benchmarks

N ?= 200
chaos: $(INSTALLED)  ## N random faults against a live stack, first with files, then with servers; SEED=… repeats
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.chaos --faults $(N) $(if $(SEED),--seed $(SEED))
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.chaos --faults $(N) $(if $(SEED),--seed $(SEED)) --servers

crowd: $(INSTALLED)  ## N jobs of five people of different weights on 4 simulated GPUs: who had how much of them
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.crowd --jobs $(N) $(if $(SEED),--seed $(SEED))

pages: $(INSTALLED)  ## take the pictures of the README from a real run, into docs/pictures
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.pictures

studies: $(INSTALLED)  ## run the studies of the catalog that are not complete, and write docs/studies; STUDIES="lrn dropout" DATASETS=/folder
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m docs.make_studies $(STUDIES) $(if $(DATASETS),--datasets $(DATASETS))

hooks: $(INSTALLED)  ## run make lint before each commit
	$(BIN)/pre-commit install

COMPILE := pip compile --quiet --universal --generate-hashes --python-version 3.10 --no-header --no-annotate pyproject.toml
lock: $(INSTALLED)  ## add what pyproject.toml asks for to the locked versions, and keep all others
	$(BIN)/uv $(COMPILE) --extra cpu --extra dev -o requirements.lock
	$(BIN)/uv $(COMPILE) --extra api --extra cpu --extra postgres --extra redis -o requirements-cpu.lock
	$(BIN)/uv $(COMPILE) --extra api --extra gpu --extra postgres --extra redis -o requirements-gpu.lock

clean:  ## remove what was installed and the demo's data
	rm -rf .venv .venv-* .demo
