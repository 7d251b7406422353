"""Decides which targets of its profile a board can run, with an installed runtime or with a wheel that fits."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright import targets
from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts
from edgewright.nouns.finding import ADVICE, PROBLEM, Finding
from edgewright.nouns.profile import Profile
from edgewright.runtimes import compatibility
from edgewright.runtimes.install import system_only
from edgewright.runtimes.profile_match import NARROW, userland
from edgewright.runtimes.wheel_tags import wheel_host


class TargetFit(Noun, frozen=True, kw_only=True):
    """The runtime that a board has, or would get, for a target.

    Attributes:
        target: its name.
        runtime: distribution and version, such as `onnxruntime 1.32.0`; empty if nothing can run the target there.
        there: whether the board already has it.
        why: what the board's system lacks, if there is no runtime.
    """

    target: str
    runtime: str = ""
    there: bool = False
    why: str = ""


def target_fits(facts: Facts, profile: Profile) -> tuple[TargetFit, ...]:
    """The targets of a profile, in its order.

    Raises:
        EdgewrightError: `runtime-unsupported`, there are no wheels for the board's kind of Python.
    """
    names = [name for name in profile.targets if name in targets.names()]
    wheels = compatibility.possible(facts, names)
    found = []
    for name in names:
        had = [one for one in facts.runtimes if one.target == name]
        if had:
            found.append(TargetFit(target=name, runtime=f"{had[0].name} {had[0].version}", there=True))
        elif name in wheels:
            row = wheels[name]
            found.append(TargetFit(target=name, runtime=f"{row.distribution} {row.version}"))
        else:
            found.append(TargetFit(target=name, why=refusal(facts, name).message))
    return tuple(found)


def refusal(facts: Facts, name: str) -> EdgewrightError:
    """The error for a target that the board has no runtime for, installed or as a wheel."""
    target = targets.load(name)
    if not target.runtimes:
        return system_only(facts, target, {})
    return compatibility.refusal(target, wheel_host(facts))


def findings(facts: Facts, fits: Sequence[TargetFit]) -> list[Finding]:
    """The findings about a board's runtimes."""
    if not any(one.runtime for one in fits):
        problem = compatibility.nothing(facts, [one.target for one in fits])
        return [Finding(level=PROBLEM, message=f"no runtime runs here: {problem.message}", hint=problem.hint)]
    found = own(facts, fits)
    if not found and not any(one.there for one in fits):
        names = ", ".join(one.target for one in fits if one.runtime)
        hint = f"deploy installs it, as `edgewright provision` does: {names}"
        found.append(Finding(level=ADVICE, message="no runtime yet", hint=hint))
    missing = [one for one in fits if not one.runtime]
    if missing:
        found.append(
            Finding(
                level=ADVICE, message="; ".join(one.why for one in missing), hint=instead(facts, missing[0])
            )
        )
    return found


def own(facts: Facts, fits: Sequence[TargetFit]) -> list[Finding]:
    """Findings about what the wheels need from the board's own Python but do not find; a problem if nothing else runs."""
    found = []
    wheels = compatibility.possible(facts, [one.target for one in fits if one.runtime and not one.there])
    for row in wheels.values():
        try:
            compatibility.check_own(row, facts)
        except EdgewrightError as error:
            found.append(Finding(level=ADVICE, message=error.message, hint=error.hint))
    alone = len(found) == len([one for one in fits if one.runtime])
    return [Finding(level=PROBLEM, message=one.message, hint=one.hint) for one in found] if alone else found


def instead(facts: Facts, missing: TargetFit) -> str:
    """The hint for a target that has no wheel."""
    arch = userland(facts)
    if arch in NARROW and arch != facts.arch:
        return f"the system is a 32-bit one ({arch}) under a 64-bit kernel ({facts.arch}): a 64-bit system runs these"
    return refusal(facts, missing.target).hint
