"""The table of edges is the targets' own, on the terminal and as JSON."""

from __future__ import annotations

from importlib import util

import pytest
from command_line import result_of

from edgewright import targets
from edgewright.cli.main import main
from edgewright.compile.formats import FORMATS
from edgewright.compile.route_matrix import cells


def test_every_source_times_every_target() -> None:
    found = cells()
    assert {(cell.source, cell.target) for cell in found} == {
        (source, name) for source in FORMATS for name in targets.names()
    }
    by_place = {(cell.source, cell.target): cell for cell in found}
    keras = by_place["keras", "onnxruntime"]
    assert keras.stages == ("tensorflow:_onnx.from_tensorflow", "onnx:onnxruntime.finish")
    assert "as-is" not in keras.precisions
    assert "as-is" in by_place["onnx", "onnxruntime"].precisions
    assert by_place["ir", "tflite"].precisions == ()


def test_every_stage_is_a_module_that_is_there() -> None:
    for cell in cells():
        for stage in cell.stages:
            module = stage.split(":")[1]
            assert util.find_spec(targets.module_name(module)) is not None, stage


def test_the_command_prints_the_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "--matrix"]) == 0
    shown = capsys.readouterr().out
    assert "_onnx.from_tensorflow" in shown
    assert main(["targets", "--matrix", "--json"]) == 0
    rows = result_of(capsys.readouterr().out)["routes"]
    assert len(rows) == len(list(FORMATS)) * len(targets.names())
    assert set(rows[0]) == {"source", "target", "precisions", "stages", "toolchains"}
