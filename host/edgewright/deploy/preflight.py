"""Preflight: refuses a release that cannot run on a board before a byte of it is sent."""

from __future__ import annotations

from edgewright import targets
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile
from edgewright.runtimes.install import RuntimeChoice
from edgewright.runtimes.profile_match import userland

HEADROOM_BYTES = 64 * 1024**2  # of disk, beyond the files: results, logs, a second manifest
MEMORY_FACTOR = 2  # a model needs about its weights twice while it loads


class NoFit(EdgewrightError):
    """The board's facts do not fit the profile or the artifact."""

    code = Code.NO_FIT


def check_board(facts: Facts, profile: Profile, *, board: str) -> None:
    """Raises NoFit when the board is not of its profile's kind, or its root folder must not be used."""
    if facts.root_problem:
        raise NoFit(f"the root folder {facts.root} of {board} cannot be used: {facts.root_problem}",
                    hint="set another one: `root` in the fleet file")  # fmt: skip
    if not {facts.arch, userland(facts)} & set(profile.architectures):
        raise NoFit(
            f"{board} is {facts.arch}, its profile {profile.name} is {' or '.join(profile.architectures)}",
            hint="correct the profile in the fleet file; `edgewright profiles list` names them",
        )


def check_artifact(facts: Facts, manifest: Manifest, *, board: str) -> None:
    """Raises NoFit when disk or memory are too small for the artifact."""
    total = sum(entry.size for entry in manifest.files)
    if facts.disk_free_bytes and total + HEADROOM_BYTES > facts.disk_free_bytes:
        raise NoFit(
            f"{board} has {facts.disk_free_bytes // 1024**2} MiB free, the release needs {(total + HEADROOM_BYTES) // 1024**2}",
            hint=f"remove old releases: `edgewright fleet prune {board}`, or free space",
            code=Code.DISK_FULL,
        )
    memory = facts.memory_mb * 1024**2
    if memory and manifest.model_bytes * MEMORY_FACTOR > memory:
        raise NoFit(
            f"{board} has {facts.memory_mb} MiB of memory, the model's files alone are {manifest.model_bytes // 1024**2} MiB",
            hint="convert it smaller: `--precision int8`",
        )


def check_runtime(manifest: Manifest, choice: RuntimeChoice, *, board: str) -> None:
    """Raises NoFit when the artifact needs more than the board's runtime reads (opset, IR, operators)."""
    lacks = targets.load(manifest.target).lacks(choice.name, choice.version, manifest.requires)
    for kind, (needed, cap) in lacks.items():
        raise NoFit(
            f"the artifact needs {kind} {needed}, {choice.name} {choice.version} of {board} reads up to {cap}",
            hint="convert it again for an older runtime, or provision a newer one",
        )


def check_accelerator(wanted: str | None, facts: Facts, *, board: str) -> None:
    """Raises NoFit when the budget or the user asks for an accelerator that the board does not have."""
    if wanted and wanted not in ("cpu", "auto") and hardware(wanted) not in facts.accelerators:
        has = ", ".join(facts.accelerators) or "none"
        raise NoFit(f"{board} has no accelerator {wanted}: it has {has}", hint="drop --accelerator, or choose a board that has one",
                    code=Code.ACCELERATOR_ABSENT)  # fmt: skip


def hardware(accelerator: str) -> str:
    """The name of an accelerator in a board's facts, where a target has another name for it."""
    names = {own: name for target in targets.names() for own, name in targets.load(target).hardware.items()}
    return names.get(accelerator, accelerator)
