"""Provisions the runtime that an artifact needs, on a board without internet, pip or venv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright import targets
from edgewright.connect import runners
from edgewright.connect.session import Session
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.nouns.target import Target, numbers
from edgewright.runtimes import compatibility, disk_space
from edgewright.runtimes import wheels as wheel_files
from edgewright.runtimes.compatibility import check_own
from edgewright.runtimes.resolve import Offer, Picked, Search, split
from edgewright.runtimes.wheel_tags import wheel_host
from edgewright.wire import commands, types
from edgewright_agent import protocol

UNPACK_SECONDS = 3600.0


class RuntimeChoice(Noun, frozen=True, kw_only=True):
    """The runtime that a release will run on.

    Attributes:
        ref: what `install` takes; empty in a dry run that would provision one.
        name, version: its distribution.
        installed: it was provisioned just now (or would be, in a dry run).
        bytes: unpacked size where it was provisioned just now, else 0.
    """

    ref: str
    name: str
    version: str
    installed: bool
    bytes: int = 0


def ensure_runtime(
    session: Session,
    facts: Facts,
    target: str,
    *,
    version: str | None = None,
    wheels: Sequence[Path] = (),
    offer: Offer | None = None,
    requires: Mapping[str, int] | None = None,
    progress: Progress = silent,
    dry_run: bool = False,
) -> RuntimeChoice:
    """The runtime of a target on a board: one that it has, else one that is resolved here and sent there.

    Args:
        version: only this version will do.
        wheels: wheel files to use instead of the index; what they need besides is resolved.
        offer: what a bundle holds, to use instead of the index; without one the index comes first, and what bundles
            brought earlier where that is out of reach.
        requires: what the artifact asks of the runtime (`Manifest.requires`); one known to lack it is passed.

    Raises:
        EdgewrightError: no wheel runs there (the hint says where one does), a given one is wrong, or the
            board's disk is too small; nothing was sent then. A dry run looks at the disk for the wheels that are here.
    """
    metadata = targets.load(target)
    if not wheels:
        there = on_board(facts, metadata, version, requires or {})
        if there is not None:
            return RuntimeChoice(ref=there.ref, name=there.name, version=there.version, installed=False)
        if not metadata.runtimes:
            raise system_only(facts, metadata, requires or {})
    search = Search(metadata, wheel_host(facts), version, requires or {})
    if wheels:
        picked = search.given(wheels)
    elif offer is not None:
        picked = search.offered(offer)
    else:
        picked = search.best()
    check_own(picked.row, facts)
    if dry_run:
        here = picked.wheels or wheel_files.recalled(search.host, picked.asked)
        if here:  # the others' sizes are not known
            disk_space.check(session, facts, here, picked.title)
        return RuntimeChoice(ref="", name=picked.row.distribution, version=picked.row.version, installed=True)
    if picked.wheels is None or picked.asked:
        progress(Step(board=session.board.name, what="resolve", detail=picked.title))
    picked = search.fetched(picked)
    if picked.bundled:
        progress(Step(board=session.board.name, what="resolve", detail=f"{picked.title} from a bundle"))
    return send(session, facts, target, picked, progress)


def candidates(facts: Facts, target: Target, wheels: Sequence[Path] = ()) -> list[tuple[str, str]]:
    """(distribution, version) of the runtimes that `ensure_runtime` may take on a board: had, or to be sent."""
    if wheels:
        main, _ = split(wheel_files.given(wheel_host(facts), wheels), target)
        return [(main.distribution, main.version)]
    had = [(runtime.name, runtime.version) for runtime in facts.runtimes if runtime.target == target.name]
    return [*had, *((row.distribution, row.version) for row in compatibility.rows(target, wheel_host(facts)))]


def on_board(
    facts: Facts, target: Target, version: str | None, requires: Mapping[str, int]
) -> RuntimeFact | None:
    """A runtime that the board has and that will do: a provisioned one first, then the newest."""
    fitting = [
        runtime
        for runtime in facts.runtimes
        if runtime.target == target.name
        and (version is None or runtime.version == version)
        and not lacks(target, runtime, requires)
    ]
    return max(fitting, key=lambda runtime: (not runtime.system, numbers(runtime.version)), default=None)


def system_only(facts: Facts, target: Target, requires: Mapping[str, int]) -> EdgewrightError:
    """The error for a board whose own system has no fitting runtime of a target that there are no wheels for."""
    found = [runtime for runtime in facts.runtimes if runtime.target == target.name]
    short = target.lacks(found[0].name, found[0].version, dict(requires)) if found else {}
    if short:
        lack = ", ".join(f"{kind} {need} (it reads {most})" for kind, (need, most) in short.items())
        return EdgewrightError(
            f"{target.title} {found[0].version} of this board does not read this model: {lack}",
            hint="convert it for this board's profile, or use another target",
            code=Code.RUNTIME_TOO_OLD,
        )
    return EdgewrightError(
        f"no {target.title} for Python {facts.python.version} on this board",
        hint=f"it is part of the board's system: {target.system_hint or 'install it there'}, or use another target",
        code=Code.NO_WHEEL,
    )


def lacks(target: Target, runtime: RuntimeFact, requires: Mapping[str, int]) -> bool:
    """Whether a runtime is known to read too little; an unknown version gets its chance on the board."""
    return bool(target.lacks(runtime.name, runtime.version, dict(requires)))


def send(session: Session, facts: Facts, target: str, picked: Picked, progress: Progress) -> RuntimeChoice:
    """Puts the wheels and has the agent unpack them, unless the very same runtime is there."""
    name, version, chosen = picked.row.distribution, picked.row.version, picked.wheels or []
    ref = protocol.runtime_id([wheel.sha256 for wheel in chosen])
    if any(runtime.ref == ref for runtime in facts.runtimes):
        return RuntimeChoice(ref=ref, name=name, version=version, installed=False)
    disk_space.check(session, facts, chosen, picked.title)
    sent = session.put_all([(wheel.path, wheel.file) for wheel in chosen])
    for wheel, sha256 in zip(chosen, sent, strict=True):
        if sha256 != wheel.sha256:
            raise EdgewrightError(f"the wheel changed while it was sent: {wheel.path}", hint="try again")
    progress(Step(board=session.board.name, what="provision", detail=picked.title))
    files = tuple(types.Wheel(file=wheel.file, sha256=wheel.sha256, size=wheel.size) for wheel in chosen)
    runner = runners.named(session, target)
    command = commands.Provision(name=name, target=target, version=version, wheels=files, runner=runner)
    answer = session.call(command, timeout_s=UNPACK_SECONDS)
    return RuntimeChoice(ref=answer.ref, name=name, version=version, installed=True, bytes=answer.bytes)
