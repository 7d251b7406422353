"""Training for int8: the simulation computes what converted files compute, and what it trained survives the conversion."""

from __future__ import annotations

import shutil
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import result_of
from int8_files import answers, calibration, int8, set_of

from edgewright.api.models import model_request
from edgewright.cli.main import main
from edgewright.compile.inspection import calibration_member, lineage_file
from edgewright.compile.pipeline import carry_out, prepare
from edgewright.compile.request import CompileRequest
from edgewright.compress import recipes, tasks
from edgewright.compress.frameworks import open_network
from edgewright.compress.network import Network
from edgewright.compress.tasks import NetworkFile, Rows
from edgewright.errors import DataError
from edgewright.nouns.compression import Training
from edgewright.nouns.model_input import DataFile
from edgewright.nouns.recipe import TrainingOptions, plain

NETS = Path(__file__).parent / "torch_nets.py"
OUTLIERS = 64.0  # such channels leave two bits to the others of their tensor
Answer = Callable[[np.ndarray], np.ndarray]


def uneven_keras(digits: Path, tmp_path: Path) -> Network:
    """The digits' network with some channels much larger than others: it computes the same in floats, but not in int8."""
    import keras

    model = keras.models.load_model(digits / "digits.keras")
    norm = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)][1]
    gamma, beta, *statistics = norm.get_weights()
    gamma[:4] *= OUTLIERS
    beta[:4] *= OUTLIERS
    norm.set_weights([gamma, beta, *statistics])
    kernel, bias = model.get_layer("second").get_weights()
    kernel[:, :, :4] /= OUTLIERS
    model.get_layer("second").set_weights([kernel, bias])
    model.save(tmp_path / "uneven.keras")
    return open_network(tmp_path / "uneven.keras", "keras")


def uneven_torch(digits: Path, tmp_path: Path) -> Network:
    """As `uneven_keras`."""
    network = open_network(Path(f"{NETS}:digits"), "pytorch")
    x, y = set_of(digits, "train.npz")
    for epoch in range(4):
        network.train([x], y, Training(loss="cross_entropy", rate=0.004 / (epoch + 1)), epoch)
    import torch

    inner: Any = network._body.flat.inner  # type: ignore[attr-defined]
    with torch.no_grad():
        inner.inner.weight[:4] *= OUTLIERS
        inner.inner.bias[:4] *= OUTLIERS
        inner.second.weight[:, :4] /= OUTLIERS
    network.save(tmp_path / "uneven.pt2")
    return network


def sqnr(noisy: np.ndarray, exact: np.ndarray) -> float:
    """Decibels."""
    return float(10 * np.log10((exact**2).sum() / ((noisy - exact) ** 2).sum()))


@pytest.mark.slow
@pytest.mark.parametrize("make", [uneven_keras, uneven_torch])
def test_the_simulation_is_what_converted_files_compute(
    digits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path, Path], Network],
) -> None:
    """It is closer to them by far than the float network is, whose int8 form is bad; so training with it can help."""
    network = make(digits, tmp_path)
    (source,) = tmp_path.glob("uneven.*")
    data = calibration(digits)
    np.savez(tmp_path / "calibration.npz", x=data)
    x, y = set_of(digits, "test.npz")
    floats = network.predict([x])[0]
    network.simulate([data])
    simulated = network.predict([x])[0]
    for target in ("onnxruntime", "tflite"):
        model, _ = int8(source, target, capsys, "--calibration", tmp_path / "calibration.npz")
        real = answers(model, x)
        assert sqnr(simulated, real) > 36
        assert sqnr(floats, real) < 30
        assert abs(np.mean(simulated.argmax(1) == y) - np.mean(real.argmax(1) == y)) < 0.005
    network.simulate(None)
    np.testing.assert_array_equal(network.predict([x])[0], floats)


@pytest.mark.slow
def test_training_with_it_helps(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What int8 lost comes back, and masks hold."""
    monkeypatch.setattr(f"{__name__}.OUTLIERS", 1000.0)
    network = uneven_torch(digits, tmp_path)
    x, y = set_of(digits, "train.npz")
    tested, labels = set_of(digits, "test.npz")

    def accuracy() -> float:
        return float(np.mean(network.predict([tested])[0].argmax(1) == labels))

    floats = accuracy()
    mask = np.abs(network.weight("first")) > 0.01
    network.hold({"first": mask})
    network.simulate([calibration(digits)])
    before = accuracy()
    for epoch in range(2):
        network.train([x], y, Training(loss="cross_entropy", rate=0.001 / (epoch + 1)), epoch)
    assert floats > 0.95
    assert before < floats - 0.05
    assert accuracy() > before + 0.5 * (floats - before)
    assert (network.weight("first")[~mask] == 0).all()
    assert (~mask).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["residual", "concat", "hard_gate", "hard_lstm", "three_probabilities"])
def test_a_program_is_simulated_as_its_module_is(name: str, tmp_path: Path) -> None:
    """Its functions have other names, and it has no training mode."""
    network = open_network(Path(f"{NETS}:{name}"), "pytorch")
    network.save(tmp_path / "net.pt2")
    program = open_network(tmp_path / "net.pt2", "pt2")
    random = np.random.default_rng(0)
    data = [random.normal(size=(8, *spec.shape[1:])).astype(spec.dtype) for spec in network.inputs]
    floats = network.predict(data)[0]
    for one in (network, program):
        one.simulate(data)
    simulated = network.predict(data)[0]
    assert 25 < sqnr(simulated, floats) < 80
    np.testing.assert_allclose(program.predict(data)[0], simulated, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["keras", "pytorch"])
def test_a_checkpoint_keeps_the_simulation(framework: str, digits: Path, tmp_path: Path) -> None:
    """Also in a process that never began the step; and a checkpoint without one ends it."""
    source = digits / "digits.keras" if framework == "keras" else Path(f"{NETS}:digits")
    network, other = open_network(source, framework), open_network(source, framework)
    x, y = (array[:96] for array in set_of(digits, "train.npz"))
    network.checkpoint(tmp_path / "floats")
    floats = network.predict([x])[0]
    network.simulate([x[:32]])
    before = network.predict([x])[0]
    network.train([x], y, Training(loss="cross_entropy", rate=1e-3), 0)
    network.checkpoint(tmp_path / "trained")
    trained = network.predict([x])[0]
    assert np.abs(before - floats).max() > 1e-4
    assert np.abs(trained - before).max() > 1e-3
    other.restore(tmp_path / "trained")
    np.testing.assert_allclose(other.predict([x])[0], trained, atol=1e-5)
    other.restore(tmp_path / "floats")
    np.testing.assert_allclose(other.predict([x])[0], floats, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("given", "first"), [(None, 1e-4), (0.02, 0.02)])
def test_it_trains_slowly_unless_told_otherwise(
    given: float | None, first: float, digits: Path, tmp_path: Path
) -> None:
    source = NetworkFile(path=Path(f"{NETS}:digits"), format="pytorch")
    x, y = set_of(digits, "train.npz")
    np.savez(tmp_path / "inputs.npz", input_0=x[:40, None])
    np.save(tmp_path / "labels.npy", y[:40])
    rows = Rows(inputs=tmp_path / "inputs.npz", labels=tmp_path / "labels.npy")
    step = recipes.of_steps([{"use": "qat", "samples": 8}], TrainingOptions(rate=given), 0)
    tasks.open_source(source)
    tasks.begin_step(
        "qat",
        plain(step.steps[0].options),
        rows,
        "cross_entropy",
        step.training,
        0,
        source,
        None,
        resumed=False,
    )
    run = tasks._State.run
    assert run is not None
    assert run.training(step.steps[0].options, 0).rate == first


def integers(model: Path) -> list[np.ndarray]:
    """The int8 weights of a converted file, output channels first."""
    if model.suffix == ".onnx":
        import onnx

        every = [onnx.numpy_helper.to_array(one) for one in onnx.load(model).graph.initializer]
        found = [one for one in every if one.dtype == np.int8 and one.ndim > 1]
        return [one.T if one.ndim == 2 else one.transpose(0, 2, 3, 1) for one in found]
    from ai_edge_litert.interpreter import Interpreter

    reader = Interpreter(str(model))
    reader.allocate_tensors()
    named = [one for one in reader.get_tensor_details() if one["dtype"] is np.int8 and len(one["shape"]) > 1]
    weights = [one for one in named if one["quantization_parameters"]["scales"].size > 1]
    found = [reader.get_tensor(one["index"]) for one in weights]
    return [np.moveaxis(one, -1, 0) if one.shape[0] == 1 else one for one in found]  # depthwise


@pytest.mark.slow
def test_zeros_and_clusters_survive_and_no_calibration_is_needed(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--prune",
        "0.5",
        "--qat",
        "--cluster",
        "16",
        "--epochs",
        "1",
        "--data",
        digits / "train.npz",
    ]
    command = ["compress", digits / "digits.keras", *arguments, "-o", "small.keras", "--json"]
    capsys.readouterr()
    assert main([str(one) for one in command]) == 0
    made = result_of(capsys.readouterr().out)
    assert [step["name"] for step in made["steps"]] == ["original", "prune", "qat", "cluster"]
    network = open_network(Path("small.keras"), "keras")
    masks = {layer.name: network.weight(layer.name) != 0 for layer in network.layers()}
    assert sum(int((~mask).sum()) for mask in masks.values()) == made["steps"][-1]["figures"]["zeros"] > 4000
    expected = [masks[name].transpose(3, 0, 1, 2) for name in ("stem", "first", "second")]
    expected.append(masks["last"].T)
    for target in ("onnxruntime", "tflite"):
        model, manifest = int8(tmp_path / "small.keras", target, capsys)
        assert manifest["calibration"]["kind"] == "data"
        assert len(manifest["calibration"]["sha256"]) == 64
        assert manifest["calibration"]["samples"] == 128
        assert "the calibration data came with the model's file" in manifest["notes"]
        found = integers(model)
        for mask in expected:
            (weights,) = [one for one in found if one.shape == mask.shape and (one[~mask] == 0).all()]
            assert (weights[mask] != 0).mean() > 0.8
        assert all(
            len(np.unique(row)) <= 16 for weights in found for row in weights.reshape(len(weights), -1)
        )
    np.savez("own.npz", x=calibration(digits))
    _, manifest = int8(tmp_path / "small.keras", "onnxruntime", capsys, "--calibration", "own.npz")
    assert manifest["calibration"]["samples"] == 130
    assert "the calibration data came with the model's file" not in manifest["notes"]


@pytest.mark.slow
def test_a_program_carries_its_calibration(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """PyTorch still opens it, though it reads every extra member as text."""
    capsys.readouterr()
    output = tmp_path / "small.pt2"
    arguments = ["--qat", "--epochs", "1", "--data", digits / "train.npz", "-o", output, "--json"]
    assert main(["compress", f"{NETS}:digits", *map(str, arguments)]) == 0
    capsys.readouterr()
    _, manifest = int8(output, "onnxruntime", capsys)
    assert manifest["calibration"]["samples"] == 128
    assert [step["use"] for step in manifest["lineage"]["steps"]] == ["qat"]


def test_a_bad_member_is_no_calibration(tmp_path: Path, home: Path) -> None:
    """Absent, damaged, or an archive that would fill the disk: a conversion then asks for data as for any other file."""
    file, data = tmp_path / "net.keras", tmp_path / "data.npz"
    np.savez(data, input_0=np.arange(12, dtype="float32").reshape(3, 4))

    def written(content: bytes | None) -> Path | None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("config.json", "{}")
            if content is not None:
                archive.writestr(calibration_member.NAME, content, zipfile.ZIP_DEFLATED)
        return calibration_member.extracted(file)

    assert written(None) is None
    assert written(b"no base64!") is None
    assert written(b"bm8gemlw") is None
    assert written(b"A" * (100 << 20)) is None
    written(None)
    calibration_member.add(file, data, ["x"])
    found = calibration_member.extracted(file)
    assert found is not None
    with np.load(found, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["x"], np.arange(12).reshape(3, 4))
    assert calibration_member.extracted(file) == found
    assert found.is_relative_to(home)


@pytest.mark.slow
def test_a_model_says_what_is_wrong_with_its_samples_and_finds_pruned_ones_again(
    digits: Path, tmp_path: Path, home: Path
) -> None:
    file, data = tmp_path / "net.keras", tmp_path / "data.npz"
    shutil.copy(digits / "digits.keras", file)
    np.savez(data, input_0=np.zeros((9, 5, 5, 1), "float32"))
    calibration_member.add(file, data, ["x"])
    request = CompileRequest(
        model=model_request(file).model, target="tflite", precision="int8", default_precision="int8"
    )
    planned = prepare(request)
    assert isinstance(request.model.calibration, DataFile)
    request.model.calibration.path.unlink()
    with pytest.raises(DataError) as caught:
        carry_out(planned)
    assert "x has the wrong shape: (5, 5, 1) instead of (8, 8, 1)" in caught.value.message
    assert f"the calibration data in {file}" in caught.value.message
    assert str(home) not in caught.value.message and "--calibration" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "most"), [(calibration_member.NAME, 200 << 20), (lineage_file.NAME, 5 << 20)]
)
def test_a_member_that_is_larger_than_it_says_takes_no_more_memory(
    tmp_path: Path, home: Path, name: str, most: int
) -> None:
    file, size = tmp_path / "net.keras", 500 << 20
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr(name, bytes(size))
    file.write_bytes(file.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 1000)))
    tracemalloc.start()
    try:
        assert calibration_member.extracted(file) is None
        assert lineage_file.read(file) is None
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
