"""Threads: how many a model runs with on a board, and how many were wanted."""

from __future__ import annotations

from typing import NamedTuple

from edgewright.errors import ConfigError
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile
from edgewright.runtimes.profile_match import profile_of


class Threads(NamedTuple):
    """Threads of a runtime on a board.

    Attributes:
        used: what the board is asked for.
        wanted: the user's number, else the profile's.
        cpus: what the board has; None if unknown.
    """

    used: int
    wanted: int
    cpus: int | None = None


def threads_on(facts: Facts, profile: Profile, given: int | None = None) -> Threads:
    """The user's number as it is; else the profile's, but not more than the board has CPUs."""
    if given is not None:
        return Threads(given, given, facts.cpus)
    return Threads(min(profile.threads, facts.cpus or profile.threads), profile.threads, facts.cpus)


def threads_to_run(board: Board, facts: Facts, given: int | None) -> int:
    """The threads for running a model that is on a board already: 1 if none are given and no profile fits."""
    if given is not None:
        return given
    try:
        return threads_on(facts, profile_of(board, facts)).used
    except ConfigError:
        return 1
