"""The session's two descriptors: reads and writes lines and raw bytes, and detects when the host is
gone."""

import collections
import fcntl
import os
import threading
import time

from edgewright_agent import shapes
from edgewright_agent.protocol import MAX_LINE, PIECE, SILENCE_SECONDS, AgentError, Code, encode

AHEAD = 4 * PIECE  # bytes to read ahead
SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux by number: Python lacks the name before 3.10


class Closed(Exception):
    """The host closed the stream, or has been silent for too long."""


class Channel(object):
    """A session's stream.

    A thread reads all the time, to notice the end of the stream while a command works. It then calls
    `on_end`.

    Args:
        source, sink: file descriptors.
        on_end: called without arguments, in another thread, when the stream ends while `working` is true.
        silence_s: seconds of silence from the host that mean a dead link; a write may take twice as long.
    """

    def __init__(
        self, source: "int", sink: "int", on_end: "shapes.Callback", silence_s: "float" = SILENCE_SECONDS
    ) -> "None":
        self.source, self.sink, self.on_end = source, sink, on_end
        self.silence_s = silence_s
        self.pieces: "collections.deque[bytes]" = collections.deque()
        self.size, self.ended = 0, False
        self.changed = threading.Condition()
        self.writing = threading.RLock()
        self.began_writing: "float | None" = None
        self.working = False
        self.heard = time.monotonic()
        widen(source)
        thread = threading.Thread(target=self._read, name="reader")
        thread.daemon = True
        thread.start()

    def _read(self) -> "None":
        while True:
            try:
                piece = os.read(self.source, PIECE)
            except OSError:
                piece = b""
            with self.changed:
                if piece:
                    self.heard = time.monotonic()
                    self.pieces.append(piece)
                    self.size += len(piece)
                else:
                    self.ended = True
                self.changed.notify_all()
                while self.size >= AHEAD:
                    self.changed.wait()
            if not piece:
                break
        if self.working:
            self.on_end()

    def _take(self, limit: "int") -> "bytes":
        """Some bytes, at most `limit`; waits for them."""
        with self.changed:
            until = time.monotonic() + self.silence_s
            while not self.pieces:
                left = until - time.monotonic()
                if self.ended or left <= 0:
                    silent = "%g s of silence from the host" % self.silence_s
                    raise Closed("the stream ended" if self.ended else silent)
                self.changed.wait(left)
            piece = self.pieces.popleft()
            if len(piece) > limit:
                self.pieces.appendleft(piece[limit:])
                piece = piece[:limit]
            self.size -= len(piece)
            self.changed.notify_all()
            return piece

    def line(self) -> "bytes":
        """The next line, without its newline.

        Raises:
            Closed. AgentError: `protocol`, if it is longer than a line may be: the stream cannot be
                followed any more.
        """
        parts, size = [], 0
        while True:
            piece = self._take(PIECE)
            end = piece.find(b"\n")
            if end >= 0:
                self._give_back(piece[end + 1 :])
                piece = piece[:end]
            parts.append(piece)
            size += len(piece)
            if size > MAX_LINE:
                raise AgentError(Code.PROTOCOL, "a line is longer than %d bytes" % MAX_LINE)
            if end >= 0:
                return b"".join(parts)

    def _give_back(self, piece: "bytes") -> "None":
        if piece:
            with self.changed:
                self.pieces.appendleft(piece)
                self.size += len(piece)

    def raw(self, size: "int") -> "shapes.Iterator[bytes]":
        """Iterates over exactly `size` raw bytes in pieces."""
        while size:
            piece = self._take(min(PIECE, size))
            size -= len(piece)
            yield piece

    def skip(self, pieces: "shapes.Iterator[bytes]") -> "None":
        """Read and discard the rest of unwanted raw bytes, up to the next line."""
        for _ in pieces:
            pass

    def _write(self, data: "bytes") -> "None":
        view = memoryview(data)
        while view:
            self.began_writing = time.monotonic()
            try:
                # in small pieces: a write that takes too long counts as a dead link, and a large one is slow on a slow link
                view = view[os.write(self.sink, view[:16384]) :]
            except OSError:
                raise Closed("the host takes no more")
            finally:
                self.began_writing = None

    def say(self, message: "shapes.Record") -> "None":
        """Write one line."""
        with self.writing:
            self._write(encode(message))

    def send(self, event: "shapes.Record", path: "str", size: "int") -> "None":
        """Write the event `bytes` and exactly `size` bytes of a file, with nothing in between."""
        with self.writing, open(path, "rb") as file:
            self._write(encode(event))
            left = size
            while left:
                piece = file.read(min(PIECE, left))
                if not piece:
                    raise Closed("a result became shorter")
                left -= len(piece)
                self._write(piece)

    def silent(self) -> "bool":
        """Whether the host has been silent for too long, although this end was reading."""
        return self.size < AHEAD and time.monotonic() - self.heard > self.silence_s

    def stuck(self) -> "bool":
        """Whether a write has been going on for too long."""
        began = self.began_writing
        return began is not None and time.monotonic() - began > 2 * self.silence_s


def widen(descriptor: "int") -> "None":
    """Let a pipe hold `AHEAD` bytes: with the default 64 KiB, sshd and this process wait for each other all the
    time, which costs a third of an upload's throughput. Ignored if it is not a pipe, or may not grow."""
    try:
        fcntl.fcntl(descriptor, SET_PIPE_SIZE, AHEAD)
    except OSError:
        pass
