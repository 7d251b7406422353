"""Uploads and downloads raw bytes on the session's stream, all of them hashed."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgewright.errors import BoardError, Code, EdgewrightError, ProtocolError
from edgewright.nouns.progress import Step
from edgewright.wire import commands
from edgewright.wire.answers import Event, Part, Result
from edgewright.wire.commands import UPDATE
from edgewright.wire.request import Body, Request
from edgewright.wire.stream import Stream
from edgewright.wire.transport import SLOWEST, Channel
from edgewright_agent import protocol

if TYPE_CHECKING:
    from edgewright.connect.session import Session

PART_SECONDS = 600.0  # for a board that hashes what it has of a file
LEAST_PIECE = 16 * 1024
STOPPED_SECONDS = 1.0
REST = 32 * 1024  # bytes in flight that progress does not show
PIECE_SECONDS = 0.5  # that a piece is on its way, so that progress moves
AT_ONCE = 32  # files that are asked about without waiting in between


def put(session: Session, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
    """The contract is `Session.put_all`."""
    hashes: list[str] = []
    for first in range(0, len(sources), AT_ONCE):
        some = sources[first : first + AT_ONCE]
        try:
            hashes += put_some(session, some)
        except BoardError as error:
            if error.code != Code.BUSY:
                raise
            hashes += put_some(session, some)  # another session began with one of them: `part` waits for it
    return hashes


def put_some(session: Session, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
    """Two round trips however many files there are: one asks what is there of them, the other ends the last one."""
    with contextlib.ExitStack() as stack:
        files = [(stack.enter_context(opened(source)), label) for source, label in sources]
        digests = [digest(file) for file, _ in files]
        distinct = dict(zip(digests, files, strict=True))  # the same bytes under two labels are sent once
        parts = ask(session, list(distinct))
        puts, rates, total = [], [], 0
        for ((sha256, size), (file, label)), part in zip(distinct.items(), parts, strict=True):
            rate = Rate(session, label, size)
            if part.complete:
                rate.whole()
                continue
            offset = resume_at(part, file, size)
            command = commands.Put(sha256=sha256, size=size, offset=offset)
            puts.append(Request(command, sender(file, offset, size, rate)))
            rates.append(rate)
            total += size - offset
        session.exchange_all(puts, timeout_s=PART_SECONDS + total / SLOWEST)
        for rate in rates:
            rate.whole()
        session.sent_bytes += total
    return [sha256 for sha256, _ in digests]


def ask(session: Session, files: Sequence[tuple[str, int]]) -> list[Part]:
    """What is on the board of each (sha256, size): the answers of `part`, a round trip for `AT_ONCE` of them."""
    asked = [Request(commands.Part(sha256=sha256, size=size)) for sha256, size in files]
    return [
        answer
        for first in range(0, len(asked), AT_ONCE)
        for answer in session.exchange_all(asked[first : first + AT_ONCE], timeout_s=PART_SECONDS)
    ]


@contextlib.contextmanager
def opened(source: Path | bytes) -> Iterator[BinaryIO]:
    """The bytes as a file."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise EdgewrightError(
            f"cannot read {source}: {error.strerror}", hint="check that it exists"
        ) from error
    with file:
        yield file


def digest(file: BinaryIO, limit: int | None = None) -> tuple[str, int]:
    """Hex sha256 and count of the bytes from the file's start, at most `limit`."""
    file.seek(0)
    found, count = hashlib.sha256(), 0
    while piece := file.read(protocol.PIECE if limit is None else min(protocol.PIECE, limit - count)):
        found.update(piece)
        count += len(piece)
    return found.hexdigest(), count


def resume_at(part: Part, file: BinaryIO, size: int) -> int:
    """How many bytes on the board are a true beginning of these; 0 when they are not."""
    if not 0 < part.offset <= size:
        return 0
    return part.offset if digest(file, part.offset)[0] == part.prefix_sha256 else 0


class Rate:
    """Tells the progress callback how much of an upload is done, and how fast it was in the last seconds.

    Args:
        total: bytes of the file.
    """

    WINDOW = 10.0  # seconds that the rate is the mean of
    EVERY = 0.5  # seconds between two words,
    BYTES = 1024 * 1024  # or so many bytes

    def __init__(self, session: Session, label: str, total: int) -> None:
        self._progress = session.progress
        self._board, self._label, self._total = session.board.name, label, total
        self._seen: collections.deque[tuple[float, int]] = collections.deque()
        self._told, self._named = 0.0, 0

    def __call__(self, done: int) -> None:
        """So many bytes, from the file's start, are there."""
        now = time.monotonic()
        self._seen.append((now, done))
        while now - self._seen[0][0] > self.WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        if now - self._told < self.EVERY and done - self._named < self.BYTES:
            return
        self._told, self._named = now, done
        self._tell(done)

    def whole(self) -> None:
        """The board has all of it, verified."""
        self._seen.append((time.monotonic(), self._total))
        self._tell(self._total)

    def _tell(self, done: int) -> None:
        (began, first), (now, _) = self._seen[0], self._seen[-1]
        rate = (done - first) / (now - began) if now - began > self.EVERY else None
        self._progress(
            Step(
                board=self._board, what="upload", detail=self._label, done=done, total=self._total, rate=rate
            )
        )


def sender(file: BinaryIO, offset: int, size: int, told: Callable[[int], None]) -> Body:
    """What sends the bytes from `offset` to `size`, exactly."""

    def send(channel: Channel, silence_s: float, deadline: float) -> None:
        file.seek(offset)
        done, length = offset, LEAST_PIECE
        before, began = channel.taken(), time.monotonic()

        def there() -> int:  # what only lies in this machine's buffers is not there yet
            return min(done, offset + channel.taken() - before) if before else done

        told(done)
        while done < size:
            piece = file.read(min(length, size - done))
            if not piece:
                raise EdgewrightError("the file became shorter while it was sent", hint="try again")
            soon = time.monotonic() + PART_SECONDS + len(piece) / SLOWEST
            channel.send(piece, silence_s, min(deadline, soon))
            done += len(piece)
            arrived = there()
            told(arrived)
            worth = (arrived - offset) / (time.monotonic() - began) * PIECE_SECONDS
            length = max(LEAST_PIECE, min(protocol.PIECE, int(worth)))
        drain(there, size - REST, told, deadline)

    return send


def drain(there: Callable[[], int], enough: int, told: Callable[[int], None], deadline: float) -> None:
    """Tells of what is still on its way, as long as it moves; the last of it is not waited for: the next file follows.

    A link that stopped is left to whoever waits for the answer.
    """
    last, since = there(), time.monotonic()
    while last < enough and time.monotonic() < min(since + STOPPED_SECONDS, deadline):
        time.sleep(0.05)
        now = there()
        if now > last:
            last, since = now, time.monotonic()
            told(now)


def get(session: Session, result: Result, destination: Path | None) -> bytes | Path:
    """The contract is `Session.get`."""
    if destination is None:
        buffer = io.BytesIO()
        fetch(session, result, buffer)
        return buffer.getvalue()
    destination.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=destination.parent, prefix=f".{destination.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fetch(session, result, file)
        Path(temporary).replace(destination)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return destination


def fetch(session: Session, result: Result, file: BinaryIO) -> None:
    """Writes the raw bytes of a result to a file."""
    found, took = hashlib.sha256(), 0

    def write(piece: bytes) -> None:
        nonlocal took
        found.update(piece)
        file.write(piece)
        took += len(piece)

    def take(event: Event, stream: Stream, deadline: float) -> None:
        if event.size != result.size:
            raise ProtocolError(
                f"the board sends {event.size} bytes of a result of {result.size}", hint=UPDATE
            )
        stream.raw(result.size, write, deadline)

    command, timeout_s = commands.Get(result=result.result), PART_SECONDS + result.size / SLOWEST
    session.exchange(command, timeout_s=timeout_s, raw=take)
    if took != result.size or found.hexdigest() != result.sha256:
        raise ProtocolError("the bytes of a result are not those that the board named", hint=UPDATE)
