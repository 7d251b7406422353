"""Reads the shapes of a source's inputs from its files without a framework, for `--dry-run`.

A conversion asks the framework instead. Shapes that cannot be read here are left out. The readers are `SourceFormat.open_axes`.
"""

from __future__ import annotations

from xml.etree import ElementTree

from edgewright.compile.formats import FORMATS, ask, folder_of
from edgewright.compile.request import CompileRequest
from edgewright.compile.sources.names import given_shapes
from edgewright.compile.sources.shapes import static_shapes
from edgewright.compile.sources.source_format import OpenAxes
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.plugins import Failed

_UNREADABLE = (  # what readers raise for files that are damaged or of another form
    ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError, *BAD_ZIP, ElementTree.ParseError,
)  # fmt: skip


def decided(request: CompileRequest, kind: str) -> tuple[str, ...]:
    """How a conversion will fix dynamic axes, one line each; nothing if that cannot be known without a framework.

    Raises:
        ModelError: as `static_shapes` and `signatures.choose`: axes are dynamic or there are several signatures, and the
            request does not decide.
    """
    ends, read = request.model.conversion.ends, FORMATS[kind].open_axes
    if read is None or ends.inputs or ends.outputs:
        return ()
    try:
        found = ask(kind, "open_axes", folder_of(request.model.source), ends.signature)
    except Failed as error:
        return (error.message,)
    except _UNREADABLE:
        return ()
    if not isinstance(found, OpenAxes):
        return (FORMATS.blame(kind, f"open_axes gave {type(found).__name__}, not OpenAxes"),)
    if not found.inputs:
        return found.notes
    shapes = given_shapes(request.model.shapes, list(found.inputs), found.names)
    return (*found.notes, *static_shapes(found.inputs, shapes, found.not_batch).notes)
