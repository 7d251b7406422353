"""The benchmarks' folder on the import path, as when one of its scripts runs."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def measuring(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("measuring")


@pytest.fixture
def run_script():
    """Runs a benchmark; its tables, as rows of cells without the ruler."""

    def run(name, *arguments):
        argv = [sys.executable, str(BENCHMARKS / name), *arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        rows = [line.strip("| \n").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
        return done.stdout, {row[0].strip(): row[1:] for row in rows if set(row[0]) != {"-"}}

    return run
