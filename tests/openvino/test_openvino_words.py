"""What can be known of OpenVINO without running it: pre-flight notes, errors, caps, which target a version is of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from edgewright import targets
from edgewright.config import profiles
from edgewright.errors import ConversionError
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright.precisions import EXACT, HALVES
from edgewright_agent.board import system
from edgewright_agent.child import jobs
from edgewright_agent.protocol import AgentError
from edgewright_targets.openvino import files, layers, runner
from edgewright_targets.openvino2021 import finish, preflight

LAYERS = {"conv": "Convolution", "cosine": "Cos", "y": "Asinh"}


def test_the_preflight_lists_what_would_not_run() -> None:
    found = {"layers": LAYERS, "myriad": ["conv"]}
    assert preflight.notes(found, "") == ["myriad: 2 of 3 layers do not run there: cosine (Cos), y (Asinh)"]
    with pytest.raises(ConversionError, match="cannot run on the neural compute stick: 2 of 3") as caught:
        preflight.notes(found, "myriad")
    assert caught.value.code == "accelerator-unsupported"
    everything = {"layers": LAYERS, "myriad": [*LAYERS, "more"]}
    assert preflight.notes(everything, "myriad") == ["myriad: all 3 layers run there"]


def test_a_preflight_that_could_not_be_made_is_no_yes() -> None:
    found = {"layers": LAYERS, "problem": "no libusb"}
    assert preflight.notes(found, "") == ["myriad: its plugin cannot tell: no libusb"]
    with pytest.raises(ConversionError, match="cannot tell"):
        preflight.notes(found, "myriad")


def test_a_long_list_is_cut_and_counted() -> None:
    layers = {f"layer{index}": "Cos" for index in range(23)}
    (note,) = preflight.notes({"layers": layers, "myriad": []}, "")
    assert note.startswith("myriad: 23 of 23 layers do not run there: layer0 (Cos), ")
    assert note.endswith("layer19 (Cos) and 3 more")


def test_the_stick_takes_fp16_only() -> None:
    preflight.check_precision("myriad", HALVES)
    preflight.check_precision("", EXACT)
    with pytest.raises(ConversionError, match="fp16 only: fp32"):
        preflight.check_precision("myriad", EXACT)


def test_the_model_optimizers_error_is_one_line() -> None:
    wrapped = (
        'some text\n[ ERROR ]  \n[ ERROR ]  Exception occurred during running replacer "ID" (<class '
        "'extensions.X.Y'>): Data node \"7\" has 0 producers.\n[ ERROR ]  more\n"
    )
    assert finish.said(wrapped) == 'Data node "7" has 0 producers'
    assert finish.said("") == "no message"
    assert finish.said("Traceback\nImportError: x\n") == "ImportError: x"


def test_the_profile_of_the_stick_gets_its_own_target() -> None:
    profile = profiles.load("intel-ncs2")
    assert profile.targets == ("openvino2021",)
    target = targets.load("openvino2021")
    assert profile.precision in target.precisions
    assert "myriad" in target.accelerators
    assert "myriad" not in targets.load("openvino").accelerators
    for python in profile.pythons:
        (row,) = target.runtimes_for(f"{python}.1", "x86_64", "2.17")
        assert row.version == profile.runtimes["openvino2021"]
    assert not target.runtimes_for("3.10.1", "x86_64", "2.31")
    assert not target.runtimes_for("3.8.1", "aarch64", "2.31")


def test_a_boards_own_openvino_is_told_by_its_version(tmp_path: Path) -> None:
    for version, target in (("2021.4.2", "openvino2021"), ("2022.3.0", "openvino"), ("2026.4.1", "openvino")):
        folder = tmp_path / version
        (folder / f"openvino-{version}.dist-info").mkdir(parents=True)
        facts = Facts(
            runtimes=msgspec.convert(system.runtimes(("openvino",), [str(folder)]), tuple[RuntimeFact, ...])
        )
        (found,) = targets.recognised(facts).runtimes
        assert (found.target, found.version) == (target, version)


def test_an_older_openvino_reads_no_newer_opset() -> None:
    target = targets.load("openvino")
    assert target.lacks("openvino", "2022.3.2", {"ir": 11, "ir_opset": 10}) == {}
    assert target.lacks("openvino", "2022.3.2", {"ir": 11, "ir_opset": 13}) == {"ir_opset": (13, 10)}
    assert target.lacks("openvino", "2024.4.0", {"ir": 11, "ir_opset": 16}) == {"ir_opset": (16, 15)}
    assert target.lacks("openvino", "2030.1.0", {"ir": 11, "ir_opset": 17}) == {}


def test_the_toolchains_python_does_not_find_the_openvino_beside_our_package(tmp_path: Path) -> None:
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("raise RuntimeError('another one')\n")
    ours = tmp_path / "edgewright_targets" / "openvino2021"
    shutil.copytree(finish.INSIDE.parent, ours)
    done = subprocess.run(
        [sys.executable, "-I", "-S", ours / finish.INSIDE.name, "serve", tmp_path, "{}"],
        input='{"entry": "model.xml"}\n', capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert "No module named 'openvino'" in done.stderr
    assert f'File "{ours / "runner.py"}"' in done.stderr


REFUSED = (
    "Exception from src/inference/src/cpp/core.cpp:117:\n"
    "Check 'reorder' failed at src/plugins/intel_cpu/src/nodes/reorder.cpp:615:\n"
    "No reorder available for the following tensor descriptors: abcde and aBDec16c48b4c\n\n"
)


class Core:
    """OpenVINO's, with a plugin that refuses every model."""

    available_devices = ("CPU",)

    def __init__(self, says: str) -> None:
        self.says = says

    def read_model(self, path: str) -> str:
        return path

    def get_property(self, device: str, name: str) -> list[str]:
        return []

    def compile_model(self, model: str, device: str, settings: dict[str, str]) -> None:
        raise RuntimeError(self.says)


def test_a_model_without_a_kernel_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_core", lambda: Core(REFUSED))
    said = "OpenVINO cannot run this model on cpu: No reorder available for the following tensor descriptors: abcde and aBDec16c48b4c"
    with pytest.raises(runner.ModelRefused) as caught:
        runner.load("folder", {"entry": "model.xml"}, {"threads": 1})
    assert str(caught.value) == said
    job = {"options": {"threads": 1}, "folder": "folder", "manifest": {"entry": "model.xml"}}
    with pytest.raises(AgentError) as board:
        jobs.load(runner, job, SimpleNamespace(enter=print))
    assert (board.value.code, board.value.message) == (
        "load-failed", f"the runtime refused the model: {said}",
    )  # fmt: skip
    assert "fp16, or another target" in board.value.about["advice"]
    monkeypatch.setattr(runner, "_core", lambda: Core("std::bad_alloc"))
    with pytest.raises(RuntimeError, match="bad_alloc") as other:
        runner.load("folder", {"entry": "model.xml"}, {"threads": 1})
    assert not isinstance(other.value, runner.ModelRefused)


def test_names_of_the_source_are_not_numbered_anew() -> None:
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op

    image = op.parameter([1, 4], name="image")
    kept = op.multiply(op.relu(image), np.float32(2), name="net/MatMul_8/scaled")
    named = op.add(kept, np.float32(1), name="Add_3")
    model = ov.Model([op.result(named, name="y")], [image], "net")
    files.strip(model, {"net/MatMul_8", "Add_3", "Relu_0"})
    names = {one.get_type_name(): one.get_friendly_name() for one in model.get_ops()}
    assert (names["Multiply"], names["Add"]) == ("net/MatMul_8/scaled", "Add_3")
    assert names["Relu"] != "Relu_0"  # that one is the source's, and another layer
    files.strip(model)
    assert "net/MatMul_8/scaled" not in {one.get_friendly_name() for one in model.get_ops()}


def test_what_a_layer_in_floats_takes_along() -> None:
    import numpy as np
    import openvino as ov
    from openvino import opset13 as op

    image = op.parameter([1, 1, 4, 4], name="image")
    weights = np.ones((1, 1, 1, 1), "float32")
    first = op.convolution(op.relu(image), weights, [1, 1], [0, 0], [0, 0], [1, 1], name="first")
    second = op.convolution(first, weights, [1, 1], [0, 0], [0, 0], [1, 1], name="second")
    pooled = op.reduce_mean(second, np.array([2, 3]), keep_dims=True, name="pooled")
    dense = op.matmul(
        op.reshape(pooled, np.array([1, 1]), special_zero=False),
        np.ones((1, 2), "float32"),
        False,
        False,
        name="dense",
    )
    model = ov.Model([op.result(dense)], [image], "net")
    assert layers.operations_of(model, ["dense"]) == {"dense": ["dense"]}
    assert layers.first_of(model, ["first", "second", "dense"]) == ["first"]
    assert layers.first_of(model, ["second"]) == []
    assert layers.averages_before(model, ["dense"]) == {"pooled"}
    assert layers.averages_before(model, ["second", "first"]) == set()
