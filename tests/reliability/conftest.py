"""The crash tests' own modules are found beside this file, by the tests and by the drivers that they start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@pytest.fixture
def drive():
    """Runs a driver to its end. Returns {kind: count}; an AssertionError tells what did not survive."""

    def run(script: str, *arguments: object) -> dict[str, int]:
        command = [sys.executable, str(HERE / script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=800)
        assert done.returncode == 0, done.stderr[-4000:]
        result = json.loads(done.stdout)
        assert result["wrong"] == [], done.stderr[-4000:]
        return result["kinds"]

    return run
