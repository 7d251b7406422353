"""The manifest of an artifact that was just made, before it is judged."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from edgewright.compile.cache_key import source_framework, tools
from edgewright.compile.data.goldens import FILE as GOLDENS
from edgewright.compile.data.input_ranges import Range
from edgewright.compile.inspection import lineage_file
from edgewright.compile.recognition import Recognised
from edgewright.compile.request import CompileRequest
from edgewright.compile.routes import Edge
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Calibration, FileEntry, Goldens, Manifest, Parity, TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import DataFile
from edgewright.precisions import PRECISIONS, limits
from edgewright.store.artifacts import SCHEMA

UNMEASURED = Parity(max_abs=0.0, max_relative=0.0, cosine=0.0, sqnr_db=0.0, top1_agreement=0.0, count=0)


class Contents(Noun, frozen=True, kw_only=True):
    """What went into an artifact and what came out.

    Attributes:
        inputs, outputs: the artifact's, by the source's names.
        count, origin: how many goldens there are, and where from.
        samples: how many samples it was calibrated with. ranges: of their values.
        made: what the last stage returned.
        labels: names of the classes.
        floats: the narrowest floats that the source computes in.
    """

    files: tuple[FileEntry, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    count: int
    origin: str
    samples: int
    ranges: tuple[Range, ...]
    made: dict[str, Any]
    labels: tuple[str, ...]
    floats: str


def unjudged(request: CompileRequest, found: Recognised, edge: Edge, contents: Contents) -> Manifest:
    """The manifest without verdict, parity and accuracy."""
    versions, made = tools(edge), contents.made
    return Manifest(
        schema=SCHEMA,
        source=found.source,
        target=edge.target.name,
        precision=edge.precision,
        entry=edge.target.entry,
        files=contents.files,
        inputs=contents.inputs,
        outputs=contents.outputs,
        goldens=Goldens(
            file=GOLDENS,
            count=contents.count,
            origin=contents.origin,
            framework=source_framework(edge, versions),
            tolerance=limits(edge.precision, contents.floats).tolerance,
        ),
        parity=UNMEASURED,
        route=tuple(f"{worker}:{module}" for worker, module in edge.route.stages),
        kept_float=tuple(made.get("kept_float", ())),
        notes=tuple(made.get("notes", ())),
        nondeterministic=tuple(made.get("nondeterministic", ())),
        requires=made["requires"],
        causes=made.get("causes", {}),
        tools=versions,
        calibration=_calibration(request, edge, contents),
        preprocessing=request.model.preprocessing,
        labels=contents.labels,
        lineage=lineage_file.read(found.path),
        cpu=request.cpu,
    )


def _calibration(request: CompileRequest, edge: Edge, contents: Contents) -> Calibration:
    if not PRECISIONS[edge.precision].calibrated:
        return Calibration(ranges=contents.ranges)  # of the data that the goldens were chosen from
    given = request.model.calibration
    return Calibration(
        kind="data" if isinstance(given, DataFile) else "synthetic",
        sha256=given.sha256 if isinstance(given, DataFile) else "",
        samples=contents.samples,
        method=contents.made["method"],
        ranges=contents.ranges,
    )


def calibration_notes(request: CompileRequest, edge: Edge) -> list[str]:
    """Says that the calibration data came with the model's file, if they did and were used."""
    given = request.model.calibration
    own = isinstance(given, DataFile) and given.from_model is True
    return (
        ["the calibration data came with the model's file"]
        if own and PRECISIONS[edge.precision].calibrated
        else []
    )


def merged(specs: tuple[TensorSpec, ...], found: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    """The source's names and shapes with the dtypes and scales that the artifact has, and its file's own names."""
    if len(specs) != len(found):
        raise ConversionError(
            f"artifact has {len(found)} tensors where the source has {len(specs)}",
            hint="the converter dropped or added one; try another target",
        )
    rows = zip(specs, found, strict=True)
    return tuple(
        msgspec.structs.replace(spec, **{**own, **_names(spec.name, own["name"])}) for spec, own in rows
    )


def _names(source: str, own: str) -> dict[str, Any]:
    return {"name": source, "tensor": UNSET if own == source else own}
