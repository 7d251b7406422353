"""The Pythons that boards of the tests have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PYENV = Path(os.environ.get("PYENV_ROOT", "~root/.pyenv")).expanduser() / "versions"


def python_of(version: str) -> Path:
    """A Python of a version such as `3.8`: pyenv's, else this machine's own."""
    found = sorted(PYENV.glob(f"{version}.*/bin/python"))
    path = str(found[0]) if found else shutil.which(f"python{version}")
    assert path, f"no python {version}: `pyenv install {version}`"
    return Path(path)
