"""A TCP link that fails on command, in front of a real SSH server."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

PIECE = 65536
AHEAD = 8  # pieces that a link holds: bytes that it holds are acknowledged although the other end does not have them


class Link:
    """Forwards TCP connections to a port of this machine, until a test makes it misbehave.

    Args:
        buffer: bytes that each of its sockets may hold; None leaves it to the kernel (megabytes on loopback).

    Attributes:
        port: where it listens.
        opened: connections so far.
        sent, received: bytes forwarded to and from the server, of all connections.
        turns: how often bytes to the server followed bytes from it: round trips.
        delay_s: delay of each byte, each way.
        bytes_per_s: its speed, each way; 0 is no limit.
    """

    def __init__(self, target: int, buffer: int | None = None) -> None:
        self.target = target
        self.opened = self.sent = self.received = self.turns = 0
        self._last = "received"
        self.refusals = 0
        self.prefix = b""
        self.delay_s = 0.0
        self.bytes_per_s = 0.0
        self._limit: dict[str, int | None] = {"sent": None, "received": None}
        self._go = threading.Event()
        self._go.set()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._buffer = buffer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._narrow(self._listener)
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def cut_after(self, *, sent: int | None = None, received: int | None = None) -> None:
        """Cuts once this many more bytes have gone to or come from the server; the cut may be in the middle of a message."""
        with self._lock:
            self._limit["sent"] = None if sent is None else self.sent + sent
            self._limit["received"] = None if received is None else self.received + received

    def cut(self) -> None:
        """Resets every connection now."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def stall(self) -> None:
        """Stops forwarding without closing anything."""
        self._go.clear()

    def go_on(self) -> None:
        """Forwards again, without a limit or a delay."""
        self.cut_after()
        self.delay_s = self.bytes_per_s = 0.0
        self._go.set()

    def close(self) -> None:
        """Closes all connections and the listener."""
        self._go.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _narrow(self, one: socket.socket) -> None:
        if self._buffer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            if self.refusals > 0:
                self.refusals -= 1
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self._narrow(server)
            with self._lock:
                self._sockets += [client, server]
            with contextlib.suppress(OSError):
                client.sendall(self.prefix)
            for source, sink, counter in ((client, server, "sent"), (server, client, "received")):
                line: queue.Queue[tuple[float, bytes]] = queue.Queue(AHEAD)
                self._start(self._take, source, line)
                self._start(self._pump, line, sink, counter)

    def _take(self, source: socket.socket, line: queue.Queue[tuple[float, bytes]]) -> None:
        piece = b"-"
        while piece:
            try:
                piece = source.recv(max(512, int(self.bytes_per_s / 16)) if self.bytes_per_s else PIECE)
            except OSError:
                piece = b""
            line.put((time.monotonic() + self.delay_s, piece))

    def _pump(self, line: queue.Queue[tuple[float, bytes]], sink: socket.socket, counter: str) -> None:
        broken, free = False, 0.0
        while True:
            due, piece = line.get()
            if broken:  # emptied, so that the other thread can end
                if not piece:
                    return
                continue
            free = max(free, time.monotonic(), due) + (
                len(piece) / self.bytes_per_s if self.bytes_per_s else 0.0
            )
            time.sleep(max(0.0, free - time.monotonic()))
            self._go.wait()
            try:
                with self._lock:
                    self.turns += counter == "sent" != self._last
                    self._last = counter
                    limit = self._limit[counter]
                    room = len(piece) if limit is None else max(0, limit - getattr(self, counter))
                    setattr(self, counter, getattr(self, counter) + min(room, len(piece)))
                sink.sendall(piece[:room])
            except OSError:
                broken = True
            if room < len(piece):
                self.cut()
                broken = True
            if not piece:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return


@pytest.fixture
def make_link() -> Iterator[Callable[..., Link]]:
    """`make_link(port)`: a link to a port of this machine; `buffer` as in `Link`."""
    links: list[Link] = []

    def make(target: int, buffer: int | None = None) -> Link:
        links.append(Link(target, buffer))
        return links[-1]

    yield make
    for link in links:
        link.close()
