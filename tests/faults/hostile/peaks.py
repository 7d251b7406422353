"""Runs commands against a lying board in one process, and reports how much more memory each took than was in use before it.

Usage: python peaks.py LIAR.JSON < STEPS; a step is `[plan, arguments]`, a line of JSON. Prints a line of JSON per step.
"""

import contextlib
import ctypes
import gc
import io
import json
import re
import sys
import time
from pathlib import Path

from edgewright.cli.main import main
from edgewright.wire import commands

commands.Status.limit_s = 1.5  # as good as thirty


def status(name):
    """A figure of /proc/self/status, MiB."""
    return int(re.search(name + r":\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def run(arguments):
    """The result of a command line, and its peak of memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # memory that an earlier step left would hide this step's use
    Path("/proc/self/clear_refs").write_text("5")
    before, began, out, err = status("VmRSS"), time.monotonic(), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    seconds, peak = time.monotonic() - began, status("VmHWM") - before
    return {
        "code": code,
        "out": out.getvalue()[-4000:],
        "err": err.getvalue()[-4000:],
        "mib": peak,
        "s": seconds,
    }


for line in sys.stdin:
    plan, arguments = json.loads(line)
    Path(sys.argv[1]).write_text(json.dumps(plan))
    sys.stdout.write(json.dumps(run(arguments)) + "\n")
    sys.stdout.flush()
