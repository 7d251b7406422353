"""The source formats, one file each, and the targets that accept them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from edgewright import targets
from edgewright.compile.sources.source_format import SourceFormat
from edgewright.compile.workers.framework_errors import described
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.target import Target
from edgewright.records import Records

_OPENED = ("inputs", "output_names", "notes", "loose", "run")  # what an opened model has at least


def problem(known: SourceFormat) -> str:
    """What is wrong with a plug-in's format apart from the types of its fields; empty if nothing is."""
    if not known.tools:
        return "its tools are empty: the first is the distribution that computes the goldens"
    if known.marker and known.takes != "folder":
        return f"it has a marker, {known.marker}, and takes no folder"
    return ""


FORMATS: Records[SourceFormat] = Records(
    "edgewright.formats", "source format", __name__, "FORMAT", SourceFormat, problem
)


def ask(kind: str, function: str, *arguments: Any) -> Any:
    """What a function of a format's record returns. A plug-in's may fail in any way.

    Raises:
        Failed: it is a plug-in's, and fails.
    """
    called = getattr(FORMATS[kind], function)
    if not FORMATS.plugin(kind):
        return called(*arguments)
    try:
        return called(*arguments)
    except EdgewrightError:
        raise
    except (Exception, SystemExit) as error:
        raise FORMATS.failed(kind, f"{function}: {described(error)}") from error


def check_model(kind: str, model: Any) -> None:
    """Raises Failed where a plug-in's `open` gave no opened model."""
    if not FORMATS.plugin(kind):
        return
    lacking = [name for name in _OPENED if not hasattr(model, name)]
    if lacking:
        raise FORMATS.failed(kind, f"open gave {type(model).__name__} without {', '.join(lacking)}")
    if not isinstance(model.inputs, tuple | list) or not all(
        isinstance(one, TensorSpec) for one in model.inputs
    ):
        raise FORMATS.failed(kind, "open gave a model whose inputs are no TensorSpecs")


def target_for(name: str, kind: str) -> Target:
    """A target, including the route that a source format itself declares to it."""
    target = targets.load(name)
    route = FORMATS[kind].routes.get(name)
    if route is None or kind in target.sources:
        return target
    return replace(target, routes={**target.routes, kind: route})


def targets_of(kind: str) -> list[str]:
    """Names of the targets that a source format has a route to."""
    return [name for name in targets.names() if kind in target_for(name, kind).sources]


def stage_module(kind: str, module: str) -> str:
    """The import name of a stage's module. A plug-in's format gives the full names of modules in its own package."""
    if module.partition(".")[0] == FORMATS.plugin(kind).partition(".")[0]:
        return module
    return targets.module_name(module)


def folder_of(path: Path) -> Path:
    """The folder of a model if the path is its marker file, else the path itself."""
    own = FORMATS.own()
    if path.name in _markers(own):
        return path.parent
    if path.suffix.lower() in {suffix for known in own for suffix in known.suffixes} or not path.is_file():
        return path  # no need to load plug-ins
    return path.parent if path.name in _markers(FORMATS.foreign()) else path


def _markers(formats: list[SourceFormat]) -> set[str]:
    return {known.marker for known in formats if known.takes == "folder"} - {""}
