"""Progress: the single callback through which workflows report progress."""

from __future__ import annotations

from collections.abc import Callable

from edgewright.nouns.base import Noun


class ProgressEvent(Noun, frozen=True, kw_only=True):
    """One reported step.

    Attributes:
        stage: what is being done, such as `upload` or `convert`.
        board: name of the board, empty on the host.
        detail: for people, such as a file name.
        done, total: how far it is, in `unit`, where that is known.
        unit: what is counted, such as `bytes`; empty where nothing is.
        rate: bytes a second, in the last seconds of a transfer.
    """

    stage: str
    board: str = ""
    detail: str = ""
    done: int | None = None
    total: int | None = None
    unit: str = ""
    rate: float | None = None


BYTES = "bytes"
NOTE = "note"  # `detail` is for people; it is not a stage of the work
WAITING, DONE, FAILURE = (
    "waiting",
    "done",
    "failed",
)  # of a board among several: not begun, and how its part ended
STOPPING, STOPPED = "stopping", "stopped"  # steps that the host reports after a Ctrl-C: they must be shown

Progress = Callable[[ProgressEvent], None]


def silent(step: ProgressEvent) -> None:
    """The callback that ignores all steps."""
