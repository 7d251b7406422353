"""Reads the outputs that boards send back, whatever a board sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgewright.compile.data.answers import MAX_BYTES, from_board
from edgewright.compile.quality import user_comparison
from edgewright.compile.quality.user_comparison import Similarity
from edgewright.compile.quality.verdict.description import percent
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.connect.session import Session
from edgewright.errors import DataError, ProtocolError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.outcome import Check
from edgewright.nouns.project import Compare
from edgewright.wire.answers import Result

HEADERS = 1 << 20  # bytes of an archive that are not its tensors'


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Raises ProtocolError for what reading an archive of a board may raise.

    Args:
        what: what the board answered.
    """
    try:
        yield
    except (
        ValueError, KeyError, TypeError, AttributeError, ArithmeticError, OSError, MemoryError, *BAD_ZIP,  # RuntimeError: too deep
    ) as error:  # fmt: skip
        raise ProtocolError(
            f"the board's answers to the {what} are not understood: {error}",
            hint="update the agent: deploy again",
        ) from error


def function_of(compare: Compare, artifact: Artifact) -> Similarity | None:
    """The user's own function that compares a board's answers; None where the artifact was made without one.

    Raises:
        UsageError: the deployment's project names none, or another one than the artifact was made with.
    """
    wanted = artifact.manifest.compare
    if wanted is None:
        return None
    own = user_comparison.load(compare)
    what = f"artifact {artifact.id[:12]} was accepted by {wanted.function}"
    with_project = f"deploy with the project file whose [compare] names {wanted.function}"
    if own is None:
        raise UsageError(f"{what}, which this deployment does not name", hint=f"{with_project}: --project")
    if own.name != wanted.function:
        raise UsageError(f"{what}, the project names {own.name}", hint=f"{with_project}, or convert again")
    if own.sha256 != wanted.sha256:
        raise UsageError(
            f"{what}, whose file has changed since", hint=f"{with_project} as it was, or convert again"
        )
    return own._replace(least=wanted.least)


def compared(session: Session, own: Similarity, artifact: Artifact, result: Result) -> Check:
    """What the user's own function says of a board's answers to the goldens.

    Args:
        result: the RESULT of `verify` that holds them.

    Raises:
        ProtocolError: they are not what the manifest says.
    """
    manifest = artifact.manifest
    with understood("goldens"):
        count = manifest.goldens.count
        if result.size > min(MAX_BYTES, user_comparison.answers_bytes(manifest)) + HEADERS:
            raise ValueError(f"{result.size} bytes for {count} goldens")
        found = from_board("all", bytes(session.get(result)), manifest.outputs)
        if any(len(array) != count for array in found.arrays):
            raise ValueError(f"not one answer for each of {count} goldens")
    goldens = artifact.folder / manifest.goldens.file
    references, answers = user_comparison.values(goldens, found.arrays, manifest.outputs)
    try:
        share = own.share(references, answers)
    except DataError as error:
        return Check(name="compare", ok=False, note=error.message)
    note = f"{own.name}: {percent(share)} the same, at least {percent(own.least)}"
    return Check(name="compare", ok=own.enough(share), value=share, limit=own.least, note=note)
