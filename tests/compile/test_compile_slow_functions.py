"""Users' functions that do not end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgewright.compile.workers import user_function
from edgewright.compile.workers.user_function import LIMIT_VARIABLE, TooSlow
from edgewright.errors import DataError, UsageError

HANGS = "import time\n\ndef hang(*given):\n    while True:\n        time.sleep(0.01)\n"


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "0.3")


@pytest.mark.usefixtures("limited")
def test_a_call_that_hangs_is_named_and_the_next_one_works(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(HANGS + "\ndef fine(*given):\n    return sum(given)\n")
    hang, fine = (user_function.load(f"{tmp_path}/own.py:{name}") for name in ("hang", "fine"))
    with pytest.raises(TooSlow, match=r"^metric own.py:hang did not end within 0.3 s$") as raised:
        user_function.call("metric own.py:hang", hang, 1, hint="")
    assert LIMIT_VARIABLE in raised.value.hint
    assert user_function.call("metric own.py:fine", fine, 1, 2, hint="") == 3


@pytest.mark.usefixtures("limited")
def test_an_import_that_hangs(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(HANGS + "hang()\n")
    with pytest.raises(TooSlow, match=r"^import of .*own.py did not end within"):
        user_function.load(f"{tmp_path}/own.py:hang")


@pytest.mark.usefixtures("limited")
def test_a_generator_has_the_limit_for_each_sample() -> None:
    def samples(pause: float):
        for index in range(3):
            time.sleep(pause)
            yield index

    assert list(user_function.each("data.py:f", samples(0.2), hint="")) == [0, 1, 2]
    with pytest.raises(TooSlow, match=r"^data.py:f at sample 0 did not end"):
        list(user_function.each("data.py:f", samples(2), hint=""))


def test_calls_from_other_threads_are_in_one_thread_which_is_not_the_callers() -> None:
    seen: list[int] = []

    def from_another() -> None:
        seen.extend(user_function.call("f", threading.get_ident, hint="") for _ in range(2))
        seen.append(
            user_function.call("f", lambda: user_function.call("g", threading.get_ident, hint=""), hint="")
        )

    caller = threading.Thread(target=from_another)
    caller.start()
    caller.join()
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0] not in (threading.get_ident(), caller.ident)


def test_on_the_main_thread_a_function_may_set_a_signal_handler_and_ctrl_c_reaches_it() -> None:
    cleaned = []

    def own() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        finally:
            cleaned.append("finally")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            user_function.call("f", own, hint="")
    finally:
        signal.signal(signal.SIGINT, before)
    assert cleaned == ["finally"]


@pytest.mark.usefixtures("limited")
def test_an_alarm_that_a_function_swallows_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_function, "AGAIN_SECONDS", 0.1)

    def stubborn() -> None:
        for _ in range(2):
            with contextlib.suppress(BaseException):
                time.sleep(5)
        time.sleep(5)

    with pytest.raises(TooSlow):
        user_function.call("f", stubborn, hint="")


def test_what_it_raises_arrives() -> None:
    with pytest.raises(DataError, match="f failed: ValueError: no such row"):
        user_function.call("f", lambda: (_ for _ in ()).throw(ValueError("no such row")), hint="")
    with pytest.raises(DataError, match="f failed: SystemExit"):
        user_function.call("f", sys.exit, 3, hint="")


@pytest.mark.parametrize(("text", "seconds"), [("", 600.0), ("0", None), ("90", 90.0)])
def test_the_limit(text: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    assert user_function.limit() == seconds


@pytest.mark.parametrize("text", ["-1", "soon", "nan", "1e300"])
def test_a_limit_that_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(UsageError, match="is no number of seconds"):
        user_function.limit()


def test_a_command_ends_though_the_function_does_not(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("def samples():\n    while True:\n        pass\n    yield\n")
    code = (
        "from edgewright.compile.workers import user_function as u\n"
        "from edgewright.errors import DataError\n"
        "try:\n    list(u.each('data.py', u.load('data.py:samples')(), hint=''))\n"
        "except DataError as error:\n    print(error.message)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
        env={LIMIT_VARIABLE: "0.2", "PATH": "", "EDGEWRIGHT_HOME": str(tmp_path)},
    )  # fmt: skip
    assert ran.stdout == "data.py at sample 0 did not end within 0.2 s\n"
    assert ran.stderr == ""
