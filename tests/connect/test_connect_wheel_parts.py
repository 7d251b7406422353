"""Files of a wheel that no runner needs: they are left out on the host, and everything else that names the wheel stays true."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import needs
import pytest

from edgewright import targets
from edgewright.config import home
from edgewright.connect.session import open_session
from edgewright.errors import EdgewrightError
from edgewright.files import sha256_file
from edgewright.nouns.board import Board
from edgewright.runtimes import disk_space, install, wheel_parts, wheels
from edgewright.runtimes.bundle import plan
from edgewright.runtimes.wheel_tags import WheelHost, parse, wheel_host
from edgewright_agent.protocol import runtime_id

HOST = WheelHost(python="3.11.2", arch="aarch64", libc="glibc", libc_version="2.36")
FILES = {
    "thing/__init__.py": "from .core import value\n",
    "thing/core.py": "value = 7\n",
    "thing/zoo/__init__.py": "import requests\n",
    "thing/zoo/big.py": "x = 1\n" * 9000,
    "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\nRequires-Dist: requests\n",
    "thing-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "thing-1.0.dist-info/licenses/LICENSE": "take it\n",
}
PATTERNS = ("thing/__init__.py", "thing/cor?.py")
KEPT = {name for name in FILES if "zoo" not in name} | {"thing-1.0.dist-info/RECORD"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index, with one wheel."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "thing-1.0-py3-none-any.whl", "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
        rows = [f"{name},sha256=0,{len(text)}\n" for name, text in FILES.items()]
        archive.writestr("thing-1.0.dist-info/RECORD", "".join(rows) + "thing-1.0.dist-info/RECORD,,\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.mark.usefixtures("index")
def test_only_what_is_needed_and_all_metadata_are_kept() -> None:
    (made,) = wheels.resolve(HOST, ["thing"], {"thing": PATTERNS})
    with zipfile.ZipFile(made.path) as archive:
        assert set(archive.namelist()) == KEPT
        record = archive.read("thing-1.0.dist-info/RECORD").decode()
        assert {line.split(",")[0] for line in record.splitlines()} == KEPT
        assert all(
            archive.read(name).decode() == FILES[name] for name in KEPT - {"thing-1.0.dist-info/RECORD"}
        )


def test_the_resolution_has_the_hash_size_and_name_of_what_is_sent(index: Path) -> None:
    (whole,) = wheels.resolve(HOST, ["thing"])
    (made,) = wheels.resolve(HOST, ["thing"], {"thing": PATTERNS})
    assert (whole.file, made.file) == ("thing-1.0-py3-none-any.whl", "thing-1.0-0trimmed-py3-none-any.whl")
    assert made.sha256 == sha256_file(made.path) != whole.sha256 == sha256_file(next(index.iterdir()))
    assert made.size == made.path.stat().st_size < whole.size
    assert parse(made.file)[3] == parse(whole.file)[3]
    assert (made.distribution, made.version) == (whole.distribution, whole.version)
    assert (
        disk_space.unpacked(whole)[1] - disk_space.unpacked(made)[1] == 4
    )  # two files, and bytecode of each
    assert disk_space.unpacked(made)[0] < disk_space.unpacked(whole)[0]


def test_each_set_of_files_is_remembered_and_reproducible(index: Path) -> None:
    (made,) = wheels.resolve(HOST, ["thing"], {"thing": PATTERNS})
    assert wheels.recalled(HOST, ["thing"]) is None
    assert wheels.recalled(HOST, ["thing"], {"thing": PATTERNS[:1]}) is None
    (home.folder("wheels") / f"{wheels.key(HOST, ['thing'], {'thing': PATTERNS})}.json").unlink()
    made.path.unlink()
    assert wheels.resolve(HOST, ["thing"], {"thing": PATTERNS}) == [made]
    next(index.iterdir()).unlink()
    assert wheels.recalled(HOST, ["thing"], {"thing": PATTERNS}) == [made]


@pytest.mark.usefixtures("index")
def test_a_wheel_that_is_laid_out_in_another_way_is_sent_whole() -> None:
    (whole,) = wheels.resolve(HOST, ["thing"])
    assert wheels.resolve(HOST, ["thing"], {"thing": (*PATTERNS, "thing.libs/*")}) == [whole]
    assert wheels.resolve(HOST, ["thing"], {"other": PATTERNS}) == [whole]


@pytest.mark.usefixtures("index")
def test_pip_takes_the_smaller_wheel_for_complete(tmp_path: Path) -> None:
    (made,) = wheels.resolve(HOST, ["thing"], {"thing": PATTERNS})
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(tmp_path / "there"),
    ]
    done = subprocess.run([*command, str(made.path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    ran = subprocess.run([sys.executable, "-c", "import thing; print(thing.value)"], cwd=tmp_path / "there", capture_output=True, check=False)  # fmt: skip
    assert ran.stdout == b"7\n"


def test_a_build_tag_of_the_wheel_stays() -> None:
    assert wheel_parts.trimmed_name("a-1-2b-cp311-cp311-any.whl") == "a-1-2btrimmed-cp311-cp311-any.whl"


def test_a_damaged_member_is_one_clear_error(index: Path, tmp_path: Path) -> None:
    (wheel,) = index.iterdir()
    wheel.write_bytes(wheel.read_bytes().replace(b"value = 7", b"value = 8"))
    with pytest.raises(EdgewrightError, match=r"not a wheel: thing-1\.0"):
        wheel_parts.trim(wheel, PATTERNS, tmp_path)


def test_dry_run_board_and_bundle_have_the_same_smaller_wheel(
    tmp_path: Path, fleet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for ncnn's wheel, so that the rows of a real target decide what is left out."""
    row = targets.load("ncnn").runtimes[0]
    index = tmp_path / "index"
    index.mkdir()
    file = f"ncnn-{row.version}-cp311-cp311-linux_{platform.machine()}.whl"
    with zipfile.ZipFile(index / file, "w") as archive:
        for name in ("__init__.py", "ncnn.so.so", "model_zoo/big.py"):
            archive.writestr(f"ncnn/{name}", "")
        archive.writestr("ncnn.libs/libgomp.so", "")
        about = f"ncnn-{row.version}.dist-info"
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: ncnn\nVersion: {row.version}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: false\n")
        archive.writestr(f"{about}/RECORD", "ncnn/model_zoo/big.py,,\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    board = Board(
        name="here", address="local:", root=str(tmp_path / "root"), python=str(needs.python("3.11"))
    )
    with open_session(board, fleet) as session:
        facts = session.facts()
        assert (
            install.ensure_runtime(session, facts, "ncnn", dry_run=True).ref == ""
        )  # its wheel is not here yet
        choice = install.ensure_runtime(session, facts, "ncnn")
        assert install.ensure_runtime(session, facts, "ncnn", dry_run=True).ref == choice.ref
    (folder,) = (tmp_path / "root/runtimes").iterdir()
    assert (folder / "ncnn/ncnn.so.so").exists() and not (folder / "ncnn/model_zoo").exists()
    host = wheel_host(facts)
    wanted = plan.Wanted(target="ncnn", row=row, python=host.python, arch=host.arch, glibc=host.libc_version)
    (kit,), (wheel,) = plan.fetch([wanted])
    assert kit.wheels == {wheel.file: wheel.sha256} and runtime_id([wheel.sha256]) == choice.ref
