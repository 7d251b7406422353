"""Provisioning: the runtime that an artifact needs, on a board without internet, pip or venv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from edgewright import targets
from edgewright.connect import wheels as wheel_files
from edgewright.connect.session import Session
from edgewright.connect.wheel_tags import WheelHost, wheel_host
from edgewright.connect.wheels import Wheel
from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.nouns.target import RuntimeRow, Target, numbers
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
    requires: Mapping[str, int] | None = None,
    progress: Progress = silent,
    dry_run: bool = False,
) -> RuntimeChoice:
    """The runtime of a target on a board: one that it has, else one that is resolved here and sent there.

    Args:
        version: only this version will do.
        wheels: wheel files to use instead of the index; what they need besides is resolved.
        requires: what the artifact asks of the runtime (`Manifest.requires`); one known to lack it is passed.

    Raises:
        EdgewrightError: no wheel runs there (the hint says where one does), or a given one is wrong.
    """
    metadata = targets.load(target)
    if not wheels:
        there = on_board(facts, metadata, version, requires or {})
        if there is not None:
            return RuntimeChoice(ref=there.ref, name=there.name, version=there.version, installed=False)
        if not metadata.runtimes:
            raise system_only(facts, metadata, requires or {})
    host = wheel_host(facts)
    if wheels:
        main, others = split(wheel_files.given(host, wheels), metadata)
        name, number = main.distribution, main.version
        have = {wheel.distribution for wheel in others}
        missing = [one for one in needs(metadata, host, name) if bare_name(one) not in have]
        chosen, asked = [main, *others], missing
    else:
        row = choose(metadata, host, version, requires or {})
        name, number = row.distribution, version or row.version
        chosen, asked = [], [f"{name}=={number}", *row.requires]
    if dry_run:
        return RuntimeChoice(ref="", name=name, version=number, installed=True)
    if asked:
        progress(Step(board=session.board.name, what="resolve", detail=f"{name} {number}"))
        chosen += wheel_files.resolve(host, asked)
    return send(session, facts, target, name, number, chosen, progress)


def candidates(facts: Facts, target: Target, wheels: Sequence[Path] = ()) -> list[tuple[str, str]]:
    """(distribution, version) of the runtimes that `ensure_runtime` may take on a board: had, or to be sent."""
    if wheels:
        main, _ = split(wheel_files.given(wheel_host(facts), wheels), target)
        return [(main.distribution, main.version)]
    had = [(runtime.name, runtime.version) for runtime in facts.runtimes if runtime.target == target.name]
    host = wheel_host(facts)
    rows = target.runtimes_for(host.python, host.arch, host.libc_version if host.libc == "glibc" else "")
    return [*had, *((row.distribution, row.version) for row in rows)]


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
            code="runtime-too-old",
        )
    return EdgewrightError(
        f"no {target.title} for Python {facts.python.version} on this board",
        hint="it is part of the board's system: install its Python package there (on a Jetson python3-libnvinfer), "
        "or use another target",
        code="no-wheel",
    )


def lacks(target: Target, runtime: RuntimeFact, requires: Mapping[str, int]) -> bool:
    """Whether a runtime is known to read too little; an unknown version gets its chance on the board."""
    return bool(target.lacks(runtime.name, runtime.version, dict(requires)))


def choose(target: Target, host: WheelHost, version: str | None, requires: Mapping[str, int]) -> RuntimeRow:
    """The best row for a board.

    Raises:
        EdgewrightError: `no-wheel`.
    """
    glibc = host.libc_version if host.libc == "glibc" else ""
    rows = target.runtimes_for(host.python, host.arch, glibc)
    able = [row for row in rows if not row.lacks(dict(requires))]
    exact = [row for row in able if version is None or row.version == version]
    if exact or (able and version):
        return (exact or able)[0]  # a version without a row: the index decides
    if rows:
        short = rows[0].lacks(dict(requires)).items()
        lack = ", ".join(f"{kind} {need} (it reads {most})" for kind, (need, most) in short)
        raise EdgewrightError(
            f"no {target.title} for Python {host.python} reads this model: {lack}",
            hint="convert it for this board's profile, or use another target",
            code="runtime-too-old",
        )
    raise EdgewrightError(
        f"no {target.title} wheel for {host.title}",
        hint=where_one_is(target, host),
        code="no-wheel",
    )


def where_one_is(target: Target, host: WheelHost) -> str:
    """Which boards like this one have a wheel."""
    rows = [row for row in target.runtimes if host.arch in row.archs]
    if not rows:
        archs = sorted({arch for row in target.runtimes for arch in row.archs})
        return f"there are wheels for {', '.join(archs)} only; use another target, or --wheel FILE"
    if host.libc != "glibc":
        return "there are wheels for glibc systems only; use --wheel FILE with one built for musl"
    pythons = ", ".join(f"{row.python} (glibc {row.glibc} or newer)" for row in rows)
    return f"on {host.arch} wheels are for Python {pythons}; name another with `python` in the fleet file"


def needs(target: Target, host: WheelHost, name: str) -> tuple[str, ...]:
    """What a runtime needs besides itself, as requirement specifiers."""
    glibc = host.libc_version if host.libc == "glibc" else ""
    rows = target.runtimes_for(host.python, host.arch, glibc)
    same = [row for row in rows if name.startswith(row.distribution)]
    return (same or rows)[0].requires if rows else target.requirements


def bare_name(requirement: str) -> str:
    """`numpy` of `numpy>=1.21`."""
    from packaging.requirements import Requirement

    return str(canonicalize_name(Requirement(requirement).name))


def split(found: list[Wheel], target: Target) -> tuple[Wheel, list[Wheel]]:
    """The runtime's own wheel, such as onnxruntime or onnxruntime-gpu, and the others.

    Raises:
        EdgewrightError: none or several of them are a runtime of the target.
    """
    names = sorted({str(canonicalize_name(row.distribution)) for row in target.runtimes})
    mains = [wheel for wheel in found if wheel.distribution.startswith(tuple(names))]
    if len(mains) != 1:
        files = ", ".join(wheel.file for wheel in found)
        raise EdgewrightError(
            f"{len(mains)} of the wheels are a runtime of {target.name}: {files}",
            hint=f"give one of {', '.join(names)}",
            code="wrong-wheel",
        )
    return mains[0], [wheel for wheel in found if wheel is not mains[0]]


def send(
    session: Session,
    facts: Facts,
    target: str,
    name: str,
    version: str,
    chosen: Sequence[Wheel],
    progress: Progress,
) -> RuntimeChoice:
    """Puts the wheels and has the agent unpack them, unless the very same runtime is there."""
    ref = protocol.runtime_id([wheel.sha256 for wheel in chosen])
    if any(runtime.ref == ref for runtime in facts.runtimes):
        return RuntimeChoice(ref=ref, name=name, version=version, installed=False)
    for wheel in chosen:
        if session.put(wheel.path, label=wheel.file) != wheel.sha256:
            raise EdgewrightError(f"the wheel changed while it was sent: {wheel.path}", hint="try again")
    progress(Step(board=session.board.name, what="provision", detail=f"{name} {version}"))
    files = [{"file": wheel.file, "sha256": wheel.sha256, "size": wheel.size} for wheel in chosen]
    answer = session.call(
        "provision", timeout_s=UNPACK_SECONDS, name=name, target=target, version=version, wheels=files
    )
    size = answer.get("bytes")
    return RuntimeChoice(
        ref=str(answer.get("ref")),
        name=name,
        version=version,
        installed=True,
        bytes=size if isinstance(size, int) else 0,
    )
