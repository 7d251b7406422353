"""Arguments that are wrong, or in another form than on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgewright as ew
from edgewright.api.arguments import several
from edgewright.nouns.model_input import Absent, DataFile, Synthetic


def empty(home: Path) -> ew.Fleet:
    return ew.Fleet(name="f", path=home / "fleet.toml", boards={})


def test_a_text_alone_is_one_and_not_its_letters(tmp_path: Path) -> None:
    assert several("head") == several(["head"]) == several(("head",)) == ("head",)
    assert several(None) == several(()) == () and several(tmp_path) == (tmp_path,)  # type: ignore[arg-type]
    request = ew.model_request("net.onnx", keep_float="head", inputs="in", outputs=["a", "b"])
    assert request.model.conversion.keep_float == ("head",)
    assert request.model.conversion.ends.inputs == ("in",)
    assert request.model.conversion.ends.outputs == ("a", "b")


def test_paths_shapes_and_indexes_come_in_each_usual_form(tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, x=np.ones((4, 2), np.float32))
    plain = ew.model_request(
        str(tmp_path / "net.onnx"), calibration=str(data), evaluation=str(data), score="0"
    )
    same = ew.model_request(tmp_path / "net.onnx", calibration=data, evaluation=data, score=0)
    assert plain == same and isinstance(same.model.calibration, DataFile)
    assert isinstance(ew.model_request("net.onnx", calibration="synthetic").model.calibration, Synthetic)
    assert ew.model_request("net.onnx", calibration=None).model.calibration == Absent()
    given = {"x": np.ones((1, 3)).shape, "y": list(np.array([1, 5]))}
    shapes = ew.model_request("net.onnx", input_shapes=given).model.shapes
    assert shapes == {"x": (1, 3), "y": (1, 5)} and {type(size) for size in shapes["y"]} == {int}
    for wrong in ((), (1, 0), (-1, 3)):
        with pytest.raises(ew.UsageError, match="not an input shape: x="):
            ew.model_request("net.onnx", input_shapes={"x": wrong})


def test_a_fleet_without_boards_is_no_success(home: Path, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    for call in (
        lambda: ew.status(empty(home)),
        lambda: ew.bench(empty(home), "net"),
        lambda: ew.rollback(empty(home), "net"),
        lambda: ew.plan(empty(home), tmp_path / "net.onnx"),
    ):
        with pytest.raises(ew.UsageError, match="the fleet f has no boards") as error:
            call()
        assert error.value.code == "no-board" and error.value.hint


def test_what_is_no_protocol_is_refused_before_a_board_is_asked(home: Path) -> None:
    with pytest.raises(TypeError, match=r"not a Protocol, such as edgewright\.QUICK: 'quick'"):
        ew.bench(empty(home), "net", protocol="quick")  # type: ignore[arg-type]


def test_a_fleet_is_found_as_the_command_line_finds_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    boards = '[boards.a]\naddress = "192.0.2.1"\nlabels = ["x"]\n[boards.b]\naddress = "192.0.2.2"\n'
    for number, path in enumerate((home / "fleet.toml", tmp_path / "fleet.toml", tmp_path / "named.toml")):
        path.write_text(f'name = "f{number}"\n{boards}')
        if number == 2:
            monkeypatch.setenv("EDGEWRIGHT_FLEET", str(path))
        assert ew.Fleet.load().name == f"f{number}"
    found = ew.Fleet.load(tmp_path / "fleet.toml")
    assert found == ew.Fleet.load("fleet.toml") and list(found.boards) == ["a", "b"]
    assert list(found.select("@x").boards) == ["a"] and found.select("all") == found
    assert found.select("b").path == found.path and isinstance(found.select("b"), ew.Fleet)
    with pytest.raises(ew.UsageError, match="no such board"):
        found.select("c")
