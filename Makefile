# make demo    train a reader of captchas and look at what it reads
# make test    lint, tests, examples
#
# Each sets up what it needs in .venv, once. Python 3.11 or newer: `make demo PYTHON=python3.12` picks one by name.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint bench bench-operators matrix clean

help:
	@echo "make demo    train a reader of captchas and look at what it reads"
	@echo "make test    lint, tests, examples"
	@echo "make lint    ruff and pyright"
	@echo "make bench   speed against PyTorch, ONNX Runtime, OpenVINO and ncnn, two threads each"
	@echo "make bench-operators  speed of single layers against PyTorch"
	@echo "make matrix  write docs/operators.md again"
	@echo "make clean   take away .venv and what was made"

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/04_read_captchas.py

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: $(VENV)/bench.stamp
	$(BIN)/python benchmarks/run.py --save docs/benchmarks

bench-operators: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks.operators.run --save docs/operators_speed.md

matrix: $(VENV)/test.stamp
	$(BIN)/python tools/matrix.py

clean:
	rm -rf $(VENV) out build .pytest_cache .ruff_cache

$(VENV)/demo.stamp: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable '.[captcha,plot]'
	@touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@

$(VENV)/bench.stamp: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --editable '.[bench]'
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "striate needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
