"""A TCP link that fails on command, in front of a real SSH server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

PIECE = 65536


class Link:
    """Forwards TCP connections to a port of this machine, until it is told to do worse.

    Attributes:
        port: where it listens.
        opened: connections so far.
        sent, received: bytes forwarded to and from the server, of all connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.opened = self.sent = self.received = 0
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
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def cut_after(self, *, sent: int | None = None, received: int | None = None) -> None:
        """Cuts once so many more bytes went to, or came from, the server; the cut falls inside the bytes."""
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
        """Forwards nothing more, and says nothing."""
        self._go.clear()

    def go_on(self) -> None:
        """Forwards again; no limit, no delay."""
        self.cut_after()
        self.delay_s = self.bytes_per_s = 0.0
        self._go.set()

    def close(self) -> None:
        """Ends everything."""
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
            with self._lock:
                self._sockets += [client, server]
            with contextlib.suppress(OSError):
                client.sendall(self.prefix)
            self._start(self._pump, client, server, "sent")
            self._start(self._pump, server, client, "received")

    def _pump(self, source: socket.socket, sink: socket.socket, counter: str) -> None:
        while True:
            try:
                piece = source.recv(PIECE)
                self._go.wait()
                if self.delay_s or self.bytes_per_s:
                    time.sleep(self.delay_s + (len(piece) / self.bytes_per_s if self.bytes_per_s else 0.0))
                with self._lock:
                    limit = self._limit[counter]
                    room = len(piece) if limit is None else max(0, limit - getattr(self, counter))
                    setattr(self, counter, getattr(self, counter) + min(room, len(piece)))
                sink.sendall(piece[:room])
            except OSError:
                return
            if room < len(piece):
                self.cut()
                return
            if not piece:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return


@pytest.fixture
def make_link() -> Iterator[Callable[[int], Link]]:
    """`make_link(port)`: a link to a port of this machine."""
    links: list[Link] = []

    def make(target: int) -> Link:
        links.append(Link(target))
        return links[-1]

    yield make
    for link in links:
        link.close()
