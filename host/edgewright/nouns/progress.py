"""Progress: the one callback through which workflows report what they do."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.nouns.base import Noun


class Step(Noun, frozen=True, kw_only=True):
    """One thing that happens.

    Attributes:
        board: name of the board, empty on the host.
        what: what is being done, such as `upload` or `convert`.
        detail: for a person, such as a file name.
        done, total: bytes or items so far, where known.
        rate: bytes a second, in the last seconds of a transfer.
    """

    what: str
    board: str = ""
    detail: str = ""
    done: int | None = None
    total: int | None = None
    rate: float | None = None


STOPPING, STOPPED = "stopping", "stopped"  # what the host says after a Ctrl-C: it must be seen

Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """The callback that says nothing."""
