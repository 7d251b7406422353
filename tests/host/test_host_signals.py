"""The signals that stop a command, each sent to the real program while it waits for a board that never says a word."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_S = 60.0  # a command that does not stop fails its test, and holds nothing up
RUN = "from edgewright.cli.main import run; run()"


@contextmanager
def trusting(port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """`edgewright fleet trust` of a board on this machine; killed after a while."""
    fleet = folder / "fleet.toml"
    fleet.write_text(f'[boards.silent]\naddress = "127.0.0.1"\nuser = "me"\nport = {port}\n')
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "fleet", "trust", "silent", "--fleet", fleet],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "EDGEWRIGHT_HOME": str(folder / "home")},
    )  # fmt: skip
    late = threading.Timer(LIMIT_S, process.kill)
    late.start()
    try:
        yield process
    finally:
        late.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_stops_a_command(tmp_path: Path, number: signal.Signals) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        trusting(silent.getsockname()[1], tmp_path) as process,
    ):
        silent.settimeout(LIMIT_S)
        assert process.stderr is not None
        with silent.accept()[0]:
            process.send_signal(number)
            begins = next((line for line in process.stderr if "stopping" in line), "")
            silent.close()
        ends = process.stderr.read()  # the board hung up, so nothing is left to wait for
        assert process.wait(LIMIT_S) == 8, begins + ends
    assert f"stopped by {'the user' if number == signal.SIGINT else number.name}" in ends
