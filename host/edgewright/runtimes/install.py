"""Provisions the runtime that an artifact needs, on a board without internet, pip or venv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright import targets
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.nouns.target import Target, numbers
from edgewright.runtimes import compatibility, disk_space
from edgewright.runtimes.compatibility import check_own
from edgewright.runtimes.resolve import Offer, Picked, Search, split
from edgewright.runtimes.wheel_tags import wheel_host
from edgewright.runtimes.wheels import given, recalled
from edgewright_agent import protocol

if TYPE_CHECKING:
    from edgewright.connect.session import Session

UNPACK_SECONDS = 3600.0


class RuntimeChoice(Noun, frozen=True, kw_only=True):
    """The runtime that a release will run on.

    Attributes:
        ref: the argument for `install`; empty in a dry run that would provision one whose wheels are not on this machine.
        name, version: its distribution.
        installed: it was provisioned just now (or would be, in a dry run).
        bytes: unpacked size if it was provisioned just now, else 0.
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
    """The runtime for a target on a board: an installed one, or one that is resolved here and sent.

    Args:
        version: require this version.
        wheels: wheel files to use instead of the index; their missing dependencies are resolved.
        offer: a bundle's contents, to use instead of the index. Without it the index is asked first; kits imported from
            earlier bundles are used if the index is unreachable.
        requires: what the artifact needs from the runtime (`Manifest.requires`); runtimes known to lack it are skipped.

    Raises:
        EdgewrightError: no wheel runs there (the hint says where one does), a given one is wrong, or the
            board's disk is too small; nothing was sent then. A dry run checks the disk only for wheels already on this machine.
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
        here = picked.wheels or recalled(search.host, picked.asked, picked.row.parts)
        if here:  # otherwise the sizes are not known
            disk_space.check(session, facts, here, picked.title)
        lacking = picked.wheels and picked.asked  # given ones, whose dependencies are still to be found
        ref = protocol.runtime_id([wheel.sha256 for wheel in here]) if here and not lacking else ""
        return RuntimeChoice(
            ref=ref, name=picked.row.distribution, version=picked.row.version, installed=True
        )
    if picked.wheels is None or picked.asked:
        progress(ProgressEvent(board=session.board.name, stage="resolve", detail=picked.title))
    picked = search.fetched(picked)
    if picked.bundled:
        progress(
            ProgressEvent(board=session.board.name, stage="resolve", detail=f"{picked.title} from a bundle")
        )
    return send(session, facts, target, picked, progress)


def candidates(facts: Facts, target: Target, wheels: Sequence[Path] = ()) -> list[tuple[str, str]]:
    """(distribution, version) of the runtimes that `ensure_runtime` may use on a board, installed or to be sent."""
    if wheels:
        main, _ = split(given(wheel_host(facts).for_target(target), wheels), target)
        return [(main.distribution, main.version)]
    had = [(runtime.name, runtime.version) for runtime in facts.runtimes if runtime.target == target.name]
    return [*had, *((row.distribution, row.version) for row in compatibility.rows(target, wheel_host(facts)))]


def on_board(
    facts: Facts, target: Target, version: str | None, requires: Mapping[str, int]
) -> RuntimeFact | None:
    """A suitable runtime that the board already has: a provisioned one first, then the newest."""
    fitting = [
        runtime
        for runtime in facts.runtimes
        if runtime.target == target.name
        and (version is None or runtime.version == version)
        and not lacks(target, runtime, requires)
    ]
    return max(fitting, key=lambda runtime: (not runtime.system, numbers(runtime.version)), default=None)


def system_only(facts: Facts, target: Target, requires: Mapping[str, int]) -> EdgewrightError:
    """The error for a board whose system has no suitable runtime, for a target without wheels."""
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
    """Whether a runtime is known to read too little; an unknown version is left for the board to try."""
    return bool(target.lacks(runtime.name, runtime.version, dict(requires)))


def send(session: Session, facts: Facts, target: str, picked: Picked, progress: Progress) -> RuntimeChoice:
    """Sends the wheels and has the agent unpack them, unless the same runtime is already there."""
    from edgewright.connect import runners  # here, as `convert` asks which runtimes fit and needs no session
    from edgewright.wire import commands, types

    name, version, chosen = picked.row.distribution, picked.row.version, picked.wheels or []
    ref = protocol.runtime_id([wheel.sha256 for wheel in chosen])
    if any(runtime.ref == ref for runtime in facts.runtimes):
        return RuntimeChoice(ref=ref, name=name, version=version, installed=False)
    disk_space.check(session, facts, chosen, picked.title)
    sent = session.put_all([(wheel.path, wheel.file) for wheel in chosen])
    for wheel, sha256 in zip(chosen, sent, strict=True):
        if sha256 != wheel.sha256:
            raise EdgewrightError(f"the wheel changed while it was sent: {wheel.path}", hint="try again")
    progress(ProgressEvent(board=session.board.name, stage="provision", detail=picked.title))
    files = tuple(types.Wheel(file=wheel.file, sha256=wheel.sha256, size=wheel.size) for wheel in chosen)
    runner = runners.named(session, target)
    command = commands.Provision(name=name, target=target, version=version, wheels=files, runner=runner)
    answer = session.call(command, timeout_s=UNPACK_SECONDS)
    return RuntimeChoice(ref=answer.ref, name=name, version=version, installed=True, bytes=answer.bytes)
