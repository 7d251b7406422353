"""Diagnoses a board: problems that would stop a deployment, with hints."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.connect.session import Session
from edgewright.deployments import preflight
from edgewright.doctor import runtime_availability, stick_preflight
from edgewright.doctor.conditions import doubts
from edgewright.doctor.runtime_availability import TargetFit
from edgewright.doctor.stick_preflight import LayerPreflight
from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.finding import ADVICE, PROBLEM, Finding
from edgewright.nouns.profile import Profile
from edgewright.runtimes.profile_match import by_model, how_to_set, profile_of
from edgewright.wire import commands

GUARD_SECONDS = 120.0


class Diagnosis(Noun, frozen=True, kw_only=True):
    """A board's facts and profile, the targets that can run there, and the findings.

    Attributes:
        profile: its name; empty if none fits.
        targets: the profile's targets, in order; empty if there are no wheels for the board's Python.
        preflights: accelerators that are asked about each layer of a model, on this machine, before anything is sent.
    """

    facts: Facts
    profile: str
    targets: tuple[TargetFit, ...] = ()
    preflights: tuple[LayerPreflight, ...] = ()
    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing blocks a deployment."""
        return all(finding.level != PROBLEM for finding in self.findings)


def guarded(session: Session, install: bool) -> list[Finding]:
    """Installs or removes the reboot guard; returns a finding if that failed."""
    answer = session.call(commands.Guard(install=install), timeout_s=GUARD_SECONDS)
    if not install or (answer.guard != "none" and answer.tested):
        return []
    why = answer.why or "its test failed"
    return [Finding(level=PROBLEM, message=f"the reboot guard could not be installed: {why}",
                    hint="run `python3 <root>/agent/<sha256>.pyz guard --root <root>` at boot yourself")]  # fmt: skip


def broken_pythons(session: Session) -> list[Finding]:
    """A finding if the board's first Python does not work: each session starts it in vain."""
    if not session.failures:
        return []
    tried = "; ".join(map(str, session.failures))
    return [Finding(level=ADVICE, message=f"{tried}: each session tries that before {session.python}",
                    hint=f"set `python = \"{session.python}\"` for {session.board.name} in the fleet file, or repair it")]  # fmt: skip


def diagnose(board: Board, facts: Facts, known: Sequence[Finding] = ()) -> Diagnosis:
    """Checks a board's facts as a deployment would, and looks for conditions that make its measurements unreliable.

    Args:
        known: earlier findings.
    """
    found: list[Finding] = list(known)
    profile: Profile | None = None
    fits: tuple[TargetFit, ...] = ()
    asked: tuple[LayerPreflight, ...] = ()
    try:
        profile = profile_of(board, facts)
        found += misfit(facts, profile, board.name)
        found += doubtful_profile(board, facts, profile)
        asked = stick_preflight.preflights(facts, profile)
        found += stick_preflight.findings(asked)
        fits = runtime_availability.target_fits(facts, profile)
        found += runtime_availability.findings(facts, fits)
    except EdgewrightError as error:
        found.append(Finding(level=PROBLEM, message=error.message, hint=error.hint))
    found += doubts(facts, board.name)
    name = profile.name if profile else ""
    return Diagnosis(facts=facts, profile=name, targets=fits, preflights=asked, findings=tuple(found))


def misfit(facts: Facts, profile: Profile, board: str) -> list[Finding]:
    """The findings for which a deployment would be refused before anything is sent."""
    try:
        preflight.check_board(facts, profile, board=board)
    except EdgewrightError as error:
        return [Finding(level=PROBLEM, message=error.message, hint=error.hint)]
    return []


def doubtful_profile(board: Board, facts: Facts, profile: Profile) -> list[Finding]:
    """A finding if the board looks like another profile, or matches none by more than its architecture."""
    named = by_model(facts)
    if board.profile and named is not None and profile.models and named.name != profile.name:
        message = (
            f"the fleet file says profile {profile.name}, the board says {facts.model}: profile {named.name}"
        )
        return [Finding(level=ADVICE, message=message, hint=how_to_set(board, named.name))]
    identified = not facts.model or "model" in facts.simulated
    if named is None and not board.profile and not identified and facts.arch != "x86_64":
        message = f"no dedicated profile for {facts.model}: using {profile.name}"
        hint = f"write a profile for it: `edgewright profiles show {profile.name}` shows the keys"
        return [Finding(level=ADVICE, message=message, hint=hint)]
    if "myriad" in facts.accelerators and "myriad" not in profile.accelerators:
        message = f"a Neural Compute Stick is plugged in, which profile {profile.name} does not use"
        return [Finding(level=ADVICE, message=message, hint=how_to_set(board, "intel-ncs2"))]
    return []
