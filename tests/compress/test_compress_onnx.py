"""ONNX files in `edgewright compress`: steps without training on real digits, and ONNX as an output of other networks."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import command_line
from int8_files import answers, set_of
from onnx import numpy_helper

from edgewright.compile.inspection import lineage_file

pytestmark = pytest.mark.slow
NETS = Path(__file__).with_name("torch_nets.py")
OUTLIERS = 64


@pytest.fixture(scope="module")
def uneven(digits: Path, module_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PyTorch network that knows the digits, as ONNX with an open batch and its batch normalisations; some channels are far larger."""
    import torch

    torch.manual_seed(3)
    net: Any = runpy.run_path(str(NETS))["Digits"]().train()
    x, y = (torch.from_numpy(array) for array in set_of(digits, "train.npz"))
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(8):
        for rows in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            optimiser.step()
    with torch.no_grad():
        net.inner.weight[:4] *= OUTLIERS
        net.inner.bias[:4] *= OUTLIERS
        net.second.weight[:, :4] /= OUTLIERS
    file = tmp_path_factory.mktemp("uneven") / "uneven.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, but nothing else keeps batch normalisations
        torch.onnx.export(
            net.eval(), (x[:1],), str(file), opset_version=13, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}}, training=torch.onnx.TrainingMode.PRESERVE,
        )  # fmt: skip
    assert "BatchNormalization" in {node.op_type for node in onnx.load(file).graph.node}
    return file


def compress(*arguments: object) -> dict[str, Any]:
    ran = command_line("compress", *arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def refused(*arguments: object) -> dict[str, Any]:
    return command_line("compress", *arguments, "--json").error


def weights(file: Path) -> dict[str, np.ndarray]:
    """Of convolutions and dense layers, with the output channels first."""
    graph = onnx.load(file).graph
    held = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    used = [node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm")]
    return {name: held[name] for name in used}


def converted(file: Path, folder: Path, *more: object) -> tuple[Path, dict[str, Any]]:
    ran = command_line("convert", file, "--target", "onnxruntime", *more, "-o", folder, "--json")
    assert ran.code == 0, ran.err
    return folder / "model.onnx", ran.json["manifest"]


def sqnr(noisy: np.ndarray, exact: np.ndarray) -> float:
    return float(10 * np.log10((exact**2).sum() / ((noisy - exact) ** 2).sum()))


def test_an_onnx_file_is_compressed_without_training(uneven: Path, here: Path) -> None:
    """The file has the zeros and the clusters of the table; it keeps its open batch, and holds its lineage once, also when it is compressed again."""
    data = ("--validation", here / "train.npz", "--evaluation", here / "test.npz")
    made = compress(uneven, "--prune", "0.3", "--cluster", "32", *data, "-o", "small.onnx")
    original, pruned, clustered = made["steps"]
    assert [one["epochs"] for one in made["steps"]] == [0, 0, 0]
    assert original["accuracy"]["value"] > 0.95
    assert original["figures"]["macs"] == 64 * (16 * 9 + 16 * 24 * 9 * 2) + 2560
    small, x = Path("small.onnx"), set_of(here, "test.npz")
    assert made["test"]["value"] == np.mean(answers(small, x[0]).argmax(1) == x[1])
    found = weights(small)
    assert sum(int((one == 0).sum()) for one in found.values()) == pruned["figures"]["zeros"]
    assert 0.29 < pruned["figures"]["zeros"] / sum(one.size for one in found.values()) < 0.31
    assert max(len(np.unique(row)) for one in found.values() for row in one) <= 32
    assert clustered["figures"]["packed_bytes"] < 0.6 * original["figures"]["packed_bytes"]
    given = onnx.load(small)
    assert given.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "n"
    onnx.checker.check_model(given, full_check=True)
    lineage = converted(small, Path("made"), "--precision", "fp32")[1]["lineage"]
    assert [step["use"] for step in lineage["steps"]] == ["prune", "cluster"]
    again = compress(small, "--cluster", "16", "-o", "again.onnx")
    assert again["steps"][0]["accuracy"] is None
    assert [item.key for item in onnx.load("again.onnx").metadata_props] == [lineage_file.NAME]
    held = lineage_file.read(Path("again.onnx"))
    assert held is not None
    assert [step.shown for step in held.steps] == ["prune 30%", "cluster 32", "cluster 16"]
    assert held.file == "uneven.onnx"


def test_int8_of_an_equalised_and_corrected_file_is_better(uneven: Path, here: Path) -> None:
    """The figures of the table are those of the int8 file that a conversion makes with the samples that lie beside the output."""
    data = ("--data", here / "train.npz", "--evaluation", here / "test.npz")
    made = compress(uneven, "--equalise", "--correct-bias", *data, "-o", "even.onnx")
    assert any("--calibration even.calibration.npz" in note for note in made["notes"])
    x, y = set_of(here, "test.npz")
    exact, even = answers(uneven, x), answers(Path("even.onnx"), x)
    before, _ = converted(
        uneven, Path("before"), "--precision", "int8", "--calibration", "even.calibration.npz"
    )
    after, _ = converted(
        Path("even.onnx"), Path("after"), "--precision", "int8", "--calibration", "even.calibration.npz"
    )
    floats = answers(before, x)
    assert sqnr(even, exact) > 30
    assert sqnr(answers(after, x), exact) > sqnr(floats, exact) + 8
    assert made["test"]["value"] == np.mean(answers(after, x).argmax(1) == y)
    assert refused(uneven, "--cluster", "16", "-o", "even.onnx")["code"] == "usage"


def test_training_is_refused_before_anything_is_opened(uneven: Path, here: Path) -> None:
    data = ("--data", here / "train.npz")
    Path("taylor.toml").write_text(
        '[[steps]]\nuse = "prune"\nsparsity = 0.5\nimportance = "taylor"\nepochs = 0\n'
    )
    for given in (("--qat",), ("--distill",), ("--prune-channels", "0.5"), ("--prune", "0.5", "--epochs", "1"),
                  ("--recipe", "taylor.toml")):  # fmt: skip
        error = refused(uneven, *given, *data, "--dry-run")
        assert error["code"] == "model-untrainable", given
        assert "ONNX models cannot be trained further" in error["message"]
        assert "equalise" in error["hint"]
    quantised, _ = converted(uneven, Path("int8"), "--precision", "int8", "--calibration", here / "train.npz")
    assert refused(quantised, "--cluster", "16", "--dry-run")["code"] == "quantised-already"


@pytest.mark.parametrize("source", ["digits.keras", "torch_nets.py:digits"])
def test_other_networks_are_written_as_onnx(here: Path, source: str) -> None:
    """The ONNX file has the accuracy of the table and the clusters, and holds the lineage."""
    path = here / source if source == "digits.keras" else NETS.with_name(source)
    made = compress(path, "--cluster", "4", "--validation", here / "test.npz", "-o", "small.onnx")
    x, y = set_of(here, "test.npz")
    assert made["steps"][-1]["accuracy"]["value"] == np.mean(answers(Path("small.onnx"), x).argmax(1) == y)
    assert made["steps"][-1]["accuracy"]["value"] != made["steps"][0]["accuracy"]["value"]
    held = lineage_file.read(Path("small.onnx"))
    assert held is not None
    assert (held.file, [step.shown for step in held.steps]) == (source, ["cluster 4"])
    assert onnx.load("small.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    assert refused(path, "--cluster", "4", "-o", "small.tflite")["code"] == "usage"
