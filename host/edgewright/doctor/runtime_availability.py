"""Decides which targets of its profile a board can run, with what it has or with a wheel that fits it."""

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
    """What a board has, or would get, to run a target.

    Attributes:
        target: its name.
        runtime: distribution and version, such as `onnxruntime 1.32.0`; empty: nothing runs it there.
        there: whether the board has it already.
        why: what the board's system lacks, where there is no runtime.
    """

    target: str
    runtime: str = ""
    there: bool = False
    why: str = ""


def target_fits(facts: Facts, profile: Profile) -> tuple[TargetFit, ...]:
    """The targets of a profile, in its order.

    Raises:
        EdgewrightError: `runtime-unsupported`, no wheels are made for the board's kind of Python.
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
    """The error of a target that a board has no runtime of, and that no wheel gives it."""
    target = targets.load(name)
    if not target.runtimes:
        return system_only(facts, target, {})
    return compatibility.refusal(target, wheel_host(facts))


def findings(facts: Facts, fits: Sequence[TargetFit]) -> list[Finding]:
    """What to know about the runtimes of a board."""
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
    """What the wheels need of the board's own Python and do not find there; a problem where nothing else runs."""
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
    """What to do about a target that has no wheel."""
    arch = userland(facts)
    if arch in NARROW and arch != facts.arch:
        return f"the system is a 32-bit one ({arch}) under a 64-bit kernel ({facts.arch}): a 64-bit system runs these"
    return refusal(facts, missing.target).hint
