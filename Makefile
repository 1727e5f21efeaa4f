# What a user types; each target installs what it needs into .venv first.

PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
# DVC runs the stages with the first python in PATH.
RUN := PATH="$(BIN):$$PATH"

.PHONY: demo demo-small test lint docs findings install

# From nothing to the metrics table, on synthesized clips.
demo: install
	$(RUN) dvc repro
	@cat reports/table.md

# Every stage in a few minutes, with the paper's networks and random weights: nothing is learnt.
SMALL := dataset.n_weak=8 dataset.n_unlabeled=4 dataset.n_validation=4 dataset.n_test=4 \
	dataset.n_strong=4 train.steps=2 auditory.network=vggish auditory.weights=random visual.network=vgg16 \
	visual.weights=random visual.resize_size=64 visual.crop_size=64
demo-small: install
	$(RUN) dvc exp run $(SMALL:%=-S profiles/demo.yaml:%)
	@cat reports/table.md

# In two processes of one core each; tests/conftest.py says which tests stay together.
test: install
	OMP_NUM_THREADS=1 $(RUN) python -m pytest -n 2

lint: install
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

# The pages of docs/ as a site, in the folder site. A link to nowhere is an error.
docs: .venv/docs/installed
	NO_MKDOCS_2_WARNING=1 .venv/docs/bin/mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml

.venv/docs/installed: docs/site/requirements.txt
	$(PYTHON) -m venv .venv/docs
	.venv/docs/bin/pip install --quiet --require-hashes --only-binary :all: --requirement $<
	@touch $@

# What libraries do otherwise than one would guess; not part of the tests.
findings:
	@for script in findings/*.sh; do echo $$script; bash $$script || exit 1; done

install: .venv/installed

# Every package is verified against its SHA-256. No compiler is needed: three packages in pure Python
# are distributed as source only, and all others must come as wheels. setuptools, which builds these
# three, comes first, because pip would fetch it without verification in an isolated build.
SOURCES := antlr4-python3-runtime,dcase-util,sed-eval
.venv/installed: pyproject.toml requirements-build.txt requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("avsed needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --only-binary :all: --requirement requirements-build.txt
	$(BIN)/pip install --quiet --require-hashes --only-binary :all: --no-binary $(SOURCES) --no-build-isolation --use-pep517 --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
