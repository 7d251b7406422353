"""Conversions whose verdict is recorded and not obeyed: only an artifact that exists shows whether it was refused rightly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from edgewright.compile.quality import artifact_check as checking
from edgewright.compile.quality.artifact_check import Checked, Subject
from edgewright.compile.quality.verdict.judge import Judged
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.workers.pool import Workers


@dataclass
class Recorded:
    """The recorded verdict.

    Attributes:
        asked: whether a conversion reached the verdict.
        refused: why; None where it accepts. outweighed: an evaluation set could let it through.
    """

    asked: bool = False
    refused: Unlike | None = None
    outweighed: bool = False


@contextmanager
def verdict() -> Iterator[Recorded]:
    """A block in which conversions keep artifacts that their verdict refuses. Yields the verdict of the last conversion."""
    found, check = Recorded(), checking.check

    def record(workers: Workers, subject: Subject, judged: list[Judged]) -> Checked:
        found.asked, found.refused, found.outweighed = True, None, False
        try:
            checked = check(workers, subject, judged)
        except Unlike as error:
            found.refused = error
            return Checked(error.parity, error.verdict, (), None)
        found.refused, found.outweighed = checked.low, checked.low is not None
        return checked._replace(low=None)

    with mock.patch.object(checking, "check", record):
        yield found
