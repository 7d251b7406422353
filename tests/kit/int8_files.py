"""Data of digits, int8 files of networks that know them, and what such files answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import result_of

from edgewright.cli.main import main
from edgewright.compile.sources import onnx_session


def set_of(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(folder / name) as file:
        return file["x"], file["labels"]


def calibration(folder: Path) -> np.ndarray:
    return np.ascontiguousarray(set_of(folder, "train.npz")[0][::10])


def int8(
    file: Path, target: str, capsys: pytest.CaptureFixture[str], *more: object
) -> tuple[Path, dict[str, Any]]:
    """The int8 model that `convert` makes of a file, and the manifest."""
    folder = file.with_name(f"{file.stem}-{target}-{len(more)}")
    capsys.readouterr()
    arguments = ["convert", file, "--target", target, "--precision", "int8", "-o", folder, *more, "--json"]
    assert main([str(one) for one in arguments]) == 0
    return next(folder.glob("model.*")), result_of(capsys.readouterr().out)["manifest"]


def answers(model: Path, x: np.ndarray) -> np.ndarray:
    """What a converted file answers to samples, one by one."""
    if model.suffix == ".onnx":
        session = onnx_session.session(model)
        name = session.get_inputs()[0].name
        return np.concatenate([session.run(None, {name: one[None]})[0] for one in x])
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(model)).get_signature_runner()
    (name,) = runner.get_input_details()
    return np.concatenate([next(iter(runner(**{name: one[None]}).values())) for one in x])
