"""A signal that comes where Python drops exceptions is not lost."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time
from edgewright.cli import signals

signals.watch()

class Held:
    def __del__(self):
        os.kill(os.getpid(), signal.{0})
        for _ in range(1000):  # the handler runs in here
            pass

try:
    Held()
    time.sleep(20)
except KeyboardInterrupt as error:
    sys.exit("stopped by " + str(error))
"""


@pytest.mark.parametrize(("name", "who"), [("SIGTERM", "SIGTERM"), ("SIGINT", "the user")])
def test_a_signal_in_a_finaliser_stops_the_command(name: str, who: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(name)], capture_output=True, text=True, timeout=15
    )
    assert (done.returncode, done.stderr.strip()) == (1, f"stopped by {who}")
