"""Environments: whole or absent, remade when the pins change, and what the command line says of them."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from command_line import document_of

from edgewright.cli.main import main
from edgewright.compile.toolchains import environments
from edgewright.compile.toolchains.environments import TOOLCHAINS, Toolchain
from edgewright.errors import ConversionError, UsageError
from edgewright.nouns.progress import ProgressEvent

TINY = Toolchain(
    name="tiny", title="one small module", pythons="3.6-3.99", machines=("x86_64", "aarch64"),
    requirements=("six==1.16.0",), probe="six", megabytes=20,
)  # fmt: skip


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    monkeypatch.setitem(TOOLCHAINS, "tiny", TINY)
    return TINY


def test_every_pin_is_exact_and_every_toolchain_has_one_place(home: Path) -> None:
    for name, row in TOOLCHAINS.items():
        assert row.name == name
        assert all(version and "*" not in version for version in row.versions.values())
        assert len(row.versions) == len(row.requirements)
        assert environments.folder(name) == home / "toolchains" / name


def test_what_is_not_installed_says_how_to_install_it() -> None:
    assert {one.state for one in environments.listing()} == {"absent"}
    for ask in (environments.python_of, environments.stamp):
        with pytest.raises(ConversionError) as caught:
            ask("onnx2tf")
        assert caught.value.code == "toolchain-missing"
        assert caught.value.hint == "edgewright toolchain install onnx2tf"
    with pytest.raises(UsageError, match="unknown toolchain: onnx3tf"):
        environments.describe("onnx3tf")


def test_too_little_disk_is_said_before_anything_is_made(
    tiny: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, 100 << 20))
    with pytest.raises(ConversionError, match="100 of 340 MiB") as caught:
        environments.install("tiny")
    assert caught.value.code == "disk-full"
    assert not environments.folder("tiny").exists()


def test_a_half_written_or_foreign_folder_is_not_taken_for_an_environment(tiny: Toolchain) -> None:
    place = environments.folder("tiny")
    (place / "bin").mkdir(parents=True)
    assert environments.describe("tiny").state == "absent"
    record = {"python": "3.9.1", "requirements": list(tiny.requirements)}
    (place / "toolchain.json").write_text(json.dumps(record))
    assert environments.describe("tiny").state == "absent"  # its Python is gone
    (place / "bin" / "python").write_text("")
    assert environments.describe("tiny").state == "ready"
    assert environments.stamp("tiny").startswith("1.16.0, Python 3.9.1, pins ")
    assert environments.remove("tiny")
    assert not environments.remove("tiny")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConversionError])
def test_an_environment_is_in_place_only_after_it_imported(
    tiny: Toolchain, home: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def build(made: Path, *_: object) -> None:
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "python").write_text("#!/bin/sh\necho No module named six >&2\nexit 1\n")
        (made / "bin" / "python").chmod(0o755)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "build", build)
    if error is KeyboardInterrupt:
        monkeypatch.setattr(environments, "run", interrupted)
    with pytest.raises(error):
        environments.install("tiny", Path(sys.executable))
    assert environments.describe("tiny").state == "absent"
    assert {path.name for path in (home / "toolchains").iterdir()} == {"tiny.lock"}


def test_of_two_that_remove_an_environment_one_did_it(tiny: Toolchain) -> None:
    environments.folder("tiny").mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        with environments._locked("tiny"):  # both have seen that there is one
            both = [pool.submit(environments.remove, "tiny") for _ in range(2)]
            time.sleep(0.3)
        assert sorted(one.result() for one in both) == [False, True]


@pytest.mark.slow  # pip and the package index
def test_an_environment_is_whole_or_absent_and_follows_the_pins(
    tiny: Toolchain, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(step: ProgressEvent) -> None:
        if step.detail.startswith("six"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environments.install("tiny", progress=stop)
    assert {path.name for path in (home / "toolchains").iterdir()} == {"tiny.lock"}
    (home / "toolchains" / ".tiny-killed").mkdir()  # as a process that was killed leaves it

    seen: list[ProgressEvent] = []
    made = environments.install("tiny", progress=seen.append)
    assert made.state == "ready"
    assert made.versions == {"six": "1.16.0"}
    assert [step.done for step in seen] == [0, 0, 1]
    assert {path.name for path in (home / "toolchains").iterdir()} == {"tiny", "tiny.lock"}
    assert environments.probe("tiny") == ""
    python = environments.python_of("tiny")
    assert {path.name[:6] for path in python.parent.iterdir()} == {"python"}
    before = python.stat().st_ctime_ns
    environments.install("tiny", progress=seen.append)
    assert python.stat().st_ctime_ns == before
    first = environments.stamp("tiny")

    monkeypatch.setitem(TOOLCHAINS, "tiny", msgspec.structs.replace(TINY, requirements=("six==1.17.0",)))
    with pytest.raises(ConversionError, match="toolchain tiny is outdated"):
        environments.python_of("tiny")
    assert environments.install("tiny").versions == {"six": "1.17.0"}
    assert environments.stamp("tiny") != first

    broken = msgspec.structs.replace(TINY, requirements=("six==1.16.0",), probe="seven")
    monkeypatch.setitem(TOOLCHAINS, "tiny", broken)
    with pytest.raises(ConversionError, match="No module named 'seven'") as caught:
        environments.install("tiny")
    assert caught.value.code == "toolchain-broken"
    assert environments.describe("tiny").state == "outdated"  # the one before is still there
    monkeypatch.setitem(TOOLCHAINS, "tiny", msgspec.structs.replace(TINY, requirements=("six==0.0.0",)))
    with pytest.raises(ConversionError, match=r"pip failed: .*six==0.0.0"):
        environments.install("tiny")
    assert {path.name for path in (home / "toolchains").iterdir()} == {"tiny", "tiny.lock"}


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, dict[str, object]]:
    code = main([*argv, "--json"])
    document = document_of(capsys.readouterr().out)
    return code, document["result"] or document["error"]


def test_the_command_lists_plans_and_removes(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    code, document = said(capsys, "toolchain", "list")
    assert code == 0
    assert [row["name"] for row in document["toolchains"]] == list(TOOLCHAINS)  # type: ignore[attr-defined]
    assert main(["toolchain", "list"]) == 0
    assert "absent" in capsys.readouterr().out
    assert said(capsys, "toolchain", "remove", "onnx2tf")[1]["removed_toolchains"] == []
    code, document = said(capsys, "toolchain", "install", "no-such")
    assert (code, document["code"]) == (64, "usage")
    assert not (home / "toolchains").exists() or not any((home / "toolchains").glob("*/bin"))


def test_a_dry_run_names_the_python_and_the_pins(
    capsys: pytest.CaptureFixture[str], tiny: Toolchain, home: Path
) -> None:
    code, document = said(capsys, "toolchain", "install", "tiny", "--dry-run")
    assert code == 0
    assert document["requirements"] == ["six==1.16.0"]
    assert document["python"]["version"].startswith("3.")  # type: ignore[index]
    assert not (home / "toolchains").exists()


def test_doctor_tells_what_this_machine_has(
    capsys: pytest.CaptureFixture[str], tiny: Toolchain, home: Path
) -> None:
    code, document = said(capsys, "doctor", "--host")
    state = document["host"]
    assert code == 0
    assert "tflite" in document["ready_extras"]  # type: ignore[operator]
    assert {"name", "packages"} == set(state["extras"][0])  # type: ignore[index]
    assert state["home"] == str(home)  # type: ignore[index]

    place = environments.folder("tiny")
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").write_text("#!/bin/sh\necho it is broken >&2\nexit 1\n")
    (place / "bin" / "python").chmod(0o755)
    (place / "toolchain.json").write_text(json.dumps({"python": "3.9.1", "requirements": ["six==1.16.0"]}))
    assert main(["doctor", "--host"]) == 1
    out = capsys.readouterr().out
    assert "toolchain tiny does not import: it is broken" in out
    assert "edgewright toolchain remove tiny" in out
