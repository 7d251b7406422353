"""The same inputs give the same artifact id, from fresh worker processes and with no cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.explain import names_to_keep
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.conversion import Conversion

pytestmark = pytest.mark.slow


def outcomes(source: Path, wanted: dict[str, tuple[str, ...]], log: Path) -> dict[tuple[str, str], str]:
    """(target, precision) -> the artifact's id, or why there is none; no precisions: all of the target."""
    found: dict[tuple[str, str], str] = {}
    with Workers(log) as fresh:
        for name, precisions in wanted.items():
            keep: tuple[str, ...] = ()
            for precision in precisions or targets.load(name).precisions_from(source.suffix[1:]):
                mixed = precision == "int8-mixed"
                request = compile_request(
                    source=source, target=name, precision=precision, calibration=source.with_name("images.npz"),
                    conversion=Conversion(keep_float=keep[1:2]) if mixed else Conversion(), use_cache=False,
                )  # fmt: skip
                try:
                    artifact = compile_model(request, workers=fresh)
                except ConversionError as error:
                    found[name, precision] = error.code
                    continue
                assert artifact.manifest.nondeterministic == ()
                found[name, precision] = artifact.id
                if precision == "fp32":
                    keep = names_to_keep(request, artifact, fresh)
    return found


def twice_the_same(source: Path, wanted: dict[str, tuple[str, ...]], log: Path) -> None:
    first, second = (outcomes(source, wanted, log) for _ in range(2))
    assert first == second
    for name in wanted:  # of the others some are outside their tolerance with this net
        made = {
            precision for place, precision in first if place == name and len(first[place, precision]) == 64
        }
        assert {"fp32", "int8", "int8-mixed"} <= made


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_from_onnx(outlier: Path, tmp_path: Path, target: str) -> None:
    twice_the_same(outlier / "outlier.onnx", {target: ()}, tmp_path / "log")


@pytest.mark.exhaustive
def test_from_keras(outlier_tflite: Path, tmp_path: Path) -> None:
    some = ("fp32", "int8", "int8-mixed")
    wanted = {"tflite": (), "onnxruntime": some, "openvino": some}
    twice_the_same(outlier_tflite / "outlier.keras", wanted, tmp_path / "log")
