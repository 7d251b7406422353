"""What can be said of OpenVINO without running it: pre-flight notes, errors, caps, which target a version is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright import targets
from edgewright.config import profiles
from edgewright.errors import ConversionError
from edgewright_agent import system
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
    preflight.check_precision("myriad", "fp16")
    preflight.check_precision("", "fp32")
    with pytest.raises(ConversionError, match="fp16 only: fp32"):
        preflight.check_precision("myriad", "fp32")


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
        (found,) = system.runtimes([str(folder)])
        assert (found["target"], found["version"]) == (target, version)


def test_an_older_openvino_reads_no_newer_opset() -> None:
    target = targets.load("openvino")
    assert target.lacks("openvino", "2022.3.2", {"ir": 11, "ir_opset": 10}) == {}
    assert target.lacks("openvino", "2022.3.2", {"ir": 11, "ir_opset": 13}) == {"ir_opset": (13, 10)}
    assert target.lacks("openvino", "2024.4.0", {"ir": 11, "ir_opset": 16}) == {"ir_opset": (16, 15)}
    assert target.lacks("openvino", "2030.1.0", {"ir": 11, "ir_opset": 17}) == {}
