"""Lists what a command imports: each unnecessary module costs time at every run."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

# what neither a conversion from the cache nor an unchanged deployment needs: each is for one branch of them
UNNEEDED = (
    "edgewright.compile.compilation",
    "edgewright.compile.explain",
    "edgewright.compile.open_inputs",
    "edgewright.compile.inspection.pt2_file",
    "edgewright.compile.workers.confinement.confine",
    "edgewright.compile.workers.plain_answers",
    "edgewright.compile.workers.process",
    "edgewright.doctor",
    "edgewright.lab",
    "edgewright.measure.search",
    "edgewright.runtimes.bundle",
    "edgewright.testing",
    "numpy",
    "onnx",
    "onnxruntime",
    "packaging",
    "pickletools",
    "tensorflow",
)
_PROGRAM = """
import sys
from edgewright.cli.main import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


class Ran(NamedTuple):
    """A command in a process that is separate: its stdout, and the modules that were imported at its end."""

    out: str
    modules: frozenset[str]


def imports_of(*arguments: object) -> Ran:
    """Runs a command that has to succeed."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Ran(done.stdout, frozenset(done.stderr.splitlines()[-1].split()))
