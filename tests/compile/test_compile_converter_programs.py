"""Converters that are programs: what they print and how they end, as stages see it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from edgewright.compile.workers import converter_program
from edgewright.errors import ConversionError
from edgewright.sdk.programs import run_converter

SAYS = "import os, sys; print(os.getcwd(), flush=True); print('wrong', file=sys.stderr); sys.exit(3)"


@pytest.mark.parametrize("separate", [False, True])
def test_what_it_prints_and_its_status(tmp_path: Path, separate: bool) -> None:
    done = run_converter("it", [sys.executable, "-c", SAYS], tmp_path, separate_stderr=separate)
    assert done.returncode == 3
    said = (done.stdout, done.stderr)
    assert said == ((f"{tmp_path}\n", "wrong\n") if separate else (f"{tmp_path}\nwrong\n", None))


def test_it_runs_where_the_worker_does_and_has_no_stdin() -> None:
    program = "import os, sys; print(os.getcwd(), repr(sys.stdin.read()))"
    assert run_converter("it", [sys.executable, "-c", program]).stdout == f"{Path.cwd()} ''\n"


def test_a_crash_ends_only_the_converter() -> None:
    done = run_converter("it", [sys.executable, "-c", "import os; os.abort()"])
    assert done.returncode == -signal.SIGABRT


def test_one_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter_program, "SECONDS", 0.2)
    with pytest.raises(ConversionError, match="it did not finish within") as caught:
        run_converter("it", ["sleep", "30"])
    assert caught.value.code == "worker-timeout" and caught.value.hint
