"""The types of the public names, as a user's type checker sees them. `make check` checks the same program against the source tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("typed_program.py")


def checked(folder: Path, python: str) -> str:
    """What `mypy --strict` reports for the program; empty if it is right."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(folder / "cache"),
         "--python-executable", python, str(PROGRAM)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.slow
def test_a_program_is_checked_against_an_installed_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (site,) = tmp_path.glob("venv/lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # what it depends on, but not the source tree: of a path that a .pth file names, the .pth files do not count
    (site / "needed.pth").write_text("\n".join(one for one in sys.path if one.endswith("site-packages")))
    assert checked(tmp_path, str(tmp_path / "venv/bin/python")) == ""
