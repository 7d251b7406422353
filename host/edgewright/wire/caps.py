"""Caps: how much the host takes from a board, a row for each place where it reads from one. docs/wire.md shows the table."""

from __future__ import annotations

import msgspec

from edgewright_agent import protocol

MIB = 1024**2
HEADERS = MIB  # bytes of an archive that are not its tensors'


class Cap(msgspec.Struct, frozen=True, kw_only=True):
    """One place where the host reads from a board.

    Attributes:
        reads: what it reads.
        most: the most it takes, in `unit`, whatever the board says.
        tighter: what limits it further; empty for nothing.
        then: what happens to more.
    """

    reads: str
    most: int
    unit: str = "bytes"
    tighter: str = ""
    then: str = "an error, which ends the session"


REFUSED = "refused by its size before it is fetched"
BEFORE = "refused before the board runs anything, where the shapes are known; else by its size before it is fetched"
TEXT_VALUES = 2**19  # values that are written as text, each of which then takes some 200 bytes of memory

NOISE = Cap(
    reads="output before the greeting; lines of an SSH server before the key exchange",
    most=protocol.MAX_NOISE,
)
LINE = Cap(
    reads="a line: an answer, an event, an error; with them facts, status, a manifest, the output of hooks and runtimes",
    most=protocol.MAX_LINE,
)
EVENTS = Cap(
    reads="events of one command",
    most=20_000,
    unit="lines",
    tighter="the command's time limit, which heartbeats and events do not extend",
)
STDERR = Cap(reads="stderr", most=256 * 1024, then="the newest are kept, the rest is read and dropped")
PACKET = Cap(reads="an SSH packet", most=256 * 1024, then="the link is cut")
WINDOW = Cap(
    reads="SSH data that nobody has read yet, of stdout and stderr", most=8 * MIB, then="the link is cut"
)
LOGS = Cap(reads="the log that `logs` names", most=MIB, then=REFUSED)
RANKS = Cap(
    reads="`evaluate` with `top5`: a file", most=64 * MIB, tighter="exactly 20 bytes a sample", then=REFUSED
)
ANSWERS = Cap(
    reads="`evaluate` with `first` or `all`, and the goldens of `verify`: a file, mapped into memory",
    most=256 * MIB + HEADERS,
    tighter="samples times the shapes of the outputs, and 1 MiB for headers; stored, not compressed",
    then=REFUSED,
)
OUTPUTS = Cap(
    reads="`infer`: a file, mapped into memory",
    most=1024 * MIB + HEADERS,
    tighter="samples times the shapes in the artifact's manifest, and 1 MiB for headers; stored, not compressed",
    then=BEFORE,
)
UNKNOWN_OUTPUTS = Cap(
    reads="`infer` of a release whose artifact is not on this machine: only the board knows its shapes",
    most=256 * MIB + HEADERS,
    tighter="samples times the shapes in the board's manifest, and 1 MiB for headers; with `--json` 524288 values, "
    "or 1 MiB if the board has no manifest that this version reads",
    then=BEFORE,
)
SAMPLES = Cap(
    reads="`bench`: the samples of a run, a file; of all runs, blocks that have 48 MiB are kept",
    most=128 * MIB,
    tighter="8 bytes for each 0.1 µs of its steady state and for `min_samples`; as many runs as rounds times releases",
    then=REFUSED,
)
KEPT_SAMPLES = 48 * MIB  # bytes of the samples of all runs that are kept
CAPS = (NOISE, LINE, EVENTS, STDERR, PACKET, WINDOW, LOGS, RANKS, ANSWERS, OUTPUTS, UNKNOWN_OUTPUTS, SAMPLES)
