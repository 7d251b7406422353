"""Which Pythons there are, and which one a toolchain takes."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from edgewright.compile.toolchains import environments, pythons
from edgewright.compile.toolchains.pythons import Python
from edgewright.errors import ConversionError, UsageError

ROW = environments.TOOLCHAINS["openvino-2021"]


def made_up(version: str, *, venv: bool = True) -> Python:
    return Python(path=Path("/opt") / version, version=version, venv=venv, machine="x86_64")


def test_this_python_is_found_once_and_says_what_it_is() -> None:
    found = pythons.found()
    mine = [python for python in found if python.path.resolve() == Path(sys.executable).resolve()]
    assert [python.version for python in mine] == [platform.python_version()]
    assert mine[0].venv
    assert mine[0].machine == platform.machine()


def test_what_is_no_python_3_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in (
        ("python3", "echo 2.7.18 1 1 x86_64"),
        ("python3.7", "exit 3"),
        ("python", "echo hello"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
        assert pythons.ask(tmp_path / name) is None
    assert pythons.ask(tmp_path / "absent") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert all(python.path.parent != tmp_path for python in pythons.found())


def test_pyenv_versions_are_found_and_its_shims_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path / "versions" / "9.9" / "bin" / "python", tmp_path / "shims" / "python3"):
        place.parent.mkdir(parents=True)
        place.write_text("#!/bin/sh\necho 3.7.99 1 1 x86_64\n")
        place.chmod(0o755)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    found = {python.path: python.version for python in pythons.found()}
    assert found[tmp_path / "versions" / "9.9" / "bin" / "python"] == "3.7.99"
    assert tmp_path / "shims" / "python3" not in found


@pytest.mark.parametrize(
    ("version", "fits"), [("3.5.9", False), ("3.6.0", True), ("3.9.18", True), ("3.10.1", False)]
)
def test_a_range_holds_both_of_its_ends(version: str, fits: bool) -> None:
    assert made_up(version).within("3.6-3.9") is fits


def test_the_newest_that_fits_and_can_make_environments_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [made_up("3.12.1"), made_up("3.9.2", venv=False), made_up("3.8.1"), made_up("3.7.1")]
    monkeypatch.setattr(pythons, "found", lambda: there)
    assert environments.choose_python(ROW).version == "3.8.1"


@pytest.mark.parametrize(
    ("there", "word"),
    [((), "none was found"), ((made_up("3.9.2", venv=False),), "modules venv and ensurepip")],
)
def test_without_a_python_that_fits_it_says_which_one_is_wanted(
    monkeypatch: pytest.MonkeyPatch, there: tuple[Python, ...], word: str
) -> None:
    monkeypatch.setattr(pythons, "found", lambda: list(there))
    with pytest.raises(ConversionError, match=r"needs Python 3\.6-3\.9") as caught:
        environments.choose_python(ROW)
    assert caught.value.code == "python-missing"
    assert word in caught.value.message
    assert "--python PATH" in caught.value.hint


def test_a_given_python_has_to_fit() -> None:
    with pytest.raises(UsageError, match=f"is Python {platform.python_version()}"):
        environments.choose_python(ROW, Path(sys.executable))
    with pytest.raises(UsageError, match="is not a Python"):
        environments.choose_python(ROW, Path("/nowhere/python"))


def test_a_machine_without_wheels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ConversionError, match="no wheels for riscv64"):
        environments.choose_python(ROW)
