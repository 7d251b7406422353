"""Uploads and downloads raw bytes on the session's stream, and hashes all of them."""

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
from typing import TYPE_CHECKING, BinaryIO, cast

from edgewright.errors import BoardError, Code, EdgewrightError, ProtocolError
from edgewright.file_hashes import HASHES
from edgewright.files import open_regular
from edgewright.nouns.progress import BYTES, ProgressEvent
from edgewright.wire import commands
from edgewright.wire.answers import Event, Part, Result
from edgewright.wire.commands import SOON, UPDATE
from edgewright.wire.request import Body, Request
from edgewright.wire.stream import Stream
from edgewright.wire.transport import SLOWEST, Channel
from edgewright_agent import protocol

if TYPE_CHECKING:
    from edgewright.connect.session import Session

PART_SECONDS = 600.0  # for a board to hash what it already has of a file
LEAST_PIECE = 16 * 1024
STOPPED_SECONDS = 1.0
REST = 32 * 1024  # bytes in flight that progress does not show
PIECE_SECONDS = 0.5  # transmission time of a piece, so that progress moves
AT_ONCE = 32  # files to query without waiting in between


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
            hashes += put_some(
                session, some
            )  # another session began to send one of them: `part` waits for it
    return hashes


def put_some(session: Session, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
    """Uploads any number of files in two round trips: one asks what the board has, the other waits for the last file."""
    with contextlib.ExitStack() as stack:
        files = [(stack.enter_context(opened(source)), label) for source, label in sources]
        digests = [
            HASHES.of(file) if isinstance(file, io.BufferedReader) else digest(file) for file, _ in files
        ]
        distinct = dict(zip(digests, files, strict=True))  # equal bytes under two labels are sent once
        parts = ask(session, list(distinct))
        puts, rates, total = [], [], 0
        missing = [size for (_, size), part in zip(distinct, parts, strict=True) if not part.complete]
        upload, before = Upload(sum(missing)), 0
        for ((sha256, size), (file, label)), part in zip(distinct.items(), parts, strict=True):
            if part.complete:
                Rate(session, label, Upload(size)).whole(size)
                continue
            rate = Rate(session, label, upload, before)
            before += size
            offset = resume_at(part, file, size)
            command = commands.Put(sha256=sha256, size=size, offset=offset)
            puts.append(Request(command, sender(file, offset, size, rate)))
            rates.append(rate)
            total += size - offset
        session.exchange_all(puts, timeout_s=PART_SECONDS + total / SLOWEST)
        if rates:
            rates[-1].whole(before)
        session.sent_bytes += total
    return [sha256 for sha256, _ in digests]


def ask(session: Session, files: Sequence[tuple[str, int]]) -> list[Part]:
    """What the board has of each (sha256, size): the answers of `part`, in one round trip per `AT_ONCE` files."""
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
        file = open_regular(source)
    except OSError as error:
        raise EdgewrightError(
            f"cannot read {source}: {error.strerror}", hint="check that it exists and is a file"
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
    """How many bytes on the board match the beginning of the file; 0 if they do not match."""
    if not 0 < part.offset <= size:
        return 0
    return part.offset if digest(file, part.offset)[0] == part.prefix_sha256 else 0


class Upload:
    """Files that are sent together.

    Args:
        total: their bytes.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.seen: collections.deque[tuple[float, int]] = collections.deque()
        self.reported_at, self.reported_bytes = 0.0, 0


class Rate:
    """Reports to the progress callback how much of an upload is done, and its recent speed.

    Args:
        label: the file's name.
        upload: all files that are sent together: the report is about them.
        before: bytes of the files that are sent before this one.
    """

    WINDOW = 10.0  # seconds over which the rate is averaged
    EVERY = 0.5  # seconds between two reports,
    BYTES = 1024 * 1024  # or this many bytes

    def __init__(self, session: Session, label: str, upload: Upload, before: int = 0) -> None:
        self._progress = session.progress
        self._board, self._label, self._before = session.board.name, label, before
        self._upload, self._seen = upload, upload.seen

    def __call__(self, done: int) -> None:
        """Takes note that `done` bytes from the file's start have arrived."""
        now, upload = time.monotonic(), self._upload
        done += self._before
        self._seen.append((now, done))
        while now - self._seen[0][0] > self.WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        if now - upload.reported_at < self.EVERY and done - upload.reported_bytes < self.BYTES:
            return
        upload.reported_at, upload.reported_bytes = now, done
        self._report(done)

    def whole(self, done: int) -> None:
        """Reports that the board has all files, verified, and how many bytes they have."""
        self._seen.append((time.monotonic(), done))
        self._report(done)

    def _report(self, done: int) -> None:
        (began, first), (now, _) = self._seen[0], self._seen[-1]
        rate = (done - first) / (now - began) if now - began > self.EVERY else None
        self._progress(
            ProgressEvent(
                board=self._board,
                stage="upload",
                detail=self._label,
                done=done,
                total=self._upload.total,
                unit=BYTES,
                rate=rate,
            )
        )


def sender(file: BinaryIO, offset: int, size: int, report: Callable[[int], None]) -> Body:
    """The body of a request: sends exactly the bytes from `offset` to `size`."""

    def send(channel: Channel, silence_s: float, deadline: float) -> None:
        file.seek(offset)
        done, length = offset, LEAST_PIECE
        before, began = channel.taken(), time.monotonic()

        def there() -> int:  # bytes in this machine's buffers have not arrived yet
            return min(done, offset + channel.taken() - before) if before else done

        report(done)
        while done < size:
            piece = file.read(min(length, size - done))
            if not piece:
                raise EdgewrightError("the file became shorter while it was sent", hint="try again")
            soon = time.monotonic() + PART_SECONDS + len(piece) / SLOWEST
            channel.send(piece, silence_s, min(deadline, soon))
            done += len(piece)
            arrived = there()
            report(arrived)
            worth = (arrived - offset) / (time.monotonic() - began) * PIECE_SECONDS
            length = max(LEAST_PIECE, min(protocol.PIECE, int(worth)))
        drain(there, size - REST, report, deadline)

    return send


def drain(there: Callable[[], int], enough: int, report: Callable[[int], None], deadline: float) -> None:
    """Reports the bytes still in flight as they arrive; does not wait for the last ones, so that the next file can follow.

    A stalled link is left to the code that waits for the answer.
    """
    last, since = there(), time.monotonic()
    while last < enough and time.monotonic() < min(since + STOPPED_SECONDS, deadline):
        time.sleep(0.05)
        now = there()
        if now > last:
            last, since = now, time.monotonic()
            report(now)


def get(session: Session, result: Result, destination: Path | None, most: int) -> bytes | Path:
    """The contract is `Session.get`."""
    check_size(session, result, most)
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


def get_file(session: Session, result: Result, most: int) -> BinaryIO:
    """The contract is `Session.get_file`."""
    check_size(session, result, most)
    file = cast(BinaryIO, tempfile.TemporaryFile(prefix="edgewright-"))  # noqa: SIM115 - the caller's, to map or to read
    try:
        fetch(session, result, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def check_size(session: Session, result: Result, most: int) -> None:
    """Raises ProtocolError for a result that is larger than what was asked for can be."""
    if result.size > most:
        raise ProtocolError(
            f"{session.board.name}: the board names a result of {result.size} bytes, at most {most} are right here",
            hint=UPDATE,
        )


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

    command = commands.Get(result=result.result)
    timeout_s = SOON + result.size / SLOWEST
    session.exchange(command, timeout_s=timeout_s, raw=take)
    if took != result.size or found.hexdigest() != result.sha256:
        raise ProtocolError("the bytes of a result are not those that the board named", hint=UPDATE)
