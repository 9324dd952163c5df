# The two commands of the README. Both work in a fresh clone with only python3 (3.10-3.13) and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
# Kept out of a demo and out of tests: what the person at the keyboard has set for their own stack.
CLEAN := env -u CNNCTL_DATABASE_URL -u CNNCTL_BROKER_URL -u CNNCTL_RUNS_DIR -u CNNCTL_HOST
DEMO := $(CLEAN) CNNCTL_HOME=$(CURDIR)/.demo CNNCTL_GPUS=sim:2 $(BIN)/cnnctl

.PHONY: install demo test lint unit bench chaos long crowd clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv (about 1 GB with TensorFlow; a few minutes on a slow line) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

demo: $(INSTALLED)  ## train LeNet-5 on handwritten digits, on two simulated GPUs, and show it
	@$(DEMO) run lenet5 --dataset digits --gpus 2 --init orthogonal --dropout spatial:0.2 --l1 0 --l2 1e-4 \
		--epochs 15 --seed 0
	@$(DEMO) metrics $$($(DEMO) status --json | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)[0]["job"])')
	@$(DEMO) status

test: lint unit  ## everything that must hold: style, types, import rules, all tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(INSTALLED)
	$(CLEAN) $(BIN)/python -m pytest -n 2 --dist loadgroup

bench: $(INSTALLED)  ## print one line a figure, `name ratio unit`, each measured side by side in one run
	@$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.benchmarks

N ?= 200
chaos: $(INSTALLED)  ## N random faults against a live stack, first with files, then with servers; SEED=… repeats
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.chaos --faults $(N) $(if $(SEED),--seed $(SEED))
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.chaos --faults $(N) $(if $(SEED),--seed $(SEED)) --servers

long: $(INSTALLED)  ## the longest tests, which make test leaves out
	$(CLEAN) $(BIN)/python -m pytest -m "long or property" --hypothesis-profile long

crowd: $(INSTALLED)  ## N jobs of five people of different weights on 4 simulated GPUs: who had how much of them
	$(CLEAN) TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m tests.crowd --jobs $(N) $(if $(SEED),--seed $(SEED))

clean:
	rm -rf .venv .demo
