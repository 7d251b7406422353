"""Reads the shapes of a source's inputs from its files without a framework, for `--dry-run`.

A conversion asks the framework instead. What cannot be read here is not shown. The readers are `SourceFormat.open_axes`.
"""

from __future__ import annotations

from xml.etree import ElementTree

from edgewright.compile.formats import FORMATS, folder_of
from edgewright.compile.request import CompileRequest
from edgewright.compile.sources.names import given_shapes
from edgewright.compile.sources.shapes import static_shapes
from edgewright.config.zip_errors import BAD_ZIP

_UNREADABLE = (  # what readers raise for files that are none, or of another form
    ValueError, LookupError, TypeError, AttributeError, OSError, RecursionError, *BAD_ZIP, ElementTree.ParseError,
)  # fmt: skip


def decided(request: CompileRequest, kind: str) -> tuple[str, ...]:
    """What a conversion will make of open axes, one line each; nothing where that is not known without a framework.

    Raises:
        ModelError: as `static_shapes` and `signatures.choose`: axes are open, or there are several signatures, and the
            request does not say.
    """
    ends, read = request.model.conversion.ends, FORMATS[kind].open_axes
    if read is None or ends.inputs or ends.outputs:
        return ()
    try:
        found = read(folder_of(request.model.source), ends.signature)
    except _UNREADABLE:
        return ()
    if not found.inputs:
        return found.notes
    shapes = given_shapes(request.model.shapes, list(found.inputs), found.names)
    return (*found.notes, *static_shapes(found.inputs, shapes, found.not_batch).notes)
