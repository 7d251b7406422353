# Each target sets up .venv if necessary, so the second run starts at once.
.PHONY: demo test test-slow test-all coverage check docs reliability bench format clean need system
SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/ready

demo: need $(READY)
	$(BIN)/edgewright demo

# Four at once on two cores: tests with boards mostly wait. A file stays with one worker, for its boards and models.
tests = $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

test: system $(READY)
	$(tests) -m "not slow and not exhaustive" $(PYTEST)

test-slow: system $(READY)
	$(tests) -m "slow and not exhaustive" $(PYTEST)

# Runs what CI runs, plus every case of what CI samples: takes hours.
test-all: system $(READY)
	$(tests) $(PYTEST)

coverage: system $(READY)
	$(tests) -m "not slow and not exhaustive" --cov --cov-report=term:skip-covered --cov-report=html $(PYTEST)

# Installs what this machine lacks if that is allowed; otherwise a line says what to type.
need:
	@tools/system need

system:
	@tools/system test

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/api/typed_program.py
	$(BIN)/lint-imports
	$(BIN)/vermin --no-tips --quiet --violations -t=3.6- --exclude-regex '\.pyi$$' agent targets/edgewright_targets/*/runner.py targets/edgewright_targets/tvm/native.py targets/edgewright_targets/_cuda targets/edgewright_targets/_x86 targets/edgewright_targets/__init__.py
	$(BIN)/python docs/generate.py --check
	$(BIN)/python tools/prose.py

docs: $(READY)
	$(BIN)/python docs/generate.py

# A round of random kills mostly waits, so five parts of them at once.
KILLS := tests/reliability/test_reliability_kills.py

# Runs all fault tests, including slow ones, and writes the page that counts them.
reliability: $(READY)
	rm -f .pytest_cache/faults.jsonl
	EDGEWRIGHT_KILLS=$${EDGEWRIGHT_KILLS:-500} $(BIN)/python -m pytest -n 5 --dist load $(KILLS) $(PYTEST)
	$(tests) tests/reliability tests/faults --ignore $(KILLS) $(PYTEST)
	$(BIN)/python tests/reliability/report.py

bench: $(READY)
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(READY): pyproject.toml constraints.txt
	@test -n "$${PYTHON-}" || tools/system python
	"$${PYTHON:-$$(tools/python)}" -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[all,dev]'
	@touch $(READY)
