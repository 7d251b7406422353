"""What is shipped to a Jetson: an ONNX file that is right on the host, a recipe, and for int8 both of TensorRT's styles."""

import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.sources import onnx_session
from edgewright.config import profiles
from edgewright.deployments.runtime_caps import compile_for
from edgewright.errors import EdgewrightError
from edgewright.nouns.conversion import Conversion

RUNNER = targets.runner("tensorrt")


@pytest.fixture
def build(model, samples, workers):
    def made(precision, source=model, **more):
        request = compile_request(
            source=source, target="tensorrt", precision=precision, calibration=samples, **more
        )
        return compile_model(request, workers=workers)

    return made


def recipe(artifact):
    return json.loads((artifact.folder / "recipe.json").read_text())


def answers(path, samples, names=None):
    """Outputs of an ONNX file by name, for each sample."""
    session = onnx_session.session(path)
    rows = [session.run(names, {"x": sample[None]}) for sample in np.load(samples)["x"]]
    found = [item.name for item in session.get_outputs()] if names is None else names
    return {name: np.stack([row[index] for row in rows]) for index, name in enumerate(found)}


def activations(path, folder):
    """A copy of an ONNX file that gives every tensor, and their names."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    names = [name for node in model.graph.node for name in node.output]
    known = {item.name: item for item in model.graph.value_info}
    model.graph.output.extend(known[name] for name in names if name in known)
    onnx.save(model, str(folder / "all.onnx"))
    return folder / "all.onnx", names


@pytest.mark.parametrize(("precision", "types", "least_db"), [("fp32", [], 100), ("fp16", ["FP16"], 50)])
def test_floats_are_one_file_and_a_recipe(build, precision, types, least_db):
    artifact = build(precision)
    assert sorted(entry.path for entry in artifact.manifest.files) == [
        "goldens.npz",
        "model.onnx",
        "recipe.json",
    ]
    style = {"model": "model.onnx", "types": types}
    assert recipe(artifact)["styles"] == {"8": style, "10": style}
    assert artifact.manifest.requires == {"opset": 13}
    assert artifact.manifest.parity.sqnr_db > least_db and artifact.manifest.parity.count == 16
    assert artifact.manifest.route == ("onnx:tensorrt.from_onnx", "onnx:tensorrt.finish")


def test_int8_has_explicit_nodes_for_newer_and_ranges_for_older_versions(build, model, samples, tmp_path):
    artifact = build("int8")
    styles = recipe(artifact)["styles"]
    assert styles["10"] == {"model": "model.onnx", "types": ["FP16", "INT8"]}
    assert styles["8"] == {
        "model": "float.onnx",
        "types": ["FP16", "INT8"],
        "calibration": "calibration.cache",
    }
    assert 20 < artifact.manifest.parity.sqnr_db < 80  # the host ran the explicit one

    float_model = artifact.folder / "float.onnx"
    found, wanted = answers(float_model, samples)["y"], answers(model, samples)["y"]
    assert np.abs(wanted - wanted[0]).max() > 1 and np.abs(found - wanted).max() < 1e-4

    title, *lines = (artifact.folder / "calibration.cache").read_text().splitlines()
    assert title == "TRT-0-EntropyCalibration2"
    scales = {
        name: struct.unpack(">f", bytes.fromhex(text))[0]
        for name, text in (line.split(": ") for line in lines)
    }
    everything, names = activations(float_model, tmp_path)
    assert not any(":" in name for name in names) and set(scales) == {"x", *names}
    outputs = answers(everything, samples, names)
    assert scales["x"] == pytest.approx(np.abs(np.load(samples)["x"]).max() / 127, rel=1e-5)
    for name in ("y", "pool", next(name for name in names if "relu" in name)):
        assert scales[name] == pytest.approx(np.abs(outputs[name]).max() / 127, rel=1e-4)


def test_explicit_nodes_are_as_tensorrt_wants_them(build):
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(build("int8").folder / "model.onnx")).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(nodes) == 8  # a pair for each input and each weight of Conv and Gemm
    for node in nodes:
        assert values[node.input[2]].dtype == np.int8 and not values[node.input[2]].any()  # symmetric
    of_weights = [node for node in nodes if node.op_type == "QuantizeLinear" and node.input[0] in values]
    assert sorted(values[node.input[1]].size for node in of_weights) == [4, 6]  # a scale for each channel
    assert all(values[node.input[0]].dtype == np.float32 for node in of_weights)
    producers = {name: node.op_type for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm"):
            assert [producers.get(name) for name in node.input[:2]] == ["DequantizeLinear"] * 2
            assert node.input[2] in values  # the bias stays in floats
    assert {node.domain for node in graph.node} == {""}


def test_layers_kept_in_floats_need_the_explicit_style_everywhere(build):
    artifact = build("int8-mixed", conversion=Conversion(keep_float=("fc",)))
    style = {"model": "model.onnx", "types": ["FP16", "INT8"]}
    assert recipe(artifact)["styles"] == {"8": style, "10": style}
    assert artifact.manifest.kept_float == ("fc",)


def test_a_quantised_source_goes_as_it_is(build):
    source = build("int8").folder / "model.onnx"
    artifact = build("as-is", source=source)
    assert (artifact.folder / "model.onnx").read_bytes() == source.read_bytes()
    assert recipe(artifact)["styles"]["10"]["types"] == ["FP16", "INT8"]


def test_the_calibrator_gives_the_cache_for_the_version_of_the_board(build):
    cache = (build("int8").folder / "calibration.cache").read_bytes()
    for version, title in (("8.2.1.8", b"TRT-8201-"), ("8.5.2.2", b"TRT-8502-"), ("10.3.0", b"TRT-10300-")):
        base = type("Base", (), {})
        trt = SimpleNamespace(__version__=version, IInt8EntropyCalibrator2=base)
        calibrator = RUNNER._calibrator(trt, cache)
        text = calibrator.read_calibration_cache()
        assert text.startswith(title + b"EntropyCalibration2\n")
        assert text.split(b"\n", 1)[1] == cache.split(b"\n", 1)[1]
        assert calibrator.get_batch(["x"]) is None


def test_the_same_inputs_make_the_same_artifact(build):
    assert build("int8", use_cache=False).id == build("int8", use_cache=False).id


def test_integers_at_the_ends_are_refused(build):
    with pytest.raises(EdgewrightError, match="tensorrt keeps floats at inputs and outputs"):
        build("int8", conversion=Conversion(integer_io=True))


@pytest.mark.parametrize(("board", "opset"), [("jetson-nano", 13), ("jetson-orin-nano", 17)])
def test_a_newer_source_is_made_for_the_boards_jetpack(model, workers, tmp_path, board, opset):
    import onnx
    from onnx import version_converter

    newer = tmp_path / "newer.onnx"
    onnx.save(version_converter.convert_version(onnx.load(str(model)), 17), str(newer))
    request = compile_request(source=newer, target="tensorrt", precision="fp32")
    artifact, lacking = compile_for(profiles.load(board), request, workers=workers)
    assert lacking == [] and artifact.manifest.requires == {"opset": opset}
    written = onnx.load(str(artifact.folder / "model.onnx"))
    assert [item.version for item in written.opset_import] == [opset]
