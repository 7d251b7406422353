"""Finds a board's profile: from the fleet's entry, or else from its facts."""

from __future__ import annotations

from fnmatch import fnmatchcase

from edgewright import targets
from edgewright.config import profiles
from edgewright.errors import Code, ConfigError
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile
from edgewright.runtimes import compatibility

GENERIC = {"x86_64": "generic-x86_64", "aarch64": "generic-arm64", "armv7l": "generic-armv7l"}
NARROW = ("armv7l", "armv6l", "i686")  # 32-bit programs also run under a 64-bit kernel


def profile_of(board: Board, facts: Facts) -> Profile:
    """The profile of a board.

    Raises:
        ConfigError: the fleet names none, and there is no runtime for the board's architecture (`no-runtime`), or
            neither architecture nor model is known.
    """
    if board.profile:
        return profiles.load(board.profile)
    matched = match(facts)
    if matched is None:
        raise unfit(board, facts)
    return matched


def match(facts: Facts) -> Profile | None:
    """The profile whose model pattern fits the facts, else the generic one of the board's architecture."""
    generic = GENERIC.get(userland(facts))
    return by_model(facts) or (profiles.load(generic) if generic else None)


def by_model(facts: Facts) -> Profile | None:
    """The profile whose model pattern fits the facts."""
    for name in profiles.names():
        profile = profiles.load(name)
        if any(fnmatchcase(facts.model, pattern) for pattern in profile.models):
            return profile
    return None


def userland(facts: Facts) -> str:
    """The architecture that the board's programs are built for, which may differ from its kernel's."""
    built_for = facts.python.platform.removeprefix("linux-")
    return built_for if built_for in NARROW else facts.arch


def unfit(board: Board, facts: Facts) -> ConfigError:
    """The error for a board that no profile fits."""
    arch = userland(facts)
    known = sorted({one for name in targets.names() for one in compatibility.archs_of(targets.load(name))})
    if arch and arch not in known:
        instead = f"take such a board, or give a runtime built for {arch} with --wheel FILE"
        if facts.arch in known:
            instead = f"its kernel is {facts.arch}, a system built for that runs them"
        return ConfigError(
            f"no runtime exists for {arch}: {board.name} ({facts.model or 'unknown model'})",
            hint=f"wheels are for {', '.join(known)} only: {instead}",
            code=Code.NO_RUNTIME,
        )
    return ConfigError(
        f"no profile fits {board.name}: {facts.model or 'unknown model'}, {arch or 'unknown architecture'}",
        hint=how_to_set(board, "NAME"),
        code=Code.NO_PROFILE,
    )


def how_to_set(board: Board, profile: str) -> str:
    """The hint on how to set a board's profile."""
    return f'write profile = "{profile}" below [boards.{board.name}] in the fleet file'
