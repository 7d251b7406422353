"""Plug-ins' source formats that fail when they are asked: the other formats are still found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewright.compile import recognition
from edgewright.compile.formats import FORMATS
from edgewright.compile.sources.source_format import Look, SourceFormat
from edgewright.errors import ModelError
from edgewright.plugins import Entry


def given(name: str, look: Callable[..., Any], **more: Any) -> SourceFormat:
    return SourceFormat(
        name=name, title=f"a {name} file", known_as=f".{name}", framework="onnx", tools=("numpy",),
        look=look, open=lambda *_: None, **more,
    )  # fmt: skip


def boom(path: Path, head: bytes) -> Look | None:
    raise KeyError("version")


def fine(path: Path, head: bytes) -> Look | None:
    files = [one for one in path.iterdir() if one.is_file()] if path.is_dir() else [path]
    return Look(files)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`install(format, ...)`: puts formats into the registry in that order, as if an installed distribution declared them."""

    def put(*formats: SourceFormat) -> None:
        entries = {
            one.name: Entry(name=one.name, value=f"odd.{one.name}:FORMAT", distribution="odd 2.0")
            for one in formats
        }
        monkeypatch.setitem(FORMATS.__dict__, "_plugins", entries)
        for one in formats:
            monkeypatch.setitem(FORMATS._loaded, one.name, one)

    return put


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (boom, "look failed on net.mine: KeyError: 'version'"),
        (lambda path, _: [path], "look gave [PosixPath("),
        (lambda *_: Look([]), "look gave Look(files=[]"),
        (lambda *_: 3, "look gave 3 for net.mine, not a Look with its files, or None"),
    ],
)
def test_a_look_that_fails_is_named_and_the_next_format_is_asked(
    install: Callable[..., None], tmp_path: Path, look: Callable[..., Any], reason: str
) -> None:
    install(given("aaa", look, suffixes=(".mine",)), given("zzz", fine, suffixes=(".mine",)))
    model = tmp_path / "net.mine"
    model.write_bytes(b"something")
    found = recognition.recognise(model)
    assert found.source.format == "zzz"
    (fault,) = found.faults
    assert fault.startswith(f"source format aaa from odd 2.0 failed: {reason}")


def test_a_model_that_no_format_knows_names_those_that_failed(
    install: Callable[..., None], tmp_path: Path
) -> None:
    install(given("aaa", boom, suffixes=(".mine",)))
    model = tmp_path / "net.mine"
    model.write_bytes(b"something")
    with pytest.raises(ModelError, match="no known format") as error:
        recognition.recognise(model)
    line = "source format aaa from odd 2.0 failed: look failed on net.mine: KeyError"
    assert error.value.hint.count(line) == 1


def test_a_damage_report_that_fails_is_named(install: Callable[..., None], tmp_path: Path) -> None:
    install(given("aaa", lambda *_: None, suffixes=(".mine",), damaged=boom))
    model = tmp_path / "net.mine"
    model.write_bytes(b"something")
    with pytest.raises(ModelError) as error:
        recognition.recognise(model)
    assert "damaged failed on net.mine: KeyError" in error.value.hint


def test_a_folder_may_be_named_by_a_foreign_marker(install: Callable[..., None], tmp_path: Path) -> None:
    install(given("aaa", fine, takes="folder", marker="graph.desc"))
    (tmp_path / "graph.desc").write_bytes(b"something")
    found = recognition.recognise(tmp_path / "graph.desc")
    assert (found.path, found.source.format) == (tmp_path, "aaa")


def test_a_foreign_format_may_take_a_function(install: Callable[..., None], tmp_path: Path) -> None:
    module = tmp_path / "net.py"
    module.write_text("def made(): ...\n")
    install(given("aaa", lambda *_: Look([module]), takes="function"))
    own = [one for one in FORMATS.own() if one.takes == "function"]
    before = {one.name: FORMATS._loaded[one.name] for one in own}
    for one in own:
        FORMATS._loaded[one.name] = given(one.name, lambda *_: None, takes="function")
    try:
        assert recognition.recognise(Path(f"{module}:made")).source.format == "aaa"
    finally:
        FORMATS._loaded.update(before)
