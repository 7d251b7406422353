"""The default precision of a profile is taken where what it needs is given, else 32-bit floats; a note says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import command_json

import edgewright_profiles
from edgewright.config import profiles
from edgewright.deploy.task import precision_notes
from edgewright.nouns.artifact import Goldens, Manifest, Parity, Source
from edgewright.nouns.model_input import Absent, CalibrationData, DataFile, ModelInput
from edgewright.precisions import EXACT

ONNX = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)  # one Relu


@pytest.fixture
def default(home: Path) -> None:
    """Profiles whose defaults need something, by the name of the precision."""
    (home / "profiles").mkdir()
    text = (Path(edgewright_profiles.__path__[0]) / "generic-x86_64.toml").read_text()
    for precision in ("int8", "int16x8", "int8-mixed", "int4-weights"):
        own = [
            line for line in text.splitlines() if line.split(" ")[0] not in ("name", "precision", "targets")
        ]
        own += [f'name = "own-{precision}"', f'precision = "{precision}"', 'targets = ["onnxruntime"]']
        own.sort(key=lambda line: line.startswith(("notes", "    ", "]")))
        (home / "profiles" / f"own-{precision}.toml").write_text("\n".join(own) + "\n")


@pytest.mark.usefixtures("default")
@pytest.mark.parametrize(
    ("precision", "taken", "option"),
    [
        ("int8", "fp32", "--calibration"),
        ("int16x8", "fp32", "--calibration"),
        ("int8-mixed", "fp32", "--calibration"),
        ("int4-weights", "int4-weights", ""),
    ],
)
def test_a_default_that_needs_data_is_not_refused_without(
    tmp_path: Path, precision: str, taken: str, option: str
) -> None:
    (tmp_path / "net.onnx").write_bytes(ONNX)
    code, document = command_json(
        "convert", tmp_path / "net.onnx", "--profile", f"own-{precision}", "--dry-run"
    )
    assert code == 0, document
    assert document["plan"]["precision"] == taken
    notes = [check.note for check in precision_notes(model(), profiles.load(f"own-{precision}"), made(taken))]
    wanted = f"{precision}, the default of own-{precision}, needs {option}: fp32 was taken"
    assert notes == ([wanted] if option else [])


@pytest.mark.usefixtures("default")
def test_a_mixed_default_needs_the_layers(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(ONNX)
    arguments = ["convert", tmp_path / "net.onnx", "--profile", "own-int8-mixed", "--dry-run"]
    arguments += ["--calibration", "synthetic"]
    assert command_json(*arguments)[1]["plan"]["precision"] == "fp32"
    assert command_json(*arguments, "--keep-float", "g")[1]["plan"]["precision"] == "int8-mixed"
    given = model(DataFile(path=Path("data.npz"), sha256=""))
    (note,) = precision_notes(given, profiles.load("own-int8-mixed"), made("fp32"))
    assert "needs --keep-float" in note.note


ABSENT = Absent()


def model(calibration: CalibrationData = ABSENT) -> ModelInput:
    return ModelInput(source=Path("net.onnx"), name="net", calibration=calibration)


def made(precision: str) -> Manifest:
    return Manifest(
        schema=2, source=Source(format="onnx", file="net.onnx", sha256=""), target="onnxruntime", precision=precision,
        entry="model.onnx", files=(), inputs=(), outputs=(), route=(), requires={}, tools={},
        goldens=Goldens(file="goldens.npz", count=16, origin="random", framework="", tolerance=EXACT.tolerance),
        parity=Parity(max_abs=0.0, max_relative=0.0, cosine=1.0, sqnr_db=90.0, top1_agreement=1.0, count=16),
    )  # fmt: skip
