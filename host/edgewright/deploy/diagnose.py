"""What stands between a board and a deployment, with what to do about each."""

from __future__ import annotations

from collections.abc import Sequence

from edgewright import targets
from edgewright.connect.session import Session
from edgewright.deploy import fit
from edgewright.deploy.board_profile import profile_of
from edgewright.errors import EdgewrightError
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile

LOW_DISK = 512 * 1024**2
GUARD_SECONDS = 120.0


class Finding(Noun, frozen=True, kw_only=True):
    """One thing to know. `level`: `problem` stops a deployment, `advice` does not."""

    level: str
    message: str
    hint: str = ""


class Diagnosis(Noun, frozen=True, kw_only=True):
    """A board's facts, its profile and what was found."""

    facts: Facts
    profile: str
    findings: tuple[Finding, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing stops a deployment."""
        return all(finding.level != "problem" for finding in self.findings)


def guarded(session: Session, install: bool) -> list[Finding]:
    """Installs or removes the reboot guard; a finding where that did not go well."""
    answer = session.call("guard", install=install, timeout_s=GUARD_SECONDS)
    if not install or (answer.get("guard") != "none" and answer.get("tested")):
        return []
    why = str(answer.get("why") or "its test failed")
    return [Finding(level="problem", message=f"the reboot guard could not be installed: {why}",
                    hint="run `python3 <root>/agent/<sha256>.pyz guard --root <root>` at boot yourself")]  # fmt: skip


def diagnose(board: Board, facts: Facts, known: Sequence[Finding] = ()) -> Diagnosis:
    """Looks at the facts of a board as a deployment would, and at what would make its figures doubtful.

    Args:
        known: findings that came before.
    """
    findings: list[Finding] = list(known)
    profile: Profile | None = None
    try:
        profile = profile_of(board, facts)
        fit.check_board(facts, profile, board=board.name)
    except EdgewrightError as error:
        findings.append(Finding(level="problem", message=error.message, hint=error.hint))
    if profile is not None:
        findings += runtimes(facts, profile)
    findings += advice(facts, board.name)
    return Diagnosis(facts=facts, profile=profile.name if profile else "", findings=tuple(findings))


def runtimes(facts: Facts, profile: Profile) -> list[Finding]:
    """Which of the profile's targets have a runtime here, or could get one."""
    found: list[Finding] = []
    have = {runtime.target for runtime in facts.runtimes}
    arch = facts.python.platform.removeprefix("linux-") or facts.arch
    possible = []
    for name in profile.targets:
        if name in have or name not in targets.names():
            continue
        if targets.load(name).runtimes_for(facts.python.version, arch, facts.libc.version):
            possible.append(name)
    if not have and not possible:
        found.append(
            Finding(
                level="problem",
                message=f"no runtime for Python {facts.python.version} on {arch} with {facts.libc.name} {facts.libc.version}",
                hint="give the wheel yourself (`provision --wheel FILE`), or name another Python in the fleet file (`python`)",
            )
        )
    elif not have:
        found.append(
            Finding(
                level="advice",
                message="no runtime yet",
                hint=f"deploy installs it, as `edgewright provision` does: {', '.join(possible)}",
            )
        )
    return found


def advice(facts: Facts, board: str) -> list[Finding]:
    """What makes a board slow, full or unable to recover by itself."""
    found = []
    if 0 < facts.disk_free_bytes < LOW_DISK:
        found.append(Finding(level="advice", message=f"only {facts.disk_free_bytes // 1024**2} MiB of disk are free",
                             hint=f"`edgewright fleet prune {board}` removes old releases"))  # fmt: skip
    if facts.governor and facts.governor != "performance":
        found.append(Finding(level="advice", message=f"governor: {facts.governor}; latency depends on it",
                             hint="measure as the application runs, or set it to performance"))  # fmt: skip
    if facts.guard in ("", "none"):
        found.append(Finding(level="advice", message="no reboot guard: a trial cut by a power failure is reverted at the next session",
                             hint=f"let the board do it by itself: `edgewright doctor {board} --install-guard`"))  # fmt: skip
    return found
