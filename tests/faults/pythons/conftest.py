"""Other Pythons for the agent: pyenv's, and copies of them without the modules that small boards lack."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import needs
import pytest

ABSENT = ("ctypes", "lzma", "sqlite3", "ssl")


def prefix_of(python: Path) -> Path:
    """The `sys.base_prefix` of a Python."""
    done = subprocess.run(
        [python, "-I", "-c", "import sys; print(sys.base_prefix)"], capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`bare_python("3.9")`: a copy of that Python from which ctypes, lzma, sqlite3 and ssl are missing."""
    made: dict[str, Path] = {}

    def make(version: str) -> Path:
        if version not in made:
            made[version] = strip(needs.python(version), tmp_path_factory.mktemp(f"bare{version}"))
        return made[version]

    return make


def strip(python: Path, folder: Path) -> Path:
    """Makes the copy: the program and its libraries, without the absent modules and their C parts."""
    base = prefix_of(python)
    library = next(base.glob("lib/python3.*/os.py")).parent
    name = library.name
    absent = {
        *ABSENT,
        *(f"{one}.py" for one in ABSENT),
        "test",
        "idlelib",
        "ensurepip",
        "site-packages",
        "tkinter",
        "__pycache__",
    }

    def ignore(where: str, names: list[str]) -> set[str]:
        parts = {one for one in names if one.split(".")[0] in {f"_{module}" for module in ABSENT}}
        return (
            {one for one in names if one in absent} if Path(where) == library else {"__pycache__"}
        ) | parts

    shutil.copytree(library, folder / "lib" / library.name, ignore=ignore)
    for shared in base.glob("lib/libpython*"):
        shutil.copy2(shared, folder / "lib", follow_symlinks=False)
    (folder / "bin").mkdir()
    made = folder / "bin" / "python3"
    shutil.copy2(python.resolve(), folder / "bin" / name)
    # its own shared library: the path in the program is that of the original
    made.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={folder}/lib exec {folder}/bin/{name} "$@"\n')
    made.chmod(0o755)
    check = "import sys\nfor one in sys.argv[1:]:\n    try:\n        __import__(one)\n        sys.exit(one)\n    except ImportError:\n        pass\nprint(sys.base_prefix)"
    done = subprocess.run([made, "-I", "-c", check, *ABSENT], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == str(folder), done.stderr + done.stdout
    return made


@pytest.fixture(scope="session")
def suite() -> Callable[..., str]:
    """`suite(python, *arguments)`: runs the agent's tests with another Python for the agent; the last line of pytest."""

    def run(python: Path, *arguments: str) -> str:
        tests = Path(__file__).parents[2]
        environment = {**os.environ, "EDGEWRIGHT_AGENT_PYTHON": str(python), "PYTEST_ADDOPTS": ""}
        environment["HOME"] = pwd.getpwuid(os.getuid()).pw_dir  # not the boards' HOME
        command = [  # three at once: these tests mostly wait
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "3", "--dist", "loadfile",
            "-m", "not slow and not exhaustive", *arguments,
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=tests.parent, env=environment, capture_output=True, text=True, timeout=1500
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done.stdout.strip().splitlines()[-1]

    return run
