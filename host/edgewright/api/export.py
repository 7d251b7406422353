"""export_c: writes an artifact as a C program, for applications without Python."""

from __future__ import annotations

from pathlib import Path

from edgewright.api.arguments import StrPath
from edgewright.api.callbacks import guarded
from edgewright.api.models import load_artifact
from edgewright.c_program.program import Export, ExportedProgram
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.progress import Progress


def export_c(
    artifact: Artifact | StrPath,
    output: StrPath | None = None,
    *,
    name: str | None = None,
    progress: Progress | None = None,
) -> ExportedProgram:
    """Writes a folder with a C program that runs an artifact: header, implementation, main program, Makefile, model and runtime.

    Args:
        artifact: also the id of one, its beginning, or a folder that `convert` made.
        output: a new folder; it must not exist yet. By default `<name>-c` in the working folder.
        name: of the model in C, which stands before all names: two exports with different names can be linked into one application.
            By default it comes from that of the source file.
        progress: called with each event.

    Returns:
        What was written.

    Raises:
        EdgewrightError: there is no such artifact, its target cannot be exported to C, `name` is none in C, its runtime cannot be had, or the folder
            cannot be written.
    """
    return export_of(artifact, output, name).write(guarded(progress))


def export_of(artifact: Artifact | StrPath, output: StrPath | None = None, name: str | None = None) -> Export:
    """What `export_c` writes; writes nothing yet. Takes the same arguments and raises the same errors."""
    found = artifact if isinstance(artifact, Artifact) else load_artifact(artifact)
    return Export(found, None if output is None else Path(output), name)
