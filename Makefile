# make run     make the environment, run the four notebooks, say where the report is; MODEL=smollm2 takes that model
# make test    make the environment, run the checks and tests
# make lab     open the notebooks in JupyterLab
# make app     open the mask explorer of the run as a page
# make docs    the documentation as a site in build/docs, with the lessons of the run where there is one

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MODEL ?= reader
RUN_DIR ?= runs/$(if $(filter reader,$(MODEL)),demo,$(notdir $(MODEL:/=)))

# 3.11 is what the pinned versions were tested with; a newer one is taken where there is no other
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: install run test lab app docs

install: $(STAMP)

# pip compiles one file after another while a core waits: it is done on all of them, torch's while the rest is fetched,
# and without the packages' own tests
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib

# torch first: on a machine with another package index for it, the rest then keeps that build
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed; give it as PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-compile --constraint constraints.txt torch
	$(COMPILE) & $(BIN)/python -m pip install --no-compile --constraint constraints.txt --editable '.[test]' && wait
	$(COMPILE) || true  # templates among them are no Python
	@touch $@

run: install
	$(BIN)/workbench run --run-dir "$(RUN_DIR)" $(if $(filter-out reader,$(MODEL)),--model "$(MODEL)")

test: install
	$(BIN)/python -m pytest

lab: install
	$(BIN)/python -m jupyterlab --notebook-dir notebooks

app: install
	$(BIN)/workbench app --run-dir "$(RUN_DIR)"

docs: install
	@$(BIN)/python -c 'import material, mkdocstrings' 2>/dev/null || \
		$(BIN)/python -m pip install --constraint constraints.txt --editable '.[docs]'
	WORKBENCH_DOCS_RUN="$(RUN_DIR)" $(BIN)/python -m mkdocs build --strict
	@echo "the site is build/docs/index.html"
