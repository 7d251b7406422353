"""Reading /proc while other programs, with any names, come and go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgewright.lab import processes

ODD_NAME = "open('/proc/self/comm', 'wb').write(b'\\xff) Z (\\xc3'); print(flush=True); input()"


def test_a_process_whose_name_is_no_text_is_one_like_any_other() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ODD_NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert b"\xff" in Path(f"/proc/{child.pid}/comm").read_bytes()
        assert child.pid in processes.table()
        assert processes.started(child.pid)
        assert processes.arguments(child.pid).startswith(sys.executable.encode())
        child.communicate(b"\n")
    assert processes.started(child.pid) == ""
    assert processes.arguments(child.pid) == b""
