"""How long an SSH server may take, and how often it is tried; both clients keep to it."""

from __future__ import annotations

import random
import time

CONNECT_SECONDS = 10.0
START_SECONDS = 20.0  # until a server's first byte
STEP_SECONDS = 60.0  # for each step after that: on a lossy link a step takes many seconds
ATTEMPTS = 6  # a server over its MaxStartups drops connections at random
BUSY_HINT = "is an SSH server on that port, and is it not overloaded (MaxStartups)?"


def pause(attempt: int) -> None:
    """Waits before the next attempt; `attempt` counts from 0."""
    time.sleep(random.uniform(0.1, 0.4) * 2**attempt)  # noqa: S311  (jitter)
