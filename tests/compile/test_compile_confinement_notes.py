"""What a command reports if only some layers confine a model, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewright.cli import main as cli
from edgewright.compile.workers.confinement.confine import OFF, InForce
from edgewright.compile.workers.pool import Workers


def test_a_command_without_any_confinement_notes_it_once(
    small_models: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(OFF, "off")
    command = [
        "convert",
        str(small_models("onnx") / "cnn.onnx"),
        "--target",
        "onnxruntime",
        "--precision",
        "fp32",
    ]
    for times in (1, 0):  # the second one takes the artifact from the cache, and opens no model
        assert cli.main(command) == 0
        assert (
            capsys.readouterr().err.count("nothing kept the model from your files and the network") == times
        )


@pytest.mark.parametrize(("held", "named"), [
    (InForce(network="seccomp"), "nothing kept the model from your files while"),
    (InForce(files="Landlock 2"), "nothing kept the model from the network while"),
    (InForce(files="Landlock 2", network="seccomp"), ""),
])  # fmt: skip
def test_half_a_confinement_is_noted_by_name(
    held: InForce, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([("confined", held), ("ok", 1)])
    monkeypatch.setattr(Workers, "_answer", lambda *_: next(answers))
    noted: list[str] = []
    with Workers(tmp_path / "log", progress=lambda event: noted.append(event.detail)) as workers:
        workers.call("onnx", "os", "getpid")
    assert len(noted) == bool(named) and all(one.startswith(named) for one in noted)
