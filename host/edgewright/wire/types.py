"""The types of commands' arguments, as msgspec reads them; WORDS maps the agent's words to them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from edgewright_agent.protocol import MAX_FILE, NAME, SHA256


def _text(pattern: str, description: str) -> Meta:
    return Meta(pattern=rf"\A{pattern}", description=description)


_RELEASE = r"[a-z0-9][a-z0-9._-]{0,63}-[0-9a-f]{8}\Z"
_RUNTIME = r"([0-9a-f]{64}|system:[a-z0-9][a-z0-9._-]{0,63})\Z"

Sha256 = Annotated[str, _text(SHA256.pattern, "64 hex digits")]
Name = Annotated[str, _text(NAME.pattern, "lower-case letters, digits, `.`, `_`, `-`; at most 64")]
Release = Annotated[str, _text(_RELEASE, "`<version>-<first 8 hex of the manifest's sha256>`")]
Version = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,63}\Z", "a distribution's version")]
Txn = Annotated[str, _text(r"[0-9a-f]{32}\Z", "32 hex digits that the host chose")]
Runtime = Annotated[str, _text(_RUNTIME, "a runtime's id (64 hex digits) or `system:<distribution>`")]
Word = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z", "a word of at most 64 characters")]
Wanted = Annotated[str, _text(rf"({_RELEASE}|{NAME.pattern})", "a release or a version")]
Line = Annotated[str, Meta(max_length=100, description="at most 100 printable characters")]
File = Annotated[str, Meta(max_length=300, description="at most 300 printable characters")]
Reason = Annotated[str, Meta(max_length=1000, description="at most 1000 printable characters")]
Size = Annotated[int, Meta(ge=0, le=MAX_FILE, description="0 to 16 GiB")]
Count = Annotated[int, Meta(ge=0, le=1000, description="0 to 1000")]
Threads = Annotated[int, Meta(ge=0, le=1024, description="0 to 1024")]
Lines = Annotated[int, Meta(ge=0, le=100000, description="0 to 100000")]
Seconds = Annotated[float, Meta(ge=0, le=86400, description="seconds, 0 to 86400")]
HookSeconds = Annotated[float, Meta(ge=0, le=3600, description="seconds, 0 to 3600")]
Rounds = Annotated[int, Meta(ge=0, le=100, description="0 to 100")]
Samples = Annotated[int, Meta(ge=0, le=10**6, description="0 to 1000000")]
HookKind = Annotated[
    str, _text(r"(activate|health|quiesce|resume)\Z", "`activate`, `health`, `quiesce`, `resume`")
]
Hooks = dict[HookKind, Sha256]
Releases = Annotated[tuple[Release, ...], Meta(min_length=1, max_length=10, description="1 to 10 releases")]


class Wheel(msgspec.Struct, frozen=True, kw_only=True):
    """A wheel that is on the board: put, or complete according to `part`."""

    file: File
    sha256: Sha256
    size: Size


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a benchmark (`edgewright.nouns.measurement.Protocol` without its name)."""

    rounds: Rounds
    warmup_s: Seconds
    steady_s: Seconds
    min_samples: Samples
    limit_s: Seconds


Wheels = Annotated[
    tuple[Wheel, ...],
    Meta(
        min_length=1,
        max_length=100,
        description="1 to 100 times `{file, sha256, size}`: put, or complete by `part`",
    ),
]

WORDS: dict[str, Any] = {  # keys are those of `edgewright_agent.session.arguments.TYPES`
    "sha256": Sha256, "name": Name, "release": Release, "version": Version, "txn": Txn, "runtime": Runtime, "word": Word,
    "wanted": Wanted, "line": Line, "file": File, "reason": Reason, "size": Size, "count": Count, "threads": Threads,
    "lines": Lines, "rounds": Rounds, "samples": Samples, "seconds": Seconds, "hook seconds": HookSeconds, "flag": bool,
    "hooks": Hooks, "releases": Releases, "wheels": Wheels, "protocol": Protocol,
}  # fmt: skip
