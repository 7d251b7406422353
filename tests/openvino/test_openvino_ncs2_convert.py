"""Models for the Intel NCS2: the toolchain's Model Optimizer, its plugin's word on each layer, answers by OpenVINO 2021.4."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import plan
from edgewright.connect.agent import runner_package
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Artifact

pytestmark = pytest.mark.slow
Compiled = Callable[..., Artifact]
Models = Callable[[str], Path]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with a layer that the stick has no kernel for."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(5).normal(size=(6, 3, 3, 3)).astype("float32") / 5
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["c"], pads=[1] * 4, name="conv"),
            helper.make_node("Cos", ["c"], ["y"], name="cosine"),
        ],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6, 8, 8])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    path = tmp_path_factory.mktemp("odd") / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)
    return path


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Softmax that is masked by the lowest float, at opset 17, whose axes of Unsqueeze are no attribute."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random, node = np.random.default_rng(6), helper.make_node
    graph = helper.make_graph(
        [
            node("MatMul", ["x", "weight"], ["scores"]), node("Greater", ["x", "zero"], ["seen"]),
            node("Cast", ["seen"], ["kept"], to=TensorProto.FLOAT), node("Sub", ["one", "kept"], ["hidden"]),
            node("Mul", ["hidden", "low"], ["bias"]), node("Unsqueeze", ["bias", "axes"], ["bias3"]),
            node("Unsqueeze", ["scores", "axes"], ["scores3"]), node("Add", ["scores3", "bias3"], ["masked"]),
            node("Softmax", ["masked"], ["y"], axis=-1),
        ],
        "masked",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 8])],
        [
            numpy_helper.from_array(random.normal(size=(8, 8)).astype("float32"), "weight"),
            *(numpy_helper.from_array(np.float32(value), name) for name, value in (("zero", 0), ("one", 1))),
            numpy_helper.from_array(np.finfo("float32").min, "low"), numpy_helper.from_array(np.array([1]), "axes"),
        ],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("masked") / "masked.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("precision", "least_db"), [("fp16", 50), ("fp32", 100)])
def test_a_newer_opset_and_a_mask_beyond_16_bit_floats(
    toolchain: Path, compiled: Compiled, masked: Path, precision: str, least_db: float
) -> None:
    assert compiled(masked, "openvino2021", precision).manifest.parity.sqnr_db > least_db


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("precision", "least_db"), [("fp16", 50), ("fp32", 100)])
@pytest.mark.parametrize("model", ["cnn", "two_in_two_out", "tokens"])
def test_what_the_stick_reads_answers_rightly(
    toolchain: Path, compiled: Compiled, small_models: Models, model: str, precision: str, least_db: float
) -> None:
    made = compiled(small_models("onnx") / f"{model}.onnx", "openvino2021", precision)
    manifest = made.manifest
    assert manifest.parity.sqnr_db > least_db
    assert manifest.requires == {"ir": 10}
    assert sorted(entry.path for entry in manifest.files) == ["goldens.npz", "model.bin", "model.xml"]
    assert b"meta_data" not in (made.folder / "model.xml").read_bytes()
    assert manifest.route[-1] == "onnx:openvino2021.finish"
    (note,) = (note for note in manifest.notes if note.startswith("myriad: "))
    assert "layers" in note


def test_the_same_model_gives_the_same_artifact(
    toolchain: Path, compiled: Compiled, small_models: Models
) -> None:
    source = small_models("onnx") / "cnn.onnx"
    assert len({compiled(source, "openvino2021", "fp16", use_cache=False).id for _ in range(2)}) == 1


def test_layers_that_the_stick_lacks_are_listed_or_refused(
    toolchain: Path, compiled: Compiled, odd: Path
) -> None:
    listed = "1 of 2 layers do not run there: y (Cos)"
    assert f"myriad: {listed}" in compiled(odd, "openvino2021", "fp16").manifest.notes
    with pytest.raises(ConversionError, match="cannot run on the neural compute stick") as caught:
        compiled(odd, "openvino2021", "fp16", accelerator="myriad")
    assert listed in caught.value.message
    assert caught.value.code == "accelerator-unsupported"


def test_a_budget_that_names_the_stick_is_enough(
    toolchain: Path, odd: Path, edgewright: Callable[..., Any], tmp_path: Path
) -> None:
    said, _ = edgewright("convert", odd, "--profile", "intel-ncs2")
    assert any("y (Cos)" in note for note in said["manifest"]["notes"])
    assert said["manifest"]["precision"] == "fp16"
    project = tmp_path / "edgewright.toml"
    project.write_text(
        f'name = "odd"\nmodel = "{odd}"\n\n[budgets.intel-ncs2]\naccelerator = "myriad"\n', encoding="utf-8"
    )
    said, _ = edgewright("convert", "--project", project, "--profile", "intel-ncs2")
    assert said["code"] == "accelerator-unsupported"


def test_what_its_model_optimizer_refuses_is_said_in_one_line(
    toolchain: Path, compiled: Compiled, tmp_path: Path
) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Det", ["x"], ["y"])],
        "determinant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
    )
    path = tmp_path / "det.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)
    with pytest.raises(
        ConversionError, match=r"the Model Optimizer of OpenVINO 2021\.4 refuses the model: "
    ) as caught:
        compiled(path, "openvino2021", "fp16")
    assert "replacer" not in caught.value.message
    assert "\n" not in caught.value.message


def test_without_the_toolchain_it_says_how_to_install_it(
    small_models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = small_models("onnx") / "cnn.onnx"
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path))
    with pytest.raises(ConversionError) as caught:
        plan(compile_request(source=source, target="openvino2021", precision="fp16"))
    assert caught.value.code == "toolchain-missing"
    assert caught.value.hint == "edgewright toolchain install openvino-2021"


def test_the_runner_on_this_machines_own_openvino_says_what_it_lacks(toolchain: Path, tmp_path: Path) -> None:
    from edgewright_targets.openvino2021 import runner

    with pytest.raises(ImportError):
        runner.import_runtime()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from edgewright_targets.openvino2021 import runner; "
        "print(runner.import_runtime(), *runner.accelerators())"
    )
    for name, text in json.loads(runner_package.package("openvino2021").data).items():  # as boards get it
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run([toolchain, "-B", "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "openvino 2021.4.2 cpu myriad"


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("kind", "axis"), [("Softmax", 1), ("LogSoftmax", 1), ("Softmax", 3), ("Softmax", -3)]
)
def test_softmax_over_the_channels_of_a_segmentation(
    toolchain: Path, compiled: Compiled, tmp_path: Path, kind: str, axis: int
) -> None:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.default_rng(5).normal(size=(6, 3, 3, 3)).astype("float32")
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "kernel"], ["c"], pads=[1] * 4),
            helper.make_node(kind, ["c"], ["y"], axis=axis),
        ],
        "segmentation",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6, 8, 7])],
        [numpy_helper.from_array(kernel, "kernel")],
    )
    path = tmp_path / "segmentation.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)
    manifest = compiled(path, "openvino2021", "fp32").manifest
    assert manifest.parity.sqnr_db > 100
    assert [spec.name for spec in manifest.outputs] == ["y"]
