"""Models in other floats than float32: they compute the same in float32, and every precision of them converts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

from edgewright.compile.pipeline import compile_model
from edgewright.compile.sources import onnx_session
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Artifact
from edgewright.precisions import PRECISIONS
from edgewright_targets._onnx import widen_floats
from edgewright_targets._onnx.widen_floats import narrow_kinds, widened

GENERATOR = np.random.default_rng(3)


def value(name: str, kind: int, *shape: int) -> onnx.ValueInfoProto:
    return h.make_tensor_value_info(name, kind, shape)


def weight(name: str, dtype: Any, *shape: int) -> onnx.TensorProto:
    return nh.from_array(GENERATOR.normal(0, 0.4, shape).astype(dtype), name)


def model(nodes: Any, inputs: Any, outputs: Any, weights: Any, functions: Any = ()) -> onnx.ModelProto:
    sets = [h.make_opsetid("", 17), h.make_opsetid("own", 1)]
    graph = h.make_graph(nodes, "graph", inputs, outputs, weights)
    made = h.make_model(graph, opset_imports=sets, ir_version=8, functions=list(functions))
    onnx.checker.check_model(made, full_check=True)
    return made


def dense(dtype: Any = np.float64, kind: int = T.DOUBLE) -> onnx.ModelProto:
    """Three Gemms, the ends in the same floats."""
    return model(
        [
            h.make_node("Gemm", ["x", "w0", "b0"], ["h0"]), h.make_node("Relu", ["h0"], ["r0"]),
            h.make_node("Gemm", ["r0", "w1", "b1"], ["h1"]), h.make_node("Tanh", ["h1"], ["t1"]),
            h.make_node("Gemm", ["t1", "w2"], ["y"]),
        ],
        [value("x", kind, 1, 8)], [value("y", kind, 1, 4)],
        [weight("w0", dtype, 8, 16), weight("b0", dtype, 16), weight("w1", dtype, 16, 16), weight("b1", dtype, 16),
         weight("w2", dtype, 16, 4)],
    )  # fmt: skip


def islands() -> onnx.ModelProto:
    """float32 with a convolution in float16 and a Resize and a Clip that have float16 limits."""
    half = np.float16
    return model(
        [
            h.make_node("Conv", ["x", "w0"], ["c0"], pads=[1] * 4), h.make_node("Cast", ["c0"], ["h0"], to=T.FLOAT16),
            h.make_node("Conv", ["h0", "w1", "b1"], ["c1"], pads=[1] * 4),
            h.make_node("Clip", ["c1", "low", "high"], ["l1"]),
            h.make_node("Resize", ["l1", "roi", "scales"], ["s1"], mode="nearest"),
            h.make_node("Cast", ["s1"], ["f1"], to=T.FLOAT), h.make_node("Conv", ["f1", "w2"], ["y"]),
        ],
        [value("x", T.FLOAT, 1, 3, 8, 8)], [value("y", T.FLOAT, 1, 5, 16, 16)],
        [weight("w0", "f4", 6, 3, 3, 3), weight("w1", half, 6, 6, 3, 3), weight("b1", half, 6),
         weight("w2", "f4", 5, 6, 1, 1), nh.from_array(np.array(0, half), "low"), nh.from_array(np.array(1.5, half), "high"),
         nh.from_array(np.zeros(0, half), "roi"), nh.from_array(np.array([1, 1, 2, 2], "f4"), "scales")],
    )  # fmt: skip


def brain() -> onnx.ModelProto:
    """Weights in bfloat16 that a Cast makes float32."""
    return model(
        [
            h.make_node("Cast", ["w0"], ["f0"], to=T.FLOAT), h.make_node("MatMul", ["x", "f0"], ["h0"]),
            h.make_node("Relu", ["h0"], ["r0"]), h.make_node("Cast", ["w1"], ["f1"], to=T.FLOAT),
            h.make_node("MatMul", ["r0", "f1"], ["y"]),
        ],
        [value("x", T.FLOAT, 1, 8)], [value("y", T.FLOAT, 1, 4)],
        [weight("w0", ml_dtypes.bfloat16, 8, 16), weight("w1", ml_dtypes.bfloat16, 16, 4)],
    )  # fmt: skip


def inner() -> onnx.ModelProto:
    """float16 in both branches of an If, in the body of a Loop, and in a function that takes the type as an attribute."""
    half = np.float16

    def branch(name: str) -> onnx.GraphProto:
        kernel = h.make_node("Constant", [], [f"k{name}"], value=weight("k", half, 8, 8))
        nodes = [kernel, h.make_node("MatMul", ["h", f"k{name}"], [name])]
        return h.make_graph(nodes, name, [], [value(name, T.FLOAT16, 1, 8)])

    body = h.make_graph(
        [h.make_node("Identity", ["go"], ["on"]), h.make_node("Mul", ["state", "damp"], ["next"])],
        "body", [value("i", T.INT64), value("go", T.BOOL), value("state", T.FLOAT16, 1, 8)],
        [value("on", T.BOOL), value("next", T.FLOAT16, 1, 8)], [nh.from_array(np.array(0.75, half), "damp")],
    )  # fmt: skip
    cast = h.make_node("Cast", ["given"], ["made"])
    cast.attribute.append(onnx.AttributeProto(name="to", type=onnx.AttributeProto.INT, ref_attr_name="kind"))
    function = h.make_function("own", "As", ["given"], ["made"], [cast], [h.make_opsetid("", 17)], ["kind"])
    return model(
        [
            h.make_node("As", ["x"], ["h"], domain="own", kind=T.FLOAT16),
            h.make_node("If", ["yes"], ["b"], then_branch=branch("one"), else_branch=branch("two")),
            h.make_node("Loop", ["three", "", "b"], ["l"], body=body),
            h.make_node("As", ["l"], ["f"], domain="own", kind=T.FLOAT), h.make_node("MatMul", ["f", "w"], ["y"]),
        ],
        [value("x", T.FLOAT, 1, 8), value("yes", T.BOOL)], [value("y", T.FLOAT, 1, 4)],
        [weight("w", "f4", 8, 4), nh.from_array(np.array(3), "three")], [function],
    )  # fmt: skip


MODELS = {"float64": dense, "float16": lambda: dense(np.float16, T.FLOAT16), "islands": islands, "bfloat16": brain, "inner": inner}  # fmt: skip


def answers(proto: onnx.ModelProto) -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    session = onnx_session.session(proto.SerializeToString())
    feed = {}
    for item in proto.graph.input:
        kind = item.type.tensor_type
        shape = [axis.dim_value for axis in kind.shape.dim]
        dtype = np.dtype(h.tensor_dtype_to_np_dtype(kind.elem_type))
        feed[item.name] = (
            np.array(True) if dtype.kind == "b" else generator.normal(0, 1, shape).astype("f2").astype(dtype)
        )
    return [np.asarray(one, np.float64) for one in session.run(None, feed)]


def widely(
    proto: onnx.ModelProto, precision: str = "int8", float64: bool = False
) -> tuple[onnx.ModelProto, list[str]]:
    return widened(proto, SimpleNamespace(precision=precision, traits=PRECISIONS[precision], float64=float64))


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_the_same_in_float32(name: str) -> None:
    source = MODELS[name]()
    before = source.SerializeToString()
    made, notes = widely(source)
    onnx.checker.check_model(made, full_check=True)
    assert not narrow_kinds(made)
    assert source.SerializeToString() == before  # it is open, and runs as it is
    assert "became float32" in notes[0]
    for one, other in zip(answers(source), answers(made), strict=True):
        assert np.abs(one - other).max() <= 4e-3 * np.abs(one).max()


def test_float32_stays_the_very_model_and_so_does_what_goes_as_it_is() -> None:
    plain, half = dense(np.float32, T.FLOAT), dense(np.float16, T.FLOAT16)
    assert widely(plain) == (plain, [])
    assert widely(half, "as-is") == (half, [])


def test_the_ends_that_change_are_named() -> None:
    assert widely(dense())[1] == [
        "float64 became float32 before the conversion, inputs and outputs too: x, y"
    ]
    assert widely(islands())[1] == ["float16 became float32 before the conversion"]


def times(double: bool) -> onnx.ModelProto:
    """Seconds since 1970, of which float64 makes hours from an offset, before two layers in float32."""
    start = [] if double else [h.make_node("Cast", ["x"], ["d"], to=T.DOUBLE)]
    return model(
        [
            *start,
            h.make_node("Sub", ["x" if double else "d", "mean"], ["a"]), h.make_node("Div", ["a", "hour"], ["b"]),
            h.make_node("Cast", ["b"], ["c"], to=T.FLOAT),
            h.make_node("Gemm", ["c", "w"], ["h"]), h.make_node("Relu", ["h"], ["e"]), h.make_node("Gemm", ["e", "v"], ["y"]),
        ],
        [value("x", T.DOUBLE if double else T.INT64, 1, 4)], [value("y", T.FLOAT, 1, 3)],
        [nh.from_array(np.full(4, 1.7e9), "mean"), nh.from_array(np.full(4, 3600.0), "hour"), weight("w", "f4", 4, 8),
         weight("v", "f4", 8, 3)],
    )  # fmt: skip


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize(
    ("precision", "least"), [("fp32", 190), ("fp16", 55), ("int8", 30), ("int8-dynamic", 30)]
)
def test_times_in_float64_keep_their_seconds(
    double: bool, precision: str, least: float, made: Callable[..., Artifact], graph_of: Callable[[Artifact], Any],
    tmp_path: Path,
) -> None:  # fmt: skip
    """Float32 counts them in steps of two minutes."""
    onnx.save(times(double), tmp_path / "source.onnx")
    seconds = 1.7e9 + np.random.default_rng(1).integers(-7200, 7200, (32, 4))
    np.savez(tmp_path / "data.npz", x=seconds.astype("f8" if double else "i8"))
    artifact = made(tmp_path / "source.onnx", precision, calibration=tmp_path / "data.npz")
    assert "float64" in narrow_kinds(graph_of(artifact))
    assert artifact.manifest.parity.sqnr_db > least


@pytest.mark.parametrize(("operator", "left"), [("Sqrt", ["float64"]), ("Elu", [])])
def test_float64_that_the_runtime_has_no_kernel_for_becomes_float32(operator: str, left: list[str]) -> None:
    """Other frameworks have them: what they export is not known to run."""
    source = model(
        [
            h.make_node("Cast", ["x"], ["d"], to=T.DOUBLE), h.make_node(operator, ["d"], ["e"]),
            h.make_node("Cast", ["e"], ["f"], to=T.FLOAT), h.make_node("Gemm", ["f", "w"], ["y"]),
        ],
        [value("x", T.INT64, 1, 4)], [value("y", T.FLOAT, 1, 8)], [weight("w", "f4", 4, 8)],
    )  # fmt: skip
    assert narrow_kinds(widely(source, "fp32", float64=True)[0]) == left


def test_a_target_without_float64_says_what_became_of_the_seconds(workers: Workers, tmp_path: Path) -> None:
    onnx.save(times(double=False), tmp_path / "source.onnx")
    seconds = 1.7e9 + np.random.default_rng(1).integers(-7200, 7200, (32, 4))
    np.savez(tmp_path / "data.npz", x=seconds.astype("i8"))
    request = compile_request(
        source=tmp_path / "source.onnx",
        target="openvino",
        precision="fp32",
        calibration=tmp_path / "data.npz",
    )
    with pytest.raises(ConversionError) as refused:
        compile_model(request, workers=workers)
    assert "subtract the offset before the model, or take --target onnxruntime" in str(refused.value.hint)


def test_a_network_in_float64_is_no_preparation_and_halves_beside_one_become_float32() -> None:
    assert not narrow_kinds(widely(dense(), float64=True)[0])
    mixed = times(double=False)
    mixed.graph.node[3].attribute[0].i = T.FLOAT16
    mixed.graph.node.insert(4, h.make_node("Cast", ["c"], ["f"], to=T.FLOAT))
    mixed.graph.node[5].input[0] = "f"
    made, notes = widely(mixed, float64=True)
    onnx.checker.check_model(made, full_check=True)
    assert narrow_kinds(made) == ["float64"]
    assert notes == ["float16 became float32 before the conversion"]


def test_no_idle_cast_is_left_between_layers() -> None:
    assert "Cast" not in [node.op_type for node in widely(islands())[0].graph.node]


def test_the_lowest_float64_of_a_mask_does_not_become_minus_infinity() -> None:
    low = nh.from_array(np.array([np.finfo(np.float64).min, -np.inf, 1]), "low")
    made, _ = widely(
        model(
            [h.make_node("Add", ["x", "low"], ["y"])],
            [value("x", T.DOUBLE, 3)],
            [value("y", T.DOUBLE, 3)],
            [low],
        )
    )
    assert nh.to_array(made.graph.initializer[0]).tolist() == [np.finfo(np.float32).min, -np.inf, 1]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int16x8"])
@pytest.mark.parametrize("name", ["float64", "islands"])
def test_every_precision_is_made_of_it(
    name: str,
    precision: str,
    made: Callable[..., Artifact],
    graph_of: Callable[[Artifact], Any],
    tmp_path: Path,
) -> None:
    onnx.save(MODELS[name](), tmp_path / "source.onnx")
    artifact = made(tmp_path / "source.onnx", precision)
    manifest = artifact.manifest
    left = set(narrow_kinds(graph_of(artifact)))
    if (name, precision) == ("float64", "fp32"):  # the runtime computes in it
        assert (left, manifest.notes, manifest.inputs[0].dtype) == ({"float64"}, (), "float64")
        return
    assert {spec.dtype for spec in (*manifest.inputs, *manifest.outputs)} == {"float32"}
    assert any("became float32" in note for note in manifest.notes)
    assert left == ({"float16"} if precision == "fp16" else set())
    assert manifest.parity.sqnr_db > (60 if precision == "fp32" else 25)


def test_as_it_is_it_keeps_its_floats(made: Callable[..., Artifact], tmp_path: Path) -> None:
    onnx.save(dense(), tmp_path / "source.onnx")
    manifest = made(tmp_path / "source.onnx", "as-is").manifest
    assert [spec.dtype for spec in (*manifest.inputs, *manifest.outputs)] == ["float64", "float64"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_calibration_of_any_width_is_taken(dtype: str, made: Callable[..., Artifact], tmp_path: Path) -> None:
    onnx.save(dense(), tmp_path / "source.onnx")
    data = np.random.default_rng(1).normal(0, 1, (32, 8)).astype(dtype)
    np.savez(tmp_path / "data.npz", x=data)
    assert (
        made(tmp_path / "source.onnx", "int8", calibration=tmp_path / "data.npz").manifest.parity.sqnr_db > 25
    )


@pytest.mark.parametrize(("name", "least"), [("islands", 35.0), ("float16", 35.0), ("float64", 60.0)])
def test_float32_is_not_blamed_for_the_rounding_of_its_source(
    name: str, least: float, made: Callable[..., Artifact], tmp_path: Path
) -> None:
    """A source of halves is what is less exact: a mixed_bfloat16 model of Keras is 58 dB from its float32."""
    onnx.save(MODELS[name](), tmp_path / "source.onnx")
    assert made(tmp_path / "source.onnx", "fp32").manifest.goldens.tolerance.sqnr_db == least


def table(rows: int, width: int = 1024) -> onnx.ModelProto:
    """A table of halves, of zeros that take no memory until they are copied."""
    held = onnx.TensorProto(
        name="t", data_type=T.FLOAT16, dims=[rows, width], raw_data=bytes(2 * rows * width)
    )
    nodes = [h.make_node("Gather", ["t", "i"], ["a"]), h.make_node("Cast", ["a"], ["y"], to=T.FLOAT)]
    return model(nodes, [value("i", T.INT64, 1)], [value("y", T.FLOAT, 1, width)], [held])


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_halves_that_would_not_fit_into_one_file_stay_or_are_refused(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`LARGE` is near to 2 GiB, where protocol buffers end."""
    monkeypatch.setattr(widen_floats, "LARGE", 300_000)
    source = table(100)
    assert widely(table(50), precision)[1] == ["float16 became float32 before the conversion"]
    if precision == "int8":
        with pytest.raises(ConversionError, match="too large to be made int8") as refused:
            widely(source, precision)
        assert refused.value.code == "model-too-large"
    else:
        assert widely(source, precision) == (
            source,
            ["float16 stays: the model is too large to be made float32"],
        )


def test_the_size_in_float32_is_known_before_it_is_made() -> None:
    for source in (dense(np.float16, T.FLOAT16), islands(), brain(), dense()):
        wide = widely(source)[0].ByteSize()
        assert abs(widen_floats.widened_size(source) - wide) < 300  # Casts that go, and lengths
