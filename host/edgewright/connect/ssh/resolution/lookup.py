"""Looks hosts up: once a minute for each host, since a command may log in to a board several times."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgewright.connect.ssh.resolution import config_reader, openssh
from edgewright.connect.ssh.resolution.settings import HostSettings, Query, settings_of
from edgewright.errors import ConfigError

Lookup = Callable[[Query], HostSettings]
KEPT_SECONDS = 60.0


def lookup(file: Path | None = None) -> Lookup:
    """A function that looks a host up in the SSH configuration, by the OpenSSH client if there is one.

    Args:
        file: the configuration to read instead of the user's and the system's.

    Raises:
        ConfigError: the returned function raises it if the configuration is wrong.
    """
    program = openssh.client()

    def find(query: Query) -> HostSettings:
        try:
            if program:
                return settings_of(openssh.table_of(query, program, file), query, f"ssh -G {query.alias}")
        except ConfigError:
            if openssh.is_openssh(program or ""):
                raise
        return settings_of(config_reader.table_of(query, file), query, "the SSH configuration")

    return lambda query: _KEPT.find((query, program, file, *_state(file)), lambda: find(query))


def _state(file: Path | None) -> tuple[object, ...]:
    """What differs once a configuration was changed. A changed `Include` is seen when what was kept is a minute old."""
    found: list[object] = [str(Path.home()), os.environ.get("SSH_AUTH_SOCK")]
    for one in [file] if file else [Path("~/.ssh/config").expanduser(), config_reader.SYSTEM]:
        try:
            about = one.stat()
            found.append((about.st_mtime_ns, about.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


class Kept:
    """What was found in the last minute; many boards are looked up at once."""

    def __init__(self) -> None:
        self._found: dict[object, tuple[float, HostSettings]] = {}
        self._lock = threading.Lock()

    def find(self, key: object, make: Callable[[], HostSettings]) -> HostSettings:
        """What was found for a key, or is made now."""
        with self._lock:
            now = time.monotonic()
            self._found = {one: kept for one, kept in self._found.items() if now - kept[0] < KEPT_SECONDS}
            if key in self._found:
                return self._found[key][1]
        made = make()
        with self._lock:
            self._found[key] = (time.monotonic(), made)
        return made


_KEPT = Kept()
