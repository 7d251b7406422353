"""Digits on real runtimes: models whose inputs are integers, and files for which an old runtime gives wrong outputs.

Two kinds of file load on a board's runtime without an error and give wrong outputs; only the golden check notices. Both are
right on today's runtime. No version check stops them here, since the artifacts keep the requirements of the fp32 file that
they were made from: only their outputs are tested.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.precision import Tolerance
from edgewright.nouns.verdict import Limits, OutputVerdict
from edgewright.precisions import PRECISIONS
from edgewright.store.artifacts import entry, load

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

DYNAMIC = """
import sys
from ai_edge_quantizer import quantizer, recipe
tool = quantizer.Quantizer(sys.argv[1], recipe.dynamic_wi8_afp32())
open(sys.argv[2], "wb").write(tool.quantize().quantized_model)
"""
INT4 = """
import sys
import nncf, openvino
model = openvino.Core().read_model(sys.argv[1])
made = nncf.compress_weights(
    model, mode=nncf.CompressWeightsMode.INT4_SYM, ratio=1.0, group_size=16, all_layers=True
)
openvino.save_model(made, sys.argv[2], compress_to_fp16=False)
"""


def loosened(verdict: OutputVerdict, before: Tolerance, after: Tolerance) -> OutputVerdict:
    """The verdict on one output with the limits of another precision, without slices."""
    noise, error = verdict.limits.noise, verdict.limits.error
    assert noise is not None and error is not None
    wider = 10 ** ((before.sqnr_db - after.sqnr_db) / 10)
    limits = Limits(noise=noise * wider, error=error * after.relative / before.relative)
    return msgspec.structs.replace(verdict, limits=limits)


def rewritten(good: Artifact, script: str, precision: str, folder: Path) -> Artifact:
    """A copy of an artifact whose model a script changed in a separate process; its manifest matches the files."""
    manifest = good.manifest
    folder.mkdir()
    for item in manifest.files:
        (folder / item.path).write_bytes((good.folder / item.path).read_bytes())
    source, target = good.folder / manifest.entry, folder / manifest.entry
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, source, target],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert target.read_bytes() != source.read_bytes()
    before, after = manifest.goldens.tolerance, PRECISIONS[precision].tolerance
    goldens = msgspec.structs.replace(manifest.goldens, tolerance=after)
    changed = msgspec.structs.replace(
        manifest,
        precision=precision,
        goldens=goldens,
        verdict=tuple(loosened(one, before, after) for one in manifest.verdict),
        files=tuple(entry(folder, item.path) for item in manifest.files),
    )
    (folder / "manifest.json").write_bytes(changed.canonical())
    return load(folder)


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("target", "script", "precision", "distribution", "version"),
    [
        ("tflite", DYNAMIC, "int8-dynamic", "tflite-runtime", "2.14.0"),
        ("openvino", INT4, "int4-weights", "openvino", "2022.3.2"),
    ],
    ids=["dynamic-int8-on-tflite-runtime-2.14", "int4-on-openvino-2022.3"],
)
def test_a_file_that_answers_wrongly_on_an_old_runtime_is_refused_there(
    board: Callable[[str], str], run: Callable[..., Any], workers: Workers, home: Path, tmp_path: Path,
    target: str, script: str, precision: str, distribution: str, version: str,
) -> None:  # fmt: skip
    good = compile_model(
        compile_request(
            source=DIGITS / "digits-v4.keras", target=target, precision="fp32", calibration=DIGITS / "calibration.npz",
        ),
        workers=workers,
    )  # fmt: skip
    changed = rewritten(good, script, precision, tmp_path / "changed")
    old, new = board("3.8"), board("")
    shipped = ("--name", target, "--evaluation", DIGITS / "evaluation.npz")

    provisioned = run("provision", old, "--target", target, "--version", version)
    assert provisioned.code == 0, provisioned.err
    control = run("deploy", good.folder, "--to", old, "--version", "1", *shipped)
    assert control.outcome["outcome"] == "committed", control.out
    assert control.outcome["runtime"].startswith(f"{distribution} {version}")

    right = run("deploy", changed.folder, "--to", new, "--version", "2", *shipped)
    assert right.outcome["outcome"] == "committed", right.out
    assert right.check("accuracy")["value"] > 0.97

    wrong = run("deploy", changed.folder, "--to", old, "--version", "2", *shipped[:2])
    assert wrong.code == 2
    assert wrong.outcome["outcome"] == "refused"
    assert wrong.outcome["runtime"].startswith(f"{distribution} {version}")
    assert [check["name"] for check in wrong.outcome["checks"] if not check["ok"]] == ["answers"]
    assert wrong.check("answers")["value"] < 3
    assert wrong.outcome["current"] == control.outcome["release"]
    assert "provision another runtime version" in wrong.outcome["hint"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_integer_inputs_are_scored_as_the_real_values_that_they_stand_for(
    board: Callable[[str], str], run: Callable[..., Any], workers: Workers, tmp_path: Path
) -> None:
    """In `coarse`, the integers stand for other values than in `whole`: the inputs of one must not be fed to the other."""
    here = board("")
    with np.load(DIGITS / "calibration.npz") as found:
        np.savez(tmp_path / "wide.npz", **{name: array * 3 for name, array in found.items()})

    def made(integer_io: bool, calibration: Path = DIGITS / "calibration.npz") -> Artifact:
        request = compile_request(
            source=DIGITS / "digits-v4.keras", target="tflite", precision="int8", calibration=calibration,
            evaluation=DIGITS / "evaluation.npz", conversion=Conversion(integer_io=integer_io),
        )  # fmt: skip
        return compile_model(request, workers=workers)

    whole, real = made(True), made(False)
    assert (whole.manifest.inputs[0].dtype, real.manifest.inputs[0].dtype) == ("int8", "float32")
    coarse = made(True, tmp_path / "wide.npz")
    scales = [artifact.manifest.inputs[0].scale or 0 for artifact in (coarse, whole)]
    assert scales[0] / scales[1] == pytest.approx(3, rel=0.1)
    for version, candidate in enumerate((real, whole, coarse, real)):
        shipped = run(
            "deploy", candidate.folder, "--to", here, "--name", "whole", "--version", version, "--evaluation",
            DIGITS / "evaluation.npz", "--accept-interface-change", *(["--stage"] if version == 3 else []),
        )  # fmt: skip
        assert shipped.code == 0, shipped.out
        check = shipped.check("accuracy against its source")
        assert (check["n"], check["ok"]) == (450, True)
        assert abs(check["value"]) < 0.01 and check["low"] < 0 < check["high"]
        if version:
            against = shipped.check("accuracy against the incumbent")
            assert (against["n"], against["ok"]) == (450, True)
            assert abs(against["value"]) < 0.01
