# What a user types; each target installs what it needs into .venv first.

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
# DVC runs the stages with the first python in PATH.
RUN := PATH="$(BIN):$$PATH"

.PHONY: demo demo-small test lint install

# From nothing to the metrics table, on synthesized clips.
demo: install
	$(RUN) dvc repro
	@cat reports/table.md

# The same in two minutes: every stage runs, nothing is learnt.
SMALL := n_weak=8 n_unlabeled=4 n_validation=4 n_test=4
demo-small: install
	$(RUN) dvc exp run $(SMALL:%=-S profiles/demo.yaml:dataset.%) -S profiles/demo.yaml:train.steps=2
	@cat reports/table.md

# In two processes of one core each; tests/conftest.py says which tests stay together.
test: install
	OMP_NUM_THREADS=1 $(RUN) python -m pytest -n 2

lint: install
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

install: .venv/installed

# Every package is held against its SHA-256, also those that build what comes as source: hence no
# environment of its own for a build, into which pip would fetch what nobody has pinned.
.venv/installed: pyproject.toml requirements-build.txt requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("avsed needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --only-binary :all: --requirement requirements-build.txt
	$(BIN)/pip install --quiet --require-hashes --no-build-isolation --use-pep517 --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
