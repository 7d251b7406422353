"""Property 1 of the board: after a crash anywhere, `current` is old or new and whole, and a following
deploy works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("crash_driver.py")
CASES = [  # operation, how it goes wrong, every which change
    ("install", "stop", 1),
    ("activate", "stop", 1),
    ("commit", "stop", 1),
    ("revert", "stop", 1),
    ("rollback", "stop", 1),
    ("recovery", "stop", 1),
    ("prune", "stop", 3),
    ("part", "stop", 1),
    ("group", "stop", 2),
    ("install", "lose", 2),
    ("commit", "lose", 1),
    ("rollback", "lose", 1),
    ("recovery", "lose", 2),
    ("prune", "lose", 5),
    ("install", "fail", 2),
    ("activate", "fail", 1),
    ("revert", "fail", 1),
    ("group", "fail", 3),
    ("prune", "fail", 7),
]


@pytest.mark.parametrize(("operation", "mode", "stride"), CASES)
def test_any_change_may_be_the_last_one(operation, mode, stride, tmp_path):
    command = [sys.executable, str(DRIVER), operation, mode, str(tmp_path), str(stride)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["wrong"] == [], done.stderr
    assert result["steps"] > 10
