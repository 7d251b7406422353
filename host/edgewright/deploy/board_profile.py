"""Which profile a board has: the fleet's word, else what its facts say."""

from __future__ import annotations

from fnmatch import fnmatchcase

from edgewright.config import profiles
from edgewright.errors import ConfigError
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile

GENERIC = {"x86_64": "generic-x86_64", "aarch64": "generic-arm64"}


def profile_of(board: Board, facts: Facts) -> Profile:
    """The profile of a board.

    Raises:
        ConfigError: the fleet names none, and neither the model nor the architecture is known.
    """
    if board.profile:
        return profiles.load(board.profile)
    matched = match(facts)
    if matched is None:
        raise ConfigError(
            f"no profile fits {board.name}: {facts.model or 'unknown model'}, {facts.arch}",
            hint=f"set one: `edgewright fleet add {board.name} {board.address} --profile NAME`",
            code="no-profile",
        )
    return matched


def match(facts: Facts) -> Profile | None:
    """The profile whose model pattern fits the facts, else the generic one of the architecture."""
    for name in profiles.names():
        profile = profiles.load(name)
        if any(fnmatchcase(facts.model, pattern) for pattern in profile.models):
            return profile
    generic = GENERIC.get(facts.arch)
    return profiles.load(generic) if generic else None
