# Each target sets up .venv by itself; the second time that takes no time.
.PHONY: demo test test-slow test-all coverage check docs reliability bench format clean
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := .venv/bin
READY := .venv/ready

demo: $(READY)
	$(BIN)/edgewright demo

# Three at once on two cores: tests with boards mostly wait. A file stays with one worker, for its boards and models.
tests = $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test: $(READY)
	$(tests) -m "not slow and not exhaustive" $(PYTEST)

test-slow: $(READY)
	$(tests) -m "slow and not exhaustive" $(PYTEST)

# What CI runs, and every case of what it samples: hours.
test-all: $(READY)
	$(tests) $(PYTEST)

coverage: $(READY)
	$(tests) -m "not slow and not exhaustive" --cov --cov-report=term:skip-covered --cov-report=html $(PYTEST)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --no-tips --quiet --violations -t=3.6- agent targets/edgewright_targets/*/runner.py targets/edgewright_targets/__init__.py
	$(BIN)/python docs/generate.py --check

docs: $(READY)
	$(BIN)/python docs/generate.py

# All of the faults, slow ones too, and the page that counts them.
reliability: $(READY)
	rm -f .pytest_cache/faults.jsonl
	$(BIN)/python -m pytest tests/reliability tests/faults $(PYTEST)
	$(BIN)/python tests/reliability/report.py

bench: $(READY)
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer' >&2; echo 'hint: install one, or make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[all,dev]'
	@touch $(READY)
