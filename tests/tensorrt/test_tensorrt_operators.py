"""What TensorRT's parser lacks is refused at conversion with the names of node and operator, by the board's version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto, helper, numpy_helper

from edgewright import targets
from edgewright.compile.workers.pool import Workers
from edgewright.config import profiles
from edgewright.deployments import preflight
from edgewright.deployments.runtime_caps import compile_for
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright_targets.tensorrt import check_operators
from edgewright_targets.tensorrt.operator_table import NEVER, PLUGINS, SINCE

NANO, XAVIER, ORIN = "jetson-nano", "jetson-xavier-nx", "jetson-orin-nano"  # 8.2, 8.5 and 10.3
KERNEL = np.random.default_rng(5).normal(size=(6, 3, 3, 3)).astype("float32") / 5
NODES: dict[str, tuple[list[Any], dict[str, Any], int]] = {  # nodes from c to y, their weights, opset
    "Mod": ([helper.make_node("Mod", ["c", "w"], ["y"], fmod=1, name="/head/Mod")], {"w": np.float32(2)}, 13),
    "IsInf": (
        [
            helper.make_node("IsInf", ["c"], ["inf"], name="/guard/IsInf"),
            helper.make_node("Where", ["inf", "w", "c"], ["y"]),
        ],
        {"w": np.float32(0)},
        13,
    ),
    "NonZero": (
        [
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("NonZero", ["w"], ["at"], name="/mask/NonZero"),
            helper.make_node("Cast", ["at"], ["index"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["index"], ["sum"], keepdims=0),
            helper.make_node("Add", ["r", "sum"], ["y"]),
        ],
        {"w": np.float32([1, 0, 2])},
        13,
    ),
    "OneHot": (
        [
            helper.make_node("ArgMax", ["c"], ["class"], axis=1, keepdims=0),
            helper.make_node("OneHot", ["class", "depth", "values"], ["hot"], axis=1, name="/head/OneHot"),
            helper.make_node("Mul", ["hot", "c"], ["y"]),
        ],
        {"depth": np.int64(6), "values": np.float32([0, 1])},
        13,
    ),
    "LayerNormalization": (
        [helper.make_node("LayerNormalization", ["c", "w"], ["y"], name="/ln")],
        {"w": np.ones(8, "float32")},
        17,
    ),
    "GroupNormalization": (
        [helper.make_node("GroupNormalization", ["c", "w", "b"], ["y"], num_groups=2, name="/gn")],
        {"w": np.ones(6, "float32"), "b": np.zeros(6, "float32")},
        21,
    ),
    "Det": ([helper.make_node("Det", ["c"], ["det"], name="/det"), helper.make_node("Unsqueeze", ["det", "w"], ["y"])], {"w": np.int64([2, 3])}, 13),
    "com.microsoft.Gelu": ([helper.make_node("Gelu", ["c"], ["y"], domain="com.microsoft", name="/act/Gelu")], {}, 13),
}  # fmt: skip


def written(folder: Path, name: str) -> Path:
    """A network of one Conv and the nodes of a name."""
    nodes, weights, opset = NODES[name]
    path = folder / "net.onnx"
    onnx.save(model(nodes, weights, opset), path)
    return path


def model(nodes: list[Any], weights: dict[str, Any], opset: int, functions: tuple[Any, ...] = ()) -> Any:
    conv = helper.make_node("Conv", ["x", "kernel"], ["c"], pads=[1] * 4, name="conv")
    graph = helper.make_graph(
        [conv, *nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in {"kernel": KERNEL, **weights}.items()],
    )  # fmt: skip
    domains = {node.domain for node in nodes} - {""}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    made = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=list(functions))
    return with_shape(made) if domains or opset > 20 else onnx.shape_inference.infer_shapes(made)


def with_shape(made: Any) -> Any:
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6, 8, 8]))
    return made


def converted(
    source: Path, board: str, workers: Workers, precision: str = "fp32", **more: Any
) -> tuple[Artifact, list[Any]]:
    request = compile_request(source=source, target="tensorrt", precision=precision, **more)
    return compile_for(profiles.load(board), request, workers=workers)


@pytest.mark.parametrize(
    ("name", "lacking", "since", "having"),
    [
        ("Mod", NANO, "8.5", XAVIER),
        ("NonZero", NANO, "8.5", XAVIER),
        ("OneHot", NANO, "8.5", XAVIER),
        ("IsInf", XAVIER, "8.6", ORIN),
    ],
)
def test_an_operator_that_the_boards_version_lacks_is_named(
    workers: Workers, tmp_path: Path, name: str, lacking: str, since: str, having: str
) -> None:
    source = written(tmp_path, name)
    with pytest.raises(EdgewrightError, match="lacks operators of this model") as caught:
        converted(source, lacking, workers)
    node = next(one.name for one in NODES[name][0] if one.op_type == name)
    assert f"TensorRT has {name} ({node}) from {since} on" in caught.value.message
    assert "--target onnxruntime" in caught.value.hint and caught.value.code == "runtime-too-old"
    artifact, too_old = converted(source, having, workers)
    assert too_old == []
    assert artifact.manifest.requires == {"opset": 13, "operators": check_operators.number(since)}


def test_a_normalisation_that_it_lacks_is_written_in_older_operators(
    workers: Workers, tmp_path: Path
) -> None:
    source = written(tmp_path, "LayerNormalization")
    for board in (NANO, XAVIER):
        artifact, _ = converted(source, board, workers)
        assert artifact.manifest.requires == {"opset": 13}
        shipped = onnx.load(str(artifact.folder / "model.onnx"))
        assert "LayerNormalization" not in {node.op_type for node in shipped.graph.node}
    artifact, _ = converted(source, ORIN, workers)
    assert artifact.manifest.requires == {"opset": 17, "operators": 806}
    cause = artifact.manifest.causes["operators"]
    assert "an export at opset 16 writes LayerNormalization in other operators" in cause


@pytest.mark.parametrize("board", [NANO, XAVIER])
def test_one_that_cannot_be_written_so_is_named_with_the_opset_that_helps(
    workers: Workers, tmp_path: Path, board: str
) -> None:
    with pytest.raises(EdgewrightError, match="lacks operators of this model") as caught:
        converted(written(tmp_path, "GroupNormalization"), board, workers)
    assert "GroupNormalization (/gn) from 8.6 on" in caught.value.message
    assert "an export at opset 17 writes GroupNormalization in other operators" in caught.value.message


@pytest.mark.parametrize(
    ("name", "node"), [("Det", "Det (/det)"), ("com.microsoft.Gelu", "com.microsoft.Gelu (/act/Gelu)")]
)
@pytest.mark.parametrize("board", [NANO, ORIN])
def test_what_no_version_has_is_refused_for_every_board(
    workers: Workers, tmp_path: Path, name: str, node: str, board: str
) -> None:
    with pytest.raises(EdgewrightError, match="no TensorRT has these operators") as caught:
        converted(written(tmp_path, name), board, workers)
    assert node in caught.value.message and caught.value.code == "custom-operators"


def test_a_quantised_source_with_integer_kernels_is_refused(workers: Workers, tmp_path: Path) -> None:
    """`as-is` passes such files on; its parser has QuantizeLinear, but no QLinearConv."""
    from onnxruntime.quantization import QuantFormat, quantize_static

    class Samples:
        def __init__(self) -> None:
            self.left = [{"x": np.float32(np.random.default_rng(2).normal(size=(1, 3, 8, 8)))}]

        def get_next(self) -> Any:
            return self.left.pop() if self.left else None

    path = tmp_path / "operators.onnx"
    source = tmp_path / "float.onnx"
    onnx.save(model([helper.make_node("Relu", ["c"], ["y"])], {}, 13), source)
    quantize_static(str(source), str(path), Samples(), quant_format=QuantFormat.QOperator)
    with pytest.raises(EdgewrightError, match="no TensorRT has these operators: QLinearConv"):
        converted(path, ORIN, workers, precision="as-is")


def test_a_plug_in_of_tensorrts_passes_as_it_is(workers: Workers, tmp_path: Path) -> None:
    """It is a function of the model: the host runs the function, TensorRT its plug-in of that name."""
    body = [helper.make_node("Mod", ["a", "a"], ["m"], fmod=1), helper.make_node("Sub", ["a", "m"], ["b"])]
    function = helper.make_function(
        "TRT", "EfficientNMS_TRT", ["a"], ["b"], body, [helper.make_opsetid("", 13)]
    )
    node = helper.make_node("EfficientNMS_TRT", ["c"], ["y"], domain="TRT", name="/nms")
    source = tmp_path / "nms.onnx"
    onnx.save(model([node], {}, 13, (function,)), source)
    for board in (NANO, ORIN):
        artifact, _ = converted(source, board, workers)
        assert artifact.manifest.requires == {"opset": 13} and artifact.manifest.causes == {}
        shipped = onnx.load(str(artifact.folder / "model.onnx"))
        assert [one.op_type for one in shipped.graph.node] == ["Conv", "EfficientNMS_TRT"]


def test_a_function_of_another_name_needs_a_version_that_reads_functions() -> None:
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 13)]
    )  # fmt: skip
    made = model([helper.make_node("Twice", ["c"], ["y"], domain="own", name="/twice")], {}, 13, (function,))
    check_operators.refuse(made)
    assert check_operators.needed([made]) == (900, "TensorRT has own.Twice (/twice) from 9.0 on")


def test_a_tensor_inside_a_function_is_not_the_graphs_one_of_that_name() -> None:
    function = helper.make_function(
        "own", "Twice", ["bytes"], ["b"], [helper.make_node("Add", ["bytes", "bytes"], ["b"])], [helper.make_opsetid("", 13)]
    )  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["c"], ["bytes"], to=TensorProto.UINT8, name="/bytes"),
        helper.make_node("Cast", ["bytes"], ["floats"], to=TensorProto.FLOAT, name="/floats"),
        helper.make_node("Twice", ["floats"], ["y"], domain="own", name="/twice"),
    ]
    check_operators.refuse(model(nodes, {}, 13, (function,)))


def test_float64_is_refused_by_the_nodes_that_compute_in_it() -> None:
    nodes = [
        helper.make_node("Cast", ["c"], ["wide"], to=TensorProto.DOUBLE, name="/to"),
        helper.make_node("Exp", ["wide"], ["large"], name="/exp"),
        helper.make_node("Cast", ["large"], ["y"], to=TensorProto.FLOAT, name="/back"),
    ]
    with pytest.raises(EdgewrightError, match="does not compute in float64") as caught:
        check_operators.refuse(model(nodes, {}, 13))
    assert "Cast (/to), Exp (/exp), Cast (/back)" in caught.value.message


LIMITED: dict[str, tuple[list[Any], dict[str, Any], str]] = {  # nodes from c to y, their weights, the words of the refusal
    "dilated pool": (
        [helper.make_node("MaxPool", ["c"], ["y"], kernel_shape=[3, 3], dilations=[1, 2], pads=[1, 2, 1, 2], name="/pool")],
        {}, "MaxPool (/pool) with dilations [1, 2]",
    ),
    "indices": (
        [helper.make_node("MaxPool", ["c"], ["y", "at"], kernel_shape=[3, 3], pads=[1] * 4, name="/pool")],
        {}, "MaxPool (/pool) with output at",
    ),
    "antialias": (
        [helper.make_node("Resize", ["c", "", "scales"], ["y"], mode="linear", antialias=1, name="/up")],
        {"scales": np.float32([1, 1, 1, 1])}, "Resize (/up) with antialias 1",
    ),
    "transformation": (
        [helper.make_node("Resize", ["c", "roi", "scales"], ["y"], coordinate_transformation_mode="tf_crop_and_resize", name="/crop")],
        {"roi": np.float32([0, 0, 0, 0, 1, 1, 1, 1]), "scales": np.float32([1, 1, 1, 1])},
        "Resize (/crop) with coordinate_transformation_mode tf_crop_and_resize",
    ),
    "int16": (
        [
            helper.make_node("Cast", ["c"], ["short"], to=TensorProto.INT16, name="/short"),
            helper.make_node("Cast", ["short"], ["y"], to=TensorProto.FLOAT, name="/float"),
        ],
        {}, "Cast (/short) with type INT16, Cast (/float) with type INT16",
    ),
    "bytes inside": (
        [
            helper.make_node("Cast", ["c"], ["bytes"], to=TensorProto.UINT8, name="/bytes"),
            helper.make_node("Transpose", ["bytes"], ["turned"], perm=[0, 1, 3, 2], name="/turn"),
            helper.make_node("Cast", ["turned"], ["y"], to=TensorProto.FLOAT, name="/float"),
        ],
        {}, "takes Transpose (/turn) with type UINT8",
    ),
    "unsigned": (
        [
            helper.make_node("QuantizeLinear", ["c", "step", "zero"], ["q"], name="/q"),
            helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["y"], name="/dq"),
        ],
        {"step": np.float32(0.1), "zero": np.uint8(0)}, "QuantizeLinear (/q) with type UINT8, DequantizeLinear (/dq) with type UINT8",
    ),
    "zero point": (
        [
            helper.make_node("QuantizeLinear", ["c", "step", "zero"], ["q"], name="/q"),
            helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["y"], name="/dq"),
        ],
        {"step": np.float32(0.1), "zero": np.int8(3)}, "QuantizeLinear (/q) with a zero point that is not 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_a_limit_that_every_version_has_is_named_with_the_layer(name: str) -> None:
    nodes, weights, words = LIMITED[name]
    with pytest.raises(EdgewrightError, match=r"no TensorRT up to 11\.0 takes") as caught:
        check_operators.refuse(with_shape(model(nodes, weights, 18)))
    assert words in caught.value.message
    assert "--target onnxruntime" in caught.value.hint and caught.value.code == "custom-operators"


def test_what_is_within_the_limits_passes() -> None:
    nodes = [
        helper.make_node("MaxPool", ["c"], ["p", ""], kernel_shape=[3, 3], dilations=[1, 1], pads=[1] * 4),
        helper.make_node("QuantizeLinear", ["p", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["d"]),
        helper.make_node("Resize", ["d", "", "scales"], ["r"], mode="linear", coordinate_transformation_mode="asymmetric"),
        helper.make_node("Cast", ["r"], ["whole"], to=TensorProto.INT64),
        helper.make_node("CumSum", ["whole", "axis"], ["sums"]),  # parses with integers, whatever the column of types says
        helper.make_node("Cast", ["sums"], ["y"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    weights = {
        "step": np.float32(0.1),
        "zero": np.int8(0),
        "scales": np.float32([1, 1, 1, 1]),
        "axis": np.int64(3),
    }
    made = model(nodes, weights, 18)
    check_operators.refuse(made)
    assert check_operators.needed([made]) == (0, "")


def test_bytes_at_an_input_need_a_version_that_takes_them(workers: Workers, tmp_path: Path) -> None:
    made = model([helper.make_node("Relu", ["c"], ["y"])], {}, 13)
    made.graph.node[0].input[0] = "floats"
    made.graph.node.insert(0, helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT, name="/cast"))
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    source = tmp_path / "bytes.onnx"
    onnx.save(made, source)
    artifact, _ = converted(source, XAVIER, workers)
    assert artifact.manifest.requires == {"opset": 13, "operators": 805}
    with pytest.raises(EdgewrightError, match="lacks operators of this model") as caught:
        converted(source, NANO, workers)
    assert "TensorRT has UINT8 at Cast (/cast) from 8.5 on" in caught.value.message


def test_a_node_inside_a_loop_is_named() -> None:
    inner = helper.make_graph(
        [helper.make_node("Mod", ["c", "c"], ["m"], fmod=1, name="/then/Mod")],
        "then",
        [],
        [helper.make_tensor_value_info("m", TensorProto.FLOAT, [1, 6, 8, 8])],
    )
    made = model(
        [helper.make_node("If", ["w"], ["y"], then_branch=inner, else_branch=inner)],
        {"w": np.array(True)},
        13,
    )
    least, cause = check_operators.needed([made])
    assert least == 805 and "Mod (/then/Mod)" in cause


def test_a_board_that_is_older_than_its_profile_is_refused_with_the_names(
    workers: Workers, tmp_path: Path
) -> None:
    """A Xavier with JetPack 4.6: the artifact was made for its profile, JetPack 5.1."""
    artifact, _ = converted(written(tmp_path, "Mod"), XAVIER, workers)
    found = RuntimeFact(
        ref="system:tensorrt", name="tensorrt", target="tensorrt", version="8.2.1.8", system=True
    )
    with pytest.raises(
        preflight.NoFit, match=r"tensorrt 8.2.1.8 of kitchen lacks operators .* Mod \(/head/Mod\)"
    ):
        preflight.check_system(artifact.manifest, Facts(runtimes=(found,)), board="kitchen")
    newer = RuntimeFact(
        ref="system:tensorrt", name="tensorrt", target="tensorrt", version="8.5.2.2", system=True
    )
    preflight.check_system(artifact.manifest, Facts(runtimes=(newer,)), board="kitchen")


def test_the_table_speaks_of_onnx_and_leaves_little_out() -> None:
    standard = {one.name for one in onnx.defs.get_all_schemas_with_history() if one.domain == ""}
    assert set(SINCE) | NEVER <= standard
    assert not set(SINCE) & NEVER and not PLUGINS & standard
    assert len(standard - set(SINCE) - NEVER) < 10
    target = targets.load("tensorrt")
    for operator, version in SINCE.items():
        assert target.caps_of("tensorrt", version)["operators"] == check_operators.number(version), operator
