"""Bytes to and from a board, raw on the session's stream, every one of them hashed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from edgewright.connect.stream import UPDATE, Stream
from edgewright.connect.transport import Channel
from edgewright.errors import EdgewrightError, ProtocolError
from edgewright.nouns.progress import Step
from edgewright_agent import protocol

if TYPE_CHECKING:
    from edgewright.connect.session import Session

MAX_RESULT = 1024**3  # bytes of one result that a board may send
REPORT_BYTES = 1024 * 1024
TRANSFER_SECONDS = 24 * 3600.0


def put(session: Session, source: Path | bytes, label: str) -> str:
    """The contract is `Session.put`."""
    with opened(source) as file:
        sha256, size = digest(file)
        part = session.call("part", sha256=sha256, size=size, timeout_s=600)
        if part.get("complete") is True:
            session.progress(
                Step(board=session.board.name, what="upload", detail=label, done=size, total=size)
            )
            return sha256
        offset = resume_at(part, file, size)
        body = sender(file, offset, size, report(session, label, size))
        args = {"sha256": sha256, "size": size, "offset": offset}
        session.exchange("put", args, timeout_s=TRANSFER_SECONDS, body=body)
        session.sent_bytes += size - offset
    return sha256


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
            f"cannot read {source}: {error.strerror}", hint="does it still exist?"
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


def resume_at(part: dict[str, Any], file: BinaryIO, size: int) -> int:
    """How many bytes on the board are a true beginning of these; 0 when they are not."""
    offset = part.get("offset")
    if not isinstance(offset, int) or not 0 < offset <= size:
        return 0
    return offset if digest(file, offset)[0] == part.get("prefix_sha256") else 0


def report(session: Session, label: str, total: int) -> Callable[[int], None]:
    """Tells the progress callback about bytes done."""
    return lambda done: session.progress(
        Step(board=session.board.name, what="upload", detail=label, done=done, total=total)
    )


def sender(
    file: BinaryIO, offset: int, size: int, told: Callable[[int], None]
) -> Callable[[Channel, float], None]:
    """What sends the bytes from `offset` to `size`, exactly."""

    def send(channel: Channel, silence_s: float) -> None:
        file.seek(offset)
        done = reported = offset
        told(done)
        while done < size:
            piece = file.read(min(protocol.PIECE, size - done))
            if not piece:
                raise EdgewrightError("the file became shorter while it was sent", hint="try again")
            channel.send(piece, silence_s)
            done += len(piece)
            if done - reported >= REPORT_BYTES or done == size:
                reported = done
                told(done)

    return send


def get(session: Session, result: dict[str, Any], destination: Path | None) -> bytes | Path:
    """The contract is `Session.get`."""
    name, sha256, size = checked(result)
    if destination is None:
        buffer = io.BytesIO()
        fetch(session, name, sha256, size, buffer)
        return buffer.getvalue()
    destination.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=destination.parent, prefix=f".{destination.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fetch(session, name, sha256, size, file)
        Path(temporary).replace(destination)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return destination


def checked(result: dict[str, Any]) -> tuple[str, str, int]:
    """Name, sha256 and size of a RESULT.

    Raises:
        ProtocolError: it is not one, or larger than a result may be.
    """
    about = result if isinstance(result, dict) else {}
    name, sha256, size = about.get("result"), about.get("sha256"), about.get("size")
    if not isinstance(name, str) or not isinstance(size, int) or not protocol.SHA256.match(str(sha256)):
        raise ProtocolError("the board names a result that is not valid", hint=UPDATE)
    if not 0 <= size <= MAX_RESULT:
        raise ProtocolError(f"a result of the board is larger than {MAX_RESULT} bytes: {size}", hint=UPDATE)
    return name, str(sha256), size


def fetch(session: Session, name: str, sha256: str, size: int, file: BinaryIO) -> None:
    """Writes the raw bytes of a result to a file."""
    found, took = hashlib.sha256(), 0

    def write(piece: bytes) -> None:
        nonlocal took
        found.update(piece)
        file.write(piece)
        took += len(piece)

    def take(event: dict[str, Any], stream: Stream, deadline: float) -> None:
        if event.get("size") != size:
            raise ProtocolError(
                f"the board sends {event.get('size')!r} bytes of a result of {size}", hint=UPDATE
            )
        stream.raw(size, write, deadline)

    session.exchange("get", {"result": name}, timeout_s=TRANSFER_SECONDS, raw=take)
    if took != size or found.hexdigest() != sha256:
        raise ProtocolError("the bytes of a result are not those that the board named", hint=UPDATE)
