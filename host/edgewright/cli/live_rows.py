"""One line per active board: its task, its progress, and the time elapsed and remaining."""

from __future__ import annotations

from typing import NamedTuple

from edgewright.cli.render import clean
from edgewright.nouns.outcome import ABORTED, FAILED, GOOD, REFUSED, REVERTED, UNKNOWN, UNREACHABLE
from edgewright.nouns.progress import BYTES, DONE, FAILURE, WAITING, ProgressEvent

WAITS, WORKS, DID, DID_NOT = "waiting", "working", "done", "failed"
BAD = (FAILED, REFUSED, REVERTED, UNREACHABLE, UNKNOWN, ABORTED)
MARKS = {WAITS: ".", WORKS: "|/-\\", DID: "+", DID_NOT: "x"}
STYLES = {WAITS: "dim", WORKS: None, DID: "green", DID_NOT: "red"}
BAR = 12
MIB = 1024**2


class Row:
    """The state of one board.

    Attributes:
        state: `waiting`, `working`, `done` or `failed`.
        text: what the board is doing, or how it ended.
    """

    def __init__(self, name: str, now: float) -> None:
        self.name, self.state, self.text = name, WORKS, ""
        self.began, self.ended = now, 0.0
        self.step: ProgressEvent | None = None
        self._stage, self._first, self._at = "", (now, 0), now

    def take(self, step: ProgressEvent, now: float) -> None:
        """Updates the row with a step of the board."""
        if step.stage in (DONE, FAILURE):
            if self.state == WORKS:  # an earlier outcome is more specific
                text = "" if step.stage == DONE else f"failed: {step.detail}"
                self._end(DID if step.stage == DONE else DID_NOT, text, now)
            return
        if step.stage == WAITING:
            self.state, self.text, self.step = WAITS, "", None
            return
        if self.state != WORKS:  # the board starts work, or starts another part of it
            self.state, self.ended = WORKS, 0.0
            self.began = now if not self.text else self.began
        self.text = f"{step.stage} {step.detail}".strip()
        if step.stage in GOOD or step.stage in BAD:
            self._end(DID if step.stage in GOOD else DID_NOT, self.text, now)
            return
        if step.done is None:
            self._stage, self.step = step.stage, None
            return
        if self.step is None or (self._stage, self.step.total) != (step.stage, step.total):
            self._first = (now, step.done)
        self._stage, self.step, self._at = step.stage, step, now

    def _end(self, state: str, text: str, now: float) -> None:
        self.state, self.ended, self.step = state, now, None
        self.text = text or state

    def seconds(self, now: float) -> float:
        """How long the board has been working, in seconds."""
        return (self.ended or now) - self.began

    def left(self, now: float) -> float | None:
        """Seconds left in this stage; None if unknown."""
        step = self.step
        if step is None or not step.total or step.done is None:
            return None
        rest = step.total - step.done
        if step.rate:
            return rest / step.rate
        began, first = self._first
        if step.unit == BYTES or step.done <= first:
            return None
        each = (self._at - began) / (step.done - first)
        return max(0.0, each * rest - (now - self._at))


class Line(NamedTuple):
    """A line of the display, with its style."""

    text: str
    style: str | None


def line(row: Row, now: float, width: int) -> Line:
    """A board's line, at most `width` columns wide."""
    mark = MARKS[row.state]
    mark = mark[int(now * 8) % len(mark)]
    clock = "" if row.state == WAITS else clocked(row.seconds(now))
    tail = "  ".join(part for part in (measure(row), clock, remains(row.left(now))) if part)
    head = f"{mark} {row.name:<12} "
    text = clean(row.text) or row.state
    room = max(0, width - len(head) - len(tail) - 2)
    if len(text) > room:
        text = text[: max(0, room - 1)] + "~"
    return Line(f"{head}{text:<{room}}  {tail}"[:width], STYLES[row.state])


def measure(row: Row) -> str:
    """A progress bar with the amount done and the total; empty if they are unknown."""
    step = row.step
    if step is None or not step.total or step.done is None:
        return ""
    full = BAR * min(step.done, step.total) // step.total
    bar = f"[{'#' * full}{'.' * (BAR - full)}]"
    if step.unit == BYTES:
        speed = f" {rate(step.rate)}" if step.rate else ""
        return f"{bar} {step.done / MIB:.1f}/{step.total / MIB:.1f} MiB{speed}"
    return f"{bar} {step.done}/{step.total} {step.unit}".rstrip()


def rate(speed: float) -> str:
    """Bytes per second, for people."""
    return f"{speed / 1e6:.1f} MB/s" if speed >= 1e6 else f"{speed / 1e3:.1f} kB/s"


def clocked(seconds: float) -> str:
    """A duration such as `0:07` or `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def remains(seconds: float | None) -> str:
    """The time left, such as `0:12 left`."""
    return "" if seconds is None else f"{clocked(seconds)} left"


def picture(rows: list[Row], now: float, width: int, height: int) -> list[Line]:
    """The whole display: one line per board while there is room, active boards first, and a count of each state."""
    order = (WORKS, DID_NOT, WAITS, DID)
    found = [line(row, now, width) for row in rows]
    if len(rows) > max(1, height - 1):
        first = sorted(range(len(rows)), key=lambda index: order.index(rows[index].state))
        found = [found[index] for index in sorted(first[: max(1, height - 1)])]
    if len(rows) > 1:
        counts = [(sum(row.state == state for row in rows), state) for state in order]
        found.append(Line(", ".join(f"{count} {state}" for count, state in counts if count)[:width], "bold"))
    return found
