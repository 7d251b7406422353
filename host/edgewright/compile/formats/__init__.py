"""The source formats, a file each, and which target takes which."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from edgewright import targets
from edgewright.compile.sources.source_format import SourceFormat
from edgewright.nouns.target import Target
from edgewright.records import Records


def problem(known: SourceFormat) -> str:
    """What is wrong with a plug-in's format beside the types of its fields; empty: nothing."""
    if not known.tools:
        return "its tools are empty: the first is the distribution that computes the goldens"
    if known.marker and known.takes != "folder":
        return f"it has a marker, {known.marker}, and takes no folder"
    return ""


FORMATS: Records[SourceFormat] = Records(
    "edgewright.formats", "source format", __name__, "FORMAT", SourceFormat, problem
)


def target_for(name: str, kind: str) -> Target:
    """A target, with the way that a source format has to it by itself."""
    target = targets.load(name)
    route = FORMATS[kind].routes.get(name)
    if route is None or kind in target.sources:
        return target
    return replace(target, routes={**target.routes, kind: route})


def targets_of(kind: str) -> list[str]:
    """Names of the targets that a source format has a way to."""
    return [name for name in targets.names() if kind in target_for(name, kind).sources]


def stage_module(kind: str, module: str) -> str:
    """The import name of a stage's module. A plug-in's format names those of its own package in full."""
    if module.partition(".")[0] == FORMATS.plugin(kind).partition(".")[0]:
        return module
    return targets.module_name(module)


def folder_of(path: Path) -> Path:
    """The folder of a model that a user named by its marker, else the path itself."""
    own = FORMATS.own()
    if path.name in _markers(own):
        return path.parent
    if path.suffix.lower() in {suffix for known in own for suffix in known.suffixes} or not path.is_file():
        return path  # plug-ins are not asked about it
    return path.parent if path.name in _markers(FORMATS.foreign()) else path


def _markers(formats: list[SourceFormat]) -> set[str]:
    return {known.marker for known in formats if known.takes == "folder"} - {""}
