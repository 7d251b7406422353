"""A wheel with a source format, a precision, a metric, a transport, a profile and a conversion step: each is used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
Edgewright = Any


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the installed wheel, which pip builds from its sources, offline."""
    place = tmp_path_factory.mktemp("acme")
    sources = shutil.copytree(HERE / "acme", place / "sources")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    offline = ["--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", place / "wheels", sources],
        check=True,
    )
    (wheel,) = (place / "wheels").glob("acme_edge-1.0-*.whl")
    subprocess.run([*pip, "install", *offline, "--target", place / "site", wheel], check=True)
    return place / "site"


@pytest.fixture(scope="module")
def edgewright(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Edgewright:
    """Runs the command line in a separate process with the wheel on its path: (exit code, stdout, stderr)."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "EDGEWRIGHT_HOME": str(tmp_path_factory.mktemp("home")),
    }

    def run(*arguments: object) -> tuple[int, str, str]:
        program = [sys.executable, "-c", "from edgewright.cli.main import run; run()", *map(str, arguments)]
        ran = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
        return ran.returncode, ran.stdout, ran.stderr

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    weights, inputs = random.normal(size=(4, 1)), random.normal(size=(64, 4)).astype(np.float32)
    path = tmp_path / "net.lin"
    path.write_text(json.dumps({"acme": 1, "weights": weights.tolist(), "bias": [0.5]}))
    np.savez(tmp_path / "calibration.npz", x=inputs)
    np.savez(tmp_path / "evaluation.npz", x=inputs, labels=(inputs @ weights + 0.5)[:, 0])
    return path


def test_a_foreign_format_precision_metric_step_and_profile_make_an_artifact(
    edgewright: Edgewright, model: Path, tmp_path: Path
) -> None:
    arguments = (
        "convert", model, "--profile", "acme-box", "--calibration", tmp_path / "calibration.npz",
        "--evaluation", tmp_path / "evaluation.npz", "--metric", "within-one", "--output", tmp_path / "made",
    )  # fmt: skip
    code, out, err = edgewright(*arguments, "--json")
    assert code == 0, err
    manifest = json.loads(out)["result"]["manifest"]
    assert manifest["source"]["format"] == "acme-linear"
    assert manifest["route"] == ["onnx:acme_edge.to_onnx", "onnx:onnxruntime.finish"]
    assert manifest["precision"] == "acme-int8"  # the profile's
    assert manifest["goldens"]["tolerance"]["sqnr_db"] == 12.5
    assert manifest["calibration"]["samples"] == 64
    assert (manifest["accuracy"]["metric"], manifest["accuracy"]["source"]) == ("within-one", 1.0)
    assert "conversion step acme-stamp of acme-edge 1.0 changed the model" in manifest["notes"]
    assert "2 operators were stamped" in manifest["notes"]
    import onnx

    nodes = onnx.load(tmp_path / "made" / "model.onnx").graph.node
    assert {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in nodes}  # made like int8
    assert any(node.name.startswith("acme_") for node in nodes)


def test_a_changed_plug_in_makes_another_artifact(edgewright: Edgewright, model: Path, site: Path) -> None:
    arguments = ("convert", model, "--profile", "acme-box", "--precision", "fp32", "--dry-run", "--json")
    before = json.loads(edgewright(*arguments)[1])["result"]["plan"]["key"]
    step = site / "acme_edge" / "stamp.py"
    text = step.read_text()
    try:
        step.write_text(text + "\n# changed\n")
        assert json.loads(edgewright(*arguments)[1])["result"]["plan"]["key"] != before
    finally:
        step.write_text(text)


def test_a_board_is_reached_by_a_foreign_transport_and_has_a_foreign_profile(
    edgewright: Edgewright, tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.toml"
    root, python = tmp_path / "root", sys.executable
    fleet.write_text(
        f'[boards.box]\naddress = "acme:here"\nprofile = "acme-box"\nroot = "{root}"\npython = "{python}"\n'
    )
    code, out, err = edgewright("doctor", "box", "--fleet", fleet, "--json")
    assert code == 0, err
    assert "acme-box" in out
    assert (root / "state.0.json").exists() or any(root.iterdir())


def test_the_table_of_conversions_has_what_plug_ins_add(edgewright: Edgewright) -> None:
    code, out, err = edgewright("targets", "--matrix", "--json")
    assert (code, err) == (0, "")
    (way,) = [
        cell
        for cell in json.loads(out)["result"]["routes"]
        if cell["source"] == "acme-linear" and cell["precisions"]
    ]
    assert way["target"] == "onnxruntime"
    assert "acme-int8" in way["precisions"]
