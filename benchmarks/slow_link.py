"""A TCP link of a given round-trip time: `python slow_link.py PORT RTT_MS LOG` forwards to a local port and prints its own.

When a connection ends, its count of round trips is added to LOG, a line each: how often the client sent after the
server had answered.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path


class Turns:
    """Counts how often the client speaks after the server."""

    def __init__(self) -> None:
        self.count, self.last = 0, ""

    def note(self, who: str) -> None:
        """One of the two has sent something."""
        self.count += who == "client" and self.last != who
        self.last = who


async def forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float, turns: Turns, who: str
) -> None:
    """Passes on what arrives, `delay_s` later and in order."""
    loop, waiting = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

    async def send() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            turns.note(who)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        while data := await reader.read(1 << 16):
            waiting.put_nowait((loop.time() + delay_s, data))
    except OSError:
        pass
    waiting.put_nowait((loop.time() + delay_s, b""))
    await asyncio.gather(sending, return_exceptions=True)


async def main(port: int, rtt_ms: float, log: Path) -> None:
    """Serves until it is killed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, turns = await asyncio.open_connection("127.0.0.1", port), Turns()
        await asyncio.gather(
            forward(reader, to[1], rtt_ms / 2000, turns, "client"),
            forward(to[0], writer, rtt_ms / 2000, turns, "server"),
        )
        for one in (writer, to[1]):
            one.close()
        with log.open("a") as file:
            file.write(f"{turns.count}\n")

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
