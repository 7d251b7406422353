"""The cache key: a hash of everything that determines an artifact, computed without importing a framework."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edgewright import __version__, targets
from edgewright.compile.data import class_names
from edgewright.compile.data.data_hash import SYNTHETIC, data_sha256
from edgewright.compile.formats import FORMATS
from edgewright.compile.inspection.code_fingerprint import fingerprint, of_plugins
from edgewright.compile.quality.metrics import own
from edgewright.compile.recognition import Recognised
from edgewright.compile.request import CompileRequest
from edgewright.compile.routes import Edge
from edgewright.compile.steps import STEPS
from edgewright.compile.toolchains import environments
from edgewright.errors import Code, ConversionError
from edgewright.metrics import METRICS
from edgewright.nouns.metric import is_own
from edgewright.nouns.model_input import CalibrationData, DataFile, Synthetic
from edgewright.nouns.project import Compare
from edgewright.precisions import PRECISIONS
from edgewright.records import Records


def tools(edge: Edge) -> dict[str, str]:
    """Distribution -> version of every tool that takes part in making the artifact.

    Raises:
        ConversionError: a distribution or a toolchain is not installed; the hint says what to install.
    """
    names = {*FORMATS[edge.source].tools, *edge.target.tools, *edge.route.tools, "numpy"}
    found = versions(names, f"{edge.source} -> {edge.target.name}")
    found.update({f"toolchain {name}": environments.stamp(name) for name in edge.route.toolchains})
    return found


def versions(names: Iterable[str], what: str) -> dict[str, str]:
    """Distribution -> version.

    Args:
        what: needs them.

    Raises:
        ConversionError: one is not installed; the hint says what to install.
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            raise ConversionError(
                f"{name} is not installed, which {what} needs",
                hint=f"pip install '{brought_by(name)}'",
                code=Code.TOOL_MISSING,
            ) from error
    return found


def brought_by(distribution: str) -> str:
    """What to install for a distribution: the edgewright extra that contains it, or else the distribution itself."""
    from packaging.requirements import Requirement

    for text in metadata.requires("edgewright") or ():
        found = Requirement(text)
        extra = re.search(r"extra == ['\"]([^'\"]+)", str(found.marker))
        if found.name == distribution and extra is not None and extra[1] not in ("all", "dev"):
            return f"edgewright[{extra[1]}]"
    return distribution


def source_framework(edge: Edge, versions: dict[str, str]) -> str:
    """The framework that computes the goldens, with its version, such as `tensorflow 2.21.0`."""
    name = FORMATS[edge.source].tools[0]
    return f"{name} {versions[name]}"


def _calibration(given: CalibrationData) -> str:
    """The part of the cache key that identifies the calibration data."""
    if isinstance(given, DataFile):
        return given.sha256
    return SYNTHETIC if isinstance(given, Synthetic) else ""


def _comparison(compare: Compare) -> dict[str, object]:
    """`[compare]` with the function's name and its file's bytes. The file's location is left out: it does not affect the result."""
    name = compare.function
    short = {} if name is None else {"function": Path(name).name, "sha256": data_sha256(own(name))}
    return {**msgspec.to_builtins(compare), **short}


class _Plugin(NamedTuple):
    """A plug-in's record that affects the artifact. The plug-in's files alone do not tell which of its records is used."""

    group: str
    name: str
    value: str
    distribution: str


def _plugins(edge: Edge, metric: str) -> tuple[list[_Plugin], list[str]]:
    """The plug-in records that affect the artifact, and their modules."""
    named: list[tuple[Records[Any], str]] = [(FORMATS, edge.source), (PRECISIONS, edge.precision)]
    named += [] if is_own(metric) else [(METRICS, metric)]
    named += [(STEPS, name) for name in edge.steps]
    entries = [(targets.GROUP, targets.entry(edge.target.name))]
    entries += [(records.group, records.entry(name)) for records, name in named]
    found = [
        _Plugin(group, one.name, one.value, one.distribution) for group, one in entries if one.distribution
    ]
    return found, [targets.plugin(edge.target.name), *(records.plugin(name) for records, name in named)]


def cache_key(found: Recognised, request: CompileRequest, edge: Edge, versions: dict[str, str]) -> str:
    """Hex sha256 over the source's bytes, the request, the data's bytes, our code and the tools' versions."""
    records, modules = _plugins(edge, request.model.metric)
    preprocessing = (
        None if request.model.preprocessing is None else msgspec.to_builtins(request.model.preprocessing)
    )
    decided = {
        "edgewright": __version__,
        "code": fingerprint(),
        "plugins": [records, of_plugins(modules)],
        "steps": edge.steps,
        "tolerance": msgspec.to_builtins(PRECISIONS[edge.precision].tolerance),
        "source": msgspec.to_builtins(found.source),
        "target": edge.target.name,
        "route": msgspec.to_builtins(edge.route),
        "conversion": msgspec.to_builtins(request.model.conversion),
        "precision": edge.precision,
        "inputs": {name: list(shape) for name, shape in request.model.shapes.items()},
        "calibration": _calibration(request.model.calibration),
        "evaluation": data_sha256(request.model.evaluation),
        "preprocessing": preprocessing,
        "metric": [request.model.metric, data_sha256(own(request.model.metric))],
        "score": request.model.score,
        "max_drop": request.max_drop,
        "opset": request.opset,
        "max_opset": request.max_opset,
        "compare": _comparison(request.model.compare),
        "labels": class_names.read(request.model.labels),
        "goldens": request.goldens,
        "allow_constant": request.model.allow_constant,
        "tools": versions,
    }
    if edge.target.compiles_for:
        decided["cpu"] = msgspec.to_builtins(request.cpu)
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
