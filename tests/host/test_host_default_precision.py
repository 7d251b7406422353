"""A profile's default precision is used if what it needs is given, else 32-bit floats, with a note."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import command_json, command_line

import edgewright as ew
import edgewright_profiles
from edgewright.api import conversion
from edgewright.compile.workers.confinement.confine import OFF
from edgewright.config import profiles
from edgewright.deployments import runtime_caps
from edgewright.deployments.task import precision_notes
from edgewright.nouns.artifact import Goldens, Manifest, Parity, Source
from edgewright.nouns.model_input import Absent, CalibrationData, DataFile, ModelInput
from edgewright.nouns.progress import NOTE
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
        ("int8", "fp32", "calibration data; give --calibration FILE"),
        ("int16x8", "fp32", "calibration data; give --calibration FILE"),
        ("int8-mixed", "fp32", "calibration data; give --calibration FILE"),
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
    wanted = f"fp32 was taken: {precision}, the default of own-{precision}, needs {option}"
    assert notes == ([wanted] if option else []) == document["notes"]
    asked = command_json(
        "convert", tmp_path / "net.onnx", "--profile", f"own-{precision}", "--dry-run", "--precision", "fp32"
    )
    assert asked[1]["notes"] == []


@pytest.mark.usefixtures("default")
def test_a_conversion_says_why_the_default_was_not_taken(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(ONNX)
    wanted = "fp32 was taken: int8, the default of own-int8, needs calibration data; give --calibration FILE"
    code, document = command_json("convert", tmp_path / "net.onnx", "--profile", "own-int8")
    assert (code, document["manifest"]["precision"], document["notes"]) == (0, "fp32", [wanted])
    cached = command_line("convert", tmp_path / "net.onnx", "--profile", "own-int8")
    assert cached.err.splitlines().count(wanted) == 1 and wanted not in cached.out


@pytest.mark.usefixtures("default")
def test_a_program_gets_the_notes_of_a_conversion_as_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFF, "off")
    monkeypatch.setattr(conversion, "compile_for", with_an_old_reader)
    (tmp_path / "net.onnx").write_bytes(ONNX)
    events: list[ew.ProgressEvent] = []
    ew.convert(tmp_path / "net.onnx", profile="own-int8", progress=events.append)
    notes = [event.detail for event in events if event.stage == NOTE]
    assert notes == [
        "nothing kept the model from your files and the network while it was converted: see `edgewright doctor --host`",
        "fp32 was taken: int8, the default of own-int8, needs calibration data; give --calibration FILE",
        "too new for onnxruntime 1.0 (Python 3.6) of own-int8",
    ]


def with_an_old_reader(*arguments: Any) -> Any:
    """Like `compile_for`, with a runtime of the profile that cannot read the artifact."""
    reader = runtime_caps.Reader(name="onnxruntime", version="1.0", caps={}, where="Python 3.6")
    return runtime_caps.compile_for(*arguments)[0], [reader]


@pytest.mark.usefixtures("default")
def test_a_mixed_default_needs_the_layers(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(ONNX)
    arguments = ["convert", tmp_path / "net.onnx", "--profile", "own-int8-mixed", "--dry-run"]
    arguments += ["--calibration", "synthetic"]
    assert command_json(*arguments)[1]["plan"]["precision"] == "fp32"
    assert command_json(*arguments, "--keep-float", "g")[1]["plan"]["precision"] == "int8-mixed"
    given = model(DataFile(path=Path("data.npz"), sha256=""))
    (note,) = precision_notes(given, profiles.load("own-int8-mixed"), made("fp32"))
    assert "give --keep-float LAYER" in note.note


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
