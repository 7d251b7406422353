"""The one place that decides which runtimes fit which boards, and explains why none does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from edgewright import targets
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.facts import Facts
from edgewright.nouns.target import RuntimeRow, Target, numbers
from edgewright.runtimes.wheel_tags import WheelHost, wheel_host

INSTALL_NUMPY = "sudo apt install python3-numpy"


def rows(target: Target, host: WheelHost) -> list[RuntimeRow]:
    """The wheels of a target that run on a board, best first."""
    return target.runtimes_for(host.python, host.arch, host.libc_version if host.libc == "glibc" else "")


def possible(facts: Facts, names: Iterable[str]) -> dict[str, RuntimeRow]:
    """The runtime that a board would get for each of the targets; targets without a wheel for it are left out.

    Raises:
        EdgewrightError: `runtime-unsupported`, there are no wheels for the board's kind of Python.
    """
    host = wheel_host(facts)
    found = {name: rows(targets.load(name), host) for name in names}
    return {name: able[0] for name, able in found.items() if able}


def nothing(facts: Facts, names: Sequence[str]) -> EdgewrightError:
    """The error (`no-wheel`) for a board for which none of the targets has a wheel."""
    host = wheel_host(facts)
    loaded = [targets.load(name) for name in names]
    with_wheels = [target for target in loaded if target.runtimes]
    near = [target for target in with_wheels if any(host.arch in row.archs for row in target.runtimes)]
    if host.libc != "glibc" or not (near or with_wheels):
        return refusal((with_wheels or [targets.load(name) for name in targets.names()])[0], host)
    return refusal((near or with_wheels)[0], host)


def choose(target: Target, host: WheelHost, version: str | None, requires: Mapping[str, int]) -> RuntimeRow:
    """The best wheel of a target for a board.

    Args:
        version: require this version; one that no row has is looked up in the index.
        requires: what the artifact needs from the runtime (`Manifest.requires`).

    Raises:
        EdgewrightError: `no-wheel`, no wheel runs there; `runtime-too-old`, none that runs there can read the model.
    """
    found = rows(target, host)
    able = [row for row in found if not row.lacks(dict(requires))]
    exact = [row for row in able if version is None or row.version == version]
    if exact or (able and version):
        return (exact or able)[0]
    if not found:
        raise refusal(target, host)
    short = found[0].lacks(dict(requires)).items()
    lack = ", ".join(f"{kind} {need} (it reads {most})" for kind, (need, most) in short)
    raise EdgewrightError(
        f"no {target.title} for Python {host.python} reads this model: {lack}",
        hint="convert it for this board's profile, or use another target",
        code=Code.RUNTIME_TOO_OLD,
    )


def refusal(target: Target, host: WheelHost) -> EdgewrightError:
    """The error (`no-wheel`) that states what about the board does not fit a target's wheels, with alternatives."""
    wheels = " or ".join(dict.fromkeys(row.distribution for row in target.runtimes)) or target.title
    here = [row for row in target.runtimes if host.arch in row.archs]
    minor = ".".join(host.python.split(".")[:2])
    also = others(target, host)
    if host.libc != "glibc":
        what = f"{host.libc or 'an unknown libc'}"
        instead = (
            "wheels are for glibc: take a system such as Debian, or one built for this with --wheel FILE"
        )
    elif not here:
        what, instead = host.arch, "" if also else elsewhere(target, host)
    elif not any(row.fits(host.python, host.arch, row.glibc) for row in here):
        what = f"Python {minor} on {host.arch}"
        instead = f"{listed(here)}; name another Python of the board's with `python` in the fleet file"
    else:
        what = f"glibc {host.libc_version} with Python {minor} on {host.arch}"
        least = min((row.glibc for row in here if row.fits(host.python, host.arch, row.glibc)), key=numbers)
        instead = f"it takes glibc {least} or newer: a newer system"
    hint = "; ".join(filter(None, (instead, also)))
    return EdgewrightError(f"no wheel of {wheels} for {what}", hint=hint, code=Code.NO_WHEEL)


def elsewhere(target: Target, host: WheelHost) -> str:
    """The alternatives for an architecture that a target has no wheels for."""
    near = [
        row
        for name in targets.names()
        if name != target.name
        for row in targets.load(name).runtimes
        if host.arch in row.archs
    ]
    if near:
        return listed(near)
    archs = ", ".join(sorted({arch for name in targets.names() for arch in archs_of(targets.load(name))}))
    return f"no runtime has one: wheels are for {archs}; give one built for this with --wheel FILE"


def others(target: Target, host: WheelHost) -> str:
    """The other targets that run on this board, for a hint; empty if there are none."""
    found = {name: rows(targets.load(name), host) for name in targets.names() if name != target.name}
    return "; ".join(
        f"{able[0].distribution} {able[0].version} runs here: --target {name}"
        for name, able in found.items()
        if able
    )


def listed(found: Sequence[RuntimeRow]) -> str:
    """The Pythons and glibc versions of the wheels, such as `tflite-runtime 2.14.0 is for Python 3.9 to 3.11 (glibc 2.34)`."""
    return ", ".join(
        dict.fromkeys(
            f"{row.distribution} {row.version} is for Python {row.python.replace('-', ' to ')} (glibc {row.glibc})"
            if len(set(row.python.split("-"))) > 1
            else f"{row.distribution} {row.version} is for Python {row.python.split('-')[0]} (glibc {row.glibc})"
            for row in found
        )
    )


def archs_of(target: Target) -> set[str]:
    """The architectures that a target has wheels for."""
    return {arch for row in target.runtimes for arch in row.archs}


def check_own(row: RuntimeRow, facts: Facts) -> None:
    """Checks what a runtime needs from the board's own Python.

    Raises:
        EdgewrightError: `no-numpy`, numpy is missing or has another version. Facts that do not report it are trusted.
    """
    from packaging.requirements import Requirement

    for text in row.own:
        wanted = Requirement(text)
        if wanted.name != "numpy" or facts.numpy is None:
            continue
        if facts.numpy and wanted.specifier.contains(facts.numpy, prereleases=True):
            continue
        has = f"the board's own is {facts.numpy}" if facts.numpy else "the board's Python has none"
        raise EdgewrightError(
            f"{row.distribution} {row.version} needs {text} of the board, there are no wheels of it: {has}",
            hint=f"install the system's own there: {INSTALL_NUMPY}",
            code=Code.NO_NUMPY,
        )
