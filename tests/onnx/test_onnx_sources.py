"""ONNX files as users bring them: custom operators, weights beside the file, quantised, larger than 2 GiB."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.recognition import recognise
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError, ModelError


def test_operators_of_a_library_are_refused_by_name(made, write):
    nodes = [
        ("Swirl", ["x"], ["s"], {"domain": "com.acme"}),
        ("Twist", ["s"], ["t"], {"domain": "com.acme"}),
        ("Relu", ["t"], ["y"], {}),
    ]
    source = write("own.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8)}, {}, domains={"com.acme": 1})
    with pytest.raises(ModelError, match=r"com\.acme\.Swirl \(s\), com\.acme\.Twist \(t\)") as caught:
        made(source, "fp32")
    assert caught.value.code == "custom-operator"
    assert "functions of the model" in caught.value.hint


def test_a_plug_in_without_a_domain_is_one_of_them_and_the_part_before_it_converts(made, write, tmp_path):
    """So tools for TensorRT write its plug-ins. ONNX's checker would call the whole file invalid."""
    import onnx

    nodes = [("Relu", ["x"], ["r"], {}), ("EfficientNMS_TRT", ["r"], ["y"], {"name": "/nms"})]
    source = write("plugin.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8)}, {})
    with pytest.raises(
        ModelError, match=r"nothing verifies their outputs: EfficientNMS_TRT \(/nms\)"
    ) as caught:
        made(source, "fp32")
    assert (
        caught.value.code == "custom-operator"
        and "extract_model(..., check_model=False)" in caught.value.hint
    )
    cut = tmp_path / "cut.onnx"
    onnx.utils.extract_model(str(source), str(cut), ["x"], ["r"], check_model=False)
    assert made(cut, "fp32").manifest.parity.sqnr_db > 100


def test_functions_of_the_model_are_no_foreign_operators(made, write):
    import onnx
    from onnx import helper

    nodes = [("Twice", ["x"], ["y"], {"domain": "com.acme"})]
    source = write("function.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8)}, {}, domains={"com.acme": 1})
    model = onnx.load(str(source))
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    model.functions.append(
        helper.make_function("com.acme", "Twice", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    )
    onnx.save(model, str(source))
    assert made(source, "fp32").manifest.parity.sqnr_db > 100


@pytest.mark.parametrize("precision", ["fp32", "int8", "int8-weights"])
def test_weights_that_old_files_list_among_their_inputs_are_weights(made, write, graph_of, precision):
    import onnx
    from onnx import TensorProto, helper

    kernel = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype("float32")
    nodes = [("Conv", ["x", "kernel"], ["y"], {})]
    source = write("old.onnx", nodes, {"x": (1, 3, 8, 8)}, {"y": (1, 4, 6, 6)}, {"kernel": kernel}, opset=9)
    model = onnx.load(str(source))
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("kernel", TensorProto.FLOAT, kernel.shape))
    onnx.save(model, str(source))
    artifact = made(source, precision)
    assert [spec.name for spec in artifact.manifest.inputs] == ["x"]
    assert [item.name for item in graph_of(artifact).graph.input] == ["x"]
    assert artifact.manifest.parity.sqnr_db > 25


def test_an_output_without_a_shape_gets_the_inferred_one(made, write):
    import onnx

    nodes = [("Sin", ["x"], ["y"], {}), ("Cos", ["x"], ["z"], {})]
    source = write("bare.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8), "z": (1, 8)}, {})
    model = onnx.load(str(source))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(source))
    assert [spec.shape for spec in made(source, "fp32").manifest.outputs] == [(1, 8), (1, 8)]


@pytest.mark.parametrize("precision", ["as-is", "fp32", "int8"])
def test_weights_beside_the_file_come_along(made, small_models, tmp_path, precision, answers_of):
    import onnx

    model = onnx.load(str(small_models("onnx") / "attention.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(
        model,
        str(tmp_path / "net.onnx"),
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=64,
    )
    artifact = made(tmp_path / "net.onnx", precision)
    names = {entry.path for entry in artifact.manifest.files}
    assert names == {"model.onnx", "goldens.npz"}  # in one piece: runtimes do not find shapes in other files
    shutil.rmtree(tmp_path)  # nothing of the source is needed any more
    (output,) = answers_of(artifact)
    with np.load(artifact.folder / "goldens.npz") as goldens:
        assert np.abs(output - goldens["output_0"]).max() < (0.3 if precision == "int8" else 1e-4)


def beside(name, location, values):
    """A tensor whose values are in a separate file."""
    from onnx import TensorProto

    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[len(values)])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def scattered(folder, location="a.bin"):
    """(file, what it is): y = x + c + (s > 0 ? b : -b), c in a constant node, and b in inner graphs and a function."""
    from onnx import TensorProto, helper

    values = {"a.bin": [1, 2, 3], "b.bin": [4, 5, 6], "d.bin": [7, 8, 9]}
    for name, numbers in values.items():
        (folder / name).write_bytes(np.array(numbers, "float32").tobytes())
    result = [helper.make_tensor_value_info("r", TensorProto.FLOAT, [3])]
    inner = helper.make_graph(
        [helper.make_node("Identity", ["b"], ["r"])], "yes", [], result, [beside("b", "b.bin", [4, 5, 6])]
    )
    other = helper.make_graph([helper.make_node("Twice", [], ["r"], domain="com.acme")], "no", [], result)
    constant = helper.make_node("Constant", [], ["d"], value=beside("", "d.bin", [7, 8, 9]))
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.acme", 1)]
    twice = [constant, helper.make_node("Add", ["d", "d"], ["e"])]
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["c"], value=beside("", location, [1, 2, 3])),
            helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
            helper.make_node("Cast", ["s"], ["p"], to=TensorProto.BOOL),
            helper.make_node("If", ["p"], ["i"], then_branch=inner, else_branch=other),
            helper.make_node("Add", ["x", "c"], ["xc"]),
            helper.make_node("Add", ["xc", "i"], ["y"]),
        ],
        "scattered",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    model.functions.append(helper.make_function("com.acme", "Twice", [], ["e"], twice, opsets[:1]))
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    return folder / "net.onnx"


@pytest.mark.parametrize("name", ["a.bin", "b.bin", "d.bin"])
def test_weights_beside_the_file_are_part_of_it_wherever_they_are_named(tmp_path, name):
    source = scattered(tmp_path)
    before = recognise(source)
    (tmp_path / name).write_bytes(b"\1" + (tmp_path / name).read_bytes()[1:])
    assert recognise(source).source.sha256 != before.source.sha256
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=r"weights of net\.onnx are missing"):
        recognise(source)


@pytest.mark.parametrize("place", ["../secret.bin", "/secret.bin", "link.bin"])
def test_weights_outside_of_the_folder_are_refused(tmp_path, place):
    secret, folder = tmp_path / "secret.bin", tmp_path / "model"
    folder.mkdir()
    secret.write_bytes(np.ones(3, "float32").tobytes())
    (folder / "link.bin").symlink_to(secret)
    with pytest.raises(
        ModelError, match=r"weights of net\.onnx lie outside its folder: .*(secret|link)\.bin"
    ):
        recognise(
            scattered(
                folder, place.replace("/secret", f"{secret.parent}/secret") if place[0] == "/" else place
            )
        )


@pytest.mark.parametrize("precision", ["as-is", "fp32"])
def test_constants_beside_the_file_come_along(made, tmp_path, precision, answers_of):
    artifact = made(scattered(tmp_path), precision)
    assert {entry.path for entry in artifact.manifest.files} == {"model.onnx", "goldens.npz"}
    shutil.rmtree(tmp_path)
    assert np.isfinite(answers_of(artifact)[0]).all()


@pytest.mark.parametrize("precision", ["int8", "int8-dynamic", "int8-weights", "int16x8", "int4-weights"])
def test_quantised_files_are_recognised_and_not_quantised_again(made, small_models, tmp_path, precision):
    quantised = made(small_models("onnx") / "attention.onnx", precision)
    source = shutil.copy(quantised.folder / "model.onnx", tmp_path / "given.onnx")
    assert recognise(source).quantised
    with pytest.raises(ConversionError, match="it is quantised already"):
        made(source, "int8")
    again = made(source)
    assert again.manifest.precision == "as-is"
    assert again.manifest.parity.sqnr_db > 30
    assert again.manifest.requires == quantised.manifest.requires


def test_the_operator_form_of_quantisation_is_recognised(small_models, tmp_path):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Samples(CalibrationDataReader):
        def __init__(self):
            random = np.random.default_rng(0)
            self.left = [random.normal(size=(1, 3, 16, 16)).astype("float32") for _ in range(4)]

        def get_next(self):
            return {"image": self.left.pop()} if self.left else None

    plain = small_models("onnx") / "cnn.onnx"
    quantize_static(str(plain), str(tmp_path / "q.onnx"), Samples(), quant_format=QuantFormat.QOperator)
    assert b"QLinearConv" in (tmp_path / "q.onnx").read_bytes()
    assert recognise(tmp_path / "q.onnx").quantised
    assert not recognise(plain).quantised


def test_quantisation_inside_a_function_is_recognised(write):
    import onnx
    from onnx import helper

    nodes = [("Inner", ["x"], ["y"], {"domain": "com.acme"})]
    source = write("function.onnx", nodes, {"x": (1, 8)}, {"y": (1, 8)}, {}, domains={"com.acme": 1})
    assert not recognise(source).quantised
    model = onnx.load(str(source))
    body = [helper.make_node("DynamicQuantizeLinear", ["a"], ["q", "s", "z"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["b"])]  # fmt: skip
    model.functions.append(
        helper.make_function("com.acme", "Inner", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    )
    onnx.save(model, str(source))
    assert recognise(source).quantised


def peak_mb(workers: Workers, kind: str) -> float:
    """Most resident memory that a worker has had, MiB."""
    status = Path(f"/proc/{workers._running[kind].pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


ROWS, WIDTH = 9_000_000, 64  # 2.15 GiB of float32


def large_model(folder):
    """A table of more than 2 GiB, a sparse file of which 16 rows are written, and a product."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)
    size = ROWS * WIDTH * 4
    table = TensorProto(name="table", data_type=TensorProto.FLOAT, dims=[ROWS, WIDTH])
    table.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "table.bin", "offset": "0", "length": str(size)}.items():
        table.external_data.add(key=key, value=value)
    with (folder / "table.bin").open("wb") as file:
        file.write(random.normal(size=(16, WIDTH)).astype("float32").tobytes())
        file.truncate(size)
    weights = numpy_helper.from_array(random.normal(size=(16 * WIDTH, 8)).astype("float32") / 30, "weights")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "tokens"], ["rows"]),
            helper.make_node("Flatten", ["rows"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["y"]),
        ],
        "large",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8])],
        [table, weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (folder / "large.onnx").write_bytes(model.SerializeToString())
    return folder / "large.onnx"


@pytest.mark.slow
def test_a_model_over_2_gib_keeps_its_weights_in_files_and_memory_bounded(made, workers, tmp_path):
    source = large_model(tmp_path)
    data = tmp_path / "tokens.npz"  # random ones would look up rows that were never written
    np.savez(data, tokens=np.random.default_rng(4).integers(0, 16, (40, 16)))
    artifact = made(source, "fp32", calibration=data)
    files = {entry.path: entry.size for entry in artifact.manifest.files}
    assert files["table.bin"] == ROWS * WIDTH * 4 > 2**31
    assert files["model.onnx"] < 100_000
    assert artifact.manifest.parity.sqnr_db > 100
    with np.load(artifact.folder / "goldens.npz") as goldens:
        output = goldens["output_0"]
    assert np.abs(output - output[0]).max() > 0.1
    copied = artifact.folder / "table.bin"
    assert copied.stat().st_blocks * 512 < 2**24  # its holes were not filled
    assert not copied.samefile(tmp_path / "table.bin")  # whoever edits the source does not edit the store
    assert peak_mb(workers, "onnx") < 1500

    with pytest.raises(ConversionError, match=r"2\.1 GiB is too large to be made int8-weights") as caught:
        made(source, "int8-weights", calibration=data)
    assert "fp32 and as-is" in caught.value.hint
