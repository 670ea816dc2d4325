# The README's two commands are `make demo` and `make test`. Everything happens in .venv, which is made here.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
MINUTES ?= 10
JOBS   ?= 2
PYTEST := $(BIN)/python -m pytest
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -c constraints.txt

.PHONY: demo up test lint bench chaos fuzz clean

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# A stamp for each set of extras: made again only when what is to be installed has changed.
$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "» installing MetaQore into $(VENV)"
	@$(PIP) -e '.[embedded,postgres,ml]'
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "» installing what the tests need"
	@$(PIP) -e '.[embedded,postgres,ml,test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "» installing what the benchmark compares with"
	@$(PIP) -e '.[embedded,postgres,ml,test,bench]'
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/metaqore demo $(ARGS)

up: $(VENV)/.run
	@$(BIN)/metaqore up $(ARGS)

lint: $(VENV)/.test
	@echo "» ruff"      && $(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo "» mypy"      && $(BIN)/mypy --no-error-summary
	@echo "» arrows"    && $(BIN)/lint-imports --no-logo > .lint-imports.log || (cat .lint-imports.log; exit 1)
	@rm -f .lint-imports.log

test: lint
ifeq ($(strip $(ARGS)),)
	@echo "» tests, $(JOBS) at a time" && $(PYTEST) -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not alone"
	@echo "» tests that measure how long something takes, alone" && $(PYTEST) -m alone
else
	@echo "» tests"     && $(PYTEST) $(ARGS)
endif

fuzz: $(VENV)/.test
	@$(BIN)/python -m tests.fuzz $(ARGS)

chaos: $(VENV)/.test
	@$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(ARGS)

bench: $(VENV)/.bench
	@$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache build dist \
	    *.egg-info demo-report.html
