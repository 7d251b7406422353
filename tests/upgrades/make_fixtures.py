"""Makes the fixtures of this folder with the code of an old commit: `python tests/upgrades/make_fixtures.py COMMIT`.

The commit is taken out of git into a temporary folder, and runs there in a separate process, with its own labs, agent and
converters: nothing of today's code writes a fixture. A second run gives the same things with other ids, keys and times.
It needs a clone with that commit, sshd, and the converters of `.[all]`; wheels of ONNX Runtime come from the index.

What `made_by_<commit>/` holds stands in its README.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
PACKAGES = ("host", "agent", "targets", "profiles")


def checked_out(commit: str, folder: Path) -> Path:
    """The files of a commit below a folder."""
    data = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main(commit: str) -> None:
    """Runs `old_code.py` with the packages of a commit."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        old = checked_out(commit, Path(scratch) / "old")
        state = Path(scratch) / "state"
        state.mkdir(mode=0o700)
        out = HERE / f"made_by_{commit}"
        environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(state),
            "PYTHONPATH": os.pathsep.join(str(old / name) for name in PACKAGES),
            "EDGEWRIGHT_HOME": str(state / "edgewright"),
        }
        command = [sys.executable, str(HERE / "old_code.py"), str(old), str(out)]
        subprocess.run(command, env=environment, cwd=state, check=True)


if __name__ == "__main__":
    main(sys.argv[1])
