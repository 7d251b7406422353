"""Reads the outputs that boards send back, and copes with anything that a board may send."""

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
from edgewright.wire.caps import HEADERS


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Turns the errors of reading a board's archive into ProtocolError.

    Args:
        what: what the archive answers, for the error.
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
    """The user's comparison function for a board's answers; None if the artifact was made without one.

    Raises:
        UsageError: the deployment's project names none, or not the one that the artifact was made with.
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
    """The gate check of a board's answers to the goldens by the user's comparison function.

    Args:
        result: the RESULT of `verify` that holds the answers.

    Raises:
        ProtocolError: the answers do not match the manifest.
    """
    manifest = artifact.manifest
    with understood("goldens"):
        most = min(MAX_BYTES, user_comparison.answers_bytes(manifest)) + HEADERS
        with session.get_file(result, most=most) as file:
            found = from_board("all", file, manifest.outputs, manifest.goldens.count)
    goldens = artifact.folder / manifest.goldens.file
    references, answers = user_comparison.values(goldens, found.arrays, manifest.outputs)
    try:
        share = own.share(references, answers)
    except DataError as error:
        return Check(name="compare", ok=False, note=error.message)
    note = f"{own.name}: {percent(share)} the same, at least {percent(own.least)}"
    return Check(name="compare", ok=own.enough(share), value=share, limit=own.least, note=note)
