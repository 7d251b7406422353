"""Trace: what has happened on one board so far."""

from __future__ import annotations

import time

from edgewright.nouns.artifact import Artifact
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import Measurement
from edgewright.nouns.outcome import Check
from edgewright.nouns.profile import Profile


class Trace:
    """Records what happened on one board so far; read at the end, however the board ends."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.release = ""
        self.current = ""
        self.profile: Profile | None = None
        self.artifact: Artifact | None = None
        self.facts = Facts()
        self.board_id = ""
        self.deployment = ""
        self.runtime = ""
        self.guard = ""
        self.steps: list[str] = []
        self.checks: list[Check] = []
        self.measurement: Measurement | None = None
        self.incumbent: Measurement | None = None
        self.sent_bytes = 0
        self.activating = False  # while true, a lost link leaves the outcome unknown
