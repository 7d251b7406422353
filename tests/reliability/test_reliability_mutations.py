"""With a safeguard switched off, the tests fail."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutations.py")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_each_safeguards_loss_is_noticed(survived):
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.split(" | ")[0].strip("| ") for line in done.stdout.splitlines() if " | yes | " in line]
    assert len(found) > 15
    for name in found:
        survived("Safeguards switched off: " + name)
