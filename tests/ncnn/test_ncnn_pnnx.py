"""What is made of pnnx's output, whatever its exit status is: a stand-in prints and writes what pnnx has been seen to."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgewright.errors import ConversionError
from edgewright.nouns.artifact import TensorSpec
from edgewright_targets.ncnn import input_shapes, integer_ends, layer_releases, param_file, run_pnnx
from edgewright_targets.ncnn.distinct_outputs import made_distinct
from edgewright_targets.ncnn.param_file import Layer

RELU = "7767517\n2 2\nInput in0 0 1 in0\nReLU relu_0 1 1 in0 out0\n"
DET = "7767517\n2 2\nInput in0 0 1 in0\nDet Det_1 1 1 in0 out0\n"
SCRIPT = 'ex.input("in0", ncnn.Mat(in0.numpy(), batch_index=0).clone())\n'
OPERATORS = {"Relu": ["act"], "Det": ["my/Det"], "LSTM": ["memory"], "Reshape": ["view"]}
Stand = Callable[..., Path]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """`stand_in(prints, status=0, param=text or None)`: a program in pnnx's place; returns the path of a source for it."""

    def make(prints: str, *, status: int = 0, param: str | None = RELU) -> Path:
        files = (
            {}
            if param is None
            else {"source.ncnn.param": param, "source.ncnn.bin": "", "source_ncnn.py": SCRIPT}
        )
        program = tmp_path / "pnnx"
        program.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\nprint({prints!r})\n"
            f"for name, text in {files!r}.items():\n    pathlib.Path(name).write_text(text)\nsys.exit({status})\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(run_pnnx, "program", lambda: program)
        return tmp_path / "source.onnx"

    return make


def converted(source: Path) -> run_pnnx.Written:
    return run_pnnx.converted(source, False, lambda kind: kind != "Det", OPERATORS)


def test_a_good_run_gives_layers_and_batch_axes(stand_in: Stand) -> None:
    made = converted(stand_in("pass_ncnn\n\x1b[0;93m[W:onnxruntime:pnnx] a provider failed"))
    assert [layer.kind for layer in made.layers] == ["Input", "ReLU"]
    assert made.batch_axes == {"in0": 0}


@pytest.mark.parametrize(("prints", "param", "words"), [
    ("todo Det", DET, r"operators of this model to ncnn: Det \(my/Det\)"),
    ("ignore ReLU relu_0 param slope=1", RELU, r"to ncnn: Relu \(act\)"),
    ("reshape to 5-rank tensor is not supported yet!", RELU, r"5-rank tensor is not supported yet, in Reshape \(view\)"),
    ("ort CreateSession failed", None, "ort CreateSession failed"),
    ("nothing to say", None, "exit status 0"),
])  # fmt: skip
def test_an_exit_status_of_0_with_an_error_printed_is_an_error(
    stand_in: Stand, prints: str, param: str | None, words: str
) -> None:
    with pytest.raises(ConversionError, match=words) as caught:
        converted(stand_in(prints, param=param))
    assert caught.value.hint and "\n" not in caught.value.message


def test_a_crash_is_an_error_even_if_there_are_files(stand_in: Stand) -> None:
    with pytest.raises(ConversionError, match="exit status 3"):
        converted(stand_in("", status=3))


def test_a_signal_is_named(stand_in: Stand, tmp_path: Path) -> None:
    source = stand_in("")
    (tmp_path / "pnnx").write_text("#!/bin/sh\nkill -SEGV $$\n")
    with pytest.raises(ConversionError, match=r"it crashed \(signal 11\)"):
        converted(source)


def test_without_pnnx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConversionError, match="pnnx is not installed") as caught:
        run_pnnx.program()
    assert "edgewright[ncnn]" in caught.value.hint


def test_a_param_file_is_written_as_it_was_read(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.param", tmp_path / "b.param"
    path.write_text(RELU)
    param_file.write(param_file.read(path), copy)
    assert copy.read_text() == RELU
    path.write_text("something else\n")
    with pytest.raises(ValueError, match=r"not a \.param file"):
        param_file.read(path)


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(name="x", shape=shape, dtype="float32")


@pytest.mark.parametrize(("shape", "axis", "settings"), [
    ((1, 3, 8, 9), 0, ("0=9", "1=8", "2=3")), ((1, 3, 4, 8, 9), 0, ("0=9", "1=8", "11=4", "2=3")),
    ((2, 7), None, ("0=7", "1=2")), ((1,), 0, ("0=1",)), ((5, 1, 6), 1, ("0=6", "1=5")),
])  # fmt: skip
def test_an_input_layer_has_its_shape_in_ncnns_order(
    shape: tuple[int, ...], axis: int | None, settings: tuple[str, ...]
) -> None:
    (layer,) = input_shapes.with_shapes([Layer("Input", "in0", (), ("in0",))], (spec(*shape),), {"in0": axis})
    assert layer.settings == settings


@pytest.mark.parametrize(("shape", "axis", "words", "hint"), [
    ((2, 3, 8, 8), 0, "input x has a batch of 2", "--input-shape x=1,3,8,8"),
    ((1, 2, 3, 4, 5, 6), 0, "input x has 5 axes besides the batch", "reshape"),
])  # fmt: skip
def test_a_batch_and_too_many_axes_are_refused(
    shape: tuple[int, ...], axis: int, words: str, hint: str
) -> None:
    with pytest.raises(ConversionError, match=words) as caught:
        input_shapes.with_shapes([Layer("Input", "in0", (), ("in0",))], (spec(*shape),), {"in0": axis})
    assert hint in caught.value.hint


def test_an_input_that_pnnx_dropped_is_an_error() -> None:
    with pytest.raises(ConversionError, match="pnnx changed the model's inputs"):
        input_shapes.with_shapes([Layer("Input", "in0", (), ("in0",))], (spec(1), spec(1)), {"in0": 0})


@pytest.mark.parametrize(("kind", "settings", "release"), [
    ("SDPA", (), layer_releases.PINNED), ("BinaryOp", ("0=12",), layer_releases.PINNED),
    ("BinaryOp", ("0=2",), layer_releases.FIRST), ("BinaryOp", (), layer_releases.FIRST), ("Convolution", ("0=8",), layer_releases.FIRST),
])  # fmt: skip
def test_the_least_release_follows_from_the_layers(
    kind: str, settings: tuple[str, ...], release: int
) -> None:
    assert layer_releases.least([Layer(kind, "one", ("a",), ("b",), settings)]) == release


def test_repeated_outputs_point_to_the_first_of_them() -> None:
    from onnx import helper

    nodes = [helper.make_node("Sin", ["x"], ["s"]), helper.make_node("Identity", ["s"], ["y"])]
    nodes += [helper.make_node("Identity", ["y"], ["z"]), helper.make_node("Cos", ["s"], ["w"])]
    ends = [helper.make_tensor_value_info(name, 1, np.zeros(3).shape) for name in "xyzw"]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    assert made_distinct(model) == [0, 0, 1]
    assert [item.name for item in model.graph.output] == ["s", "w"]
    assert [node.op_type for node in model.graph.node] == ["Sin", "Cos"]


def test_integers_are_for_embeddings_alone() -> None:
    inputs = (TensorSpec(name="words", shape=(1, 4), dtype="int64"),)
    copies = Layer("Split", "s", ("in0",), ("a", "b"))
    embed, other = Layer("Embed", "e", ("a",), ("c",)), Layer("BinaryOp", "add", ("b", "c"), ("d",))
    integer_ends.refuse_readers(inputs, [copies, embed])
    with pytest.raises(
        ConversionError, match="input words is int64, and ncnn takes integers only as indexes"
    ):
        integer_ends.refuse_readers(inputs, [copies, embed, other])
