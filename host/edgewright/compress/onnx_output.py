"""Writes a compressed Keras or PyTorch network as ONNX: the fp32 conversion for ONNX Runtime, verified as every conversion is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgewright.compile.data.data_hash import calibration_of
from edgewright.compile.pipeline import compile_model, plan
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers import user_function
from edgewright.compile.workers.pool import Workers
from edgewright.compress.frameworks import ONNX_TARGET
from edgewright.compress.request import Compressed, CompressRequest
from edgewright.errors import Code, ConversionError
from edgewright.nouns.model_input import Absent, CalibrationData, DataFile, ModelInput
from edgewright.nouns.progress import Progress
from edgewright.precisions import EXACT

SUFFIX = ".onnx"


def check(request: CompressRequest) -> None:
    """Raises ConversionError if networks of the source's format cannot become ONNX files here, such as without tf2onnx."""
    plan(_conversion(request, request.source))


def readable(request: CompressRequest) -> list[Path]:
    """What workers read for the conversion. A worker that may read it from the start is not started again."""
    given = _samples(request)
    return [given.path] if isinstance(given, DataFile) else []


class OnnxNetwork(NamedTuple):
    """A network as an ONNX file with a batch of 1, in the store, and the conversion's notes."""

    file: Path
    notes: tuple[str, ...]


def converted(
    found: Compressed, request: CompressRequest, workers: Workers, progress: Progress
) -> OnnxNetwork:
    """The last good network as ONNX.

    Raises:
        ConversionError: the network cannot be converted, or the file gives other outputs than the network.
    """
    source = found.networks[-1].file
    artifact = compile_model(_conversion(request, source), progress, workers)
    manifest = artifact.manifest
    models = [one.path for one in manifest.files if one.path != manifest.goldens.file]
    if models != [manifest.entry]:
        raise ConversionError(
            "the network is too large for an ONNX file in one piece",
            hint=f"name an output that ends in {source.suffix}, and convert that",
            code=Code.MODEL_TOO_LARGE,
        )
    return OnnxNetwork(artifact.folder / manifest.entry, manifest.notes)


def _conversion(request: CompressRequest, source: Path) -> CompileRequest:
    model = ModelInput(
        source=source,
        calibration=_samples(request),
        preprocessing=request.files.preprocessing,
        trusted=request.trusted,
    )
    return CompileRequest(model=model, target=ONNX_TARGET, precision=EXACT.name, use_cache=request.use_cache)


def _samples(request: CompressRequest) -> CalibrationData:
    """The user's data, to compare answers on; data that come from a function are replaced by random ones."""
    given = (request.files.training, request.files.deciding, request.files.test)
    files = [path for path in given if path is not None and user_function.named(path) is None]
    return calibration_of(files[0]) if files else Absent()
