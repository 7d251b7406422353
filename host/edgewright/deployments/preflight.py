"""Preflight: refuses a release that cannot run on a board before a byte of it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright import targets
from edgewright.errors import Code, EdgewrightError
from edgewright.nouns import cpu as cpus
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.facts import Facts
from edgewright.nouns.profile import Profile
from edgewright.runtimes.profile_match import userland
from edgewright_agent.protocol import SPARE_INODES

if TYPE_CHECKING:
    from edgewright.runtimes.install import RuntimeChoice

HEADROOM_INODES = SPARE_INODES + 8  # the agent's own limit for an installation
HEADROOM_BYTES = 64 * 1024**2  # disk space beyond the files, for results, logs and a second manifest
MEMORY_FACTOR = 2  # while it loads, a model needs about twice the size of its weights


class NoFit(EdgewrightError):
    """The board's facts do not fit the profile or the artifact."""

    code = Code.NO_FIT


def check_board(facts: Facts, profile: Profile, *, board: str) -> None:
    """Raises NoFit if the board does not match its profile, or its root folder must not be used."""
    if facts.root_problem:
        raise NoFit(f"the root folder {facts.root} of {board} cannot be used: {facts.root_problem}",
                    hint="set another one: `root` in the fleet file")  # fmt: skip
    if not {facts.arch, userland(facts)} & set(profile.architectures):
        raise NoFit(
            f"{board} is {facts.arch}, its profile {profile.name} is {' or '.join(profile.architectures)}",
            hint="correct the profile in the fleet file; `edgewright profiles list` names them",
        )


def check_cpu(facts: Facts, manifest: Manifest, *, board: str) -> None:
    """Raises NoFit if the artifact is machine code that the board's CPU does not run: it would end the process with SIGILL."""
    if manifest.cpu is None:
        return
    arch, cpu = userland(facts), manifest.cpu
    if arch != cpu.arch:
        raise NoFit(
            f"the artifact is compiled for {cpu.title}, {board} is {arch}",
            hint="convert it for the profile of this board, or for another target",
        )
    # an older agent does not report features: the board then checks them before it loads the artifact
    lacking = () if facts.cpu_features is None else cpu.lacks(arch, facts.cpu_features)
    if lacking:
        fitting = cpus.of_machine(arch, facts.cpu, facts.cpu_features or ())
        raise NoFit(
            f"the artifact is compiled for {cpu.title}, {facts.cpu or 'the CPU'} of {board} lacks {', '.join(lacking)}",
            hint=f"convert it for that CPU: --cpu {fitting.name}",
        )


def check_disk(facts: Facts, manifest: Manifest, *, board: str) -> None:
    """Raises NoFit if the disk has too few bytes or inodes left to install the artifact."""
    total = sum(entry.size for entry in manifest.files)
    if facts.disk_known and total + HEADROOM_BYTES > facts.disk_free_bytes:
        raise NoFit(
            f"{board} has {facts.disk_free_bytes // 1024**2} MiB free, the release needs {(total + HEADROOM_BYTES) // 1024**2}",
            hint=f"remove old releases: `edgewright fleet prune {board}`, or free space",
            code=Code.DISK_FULL,
        )
    inodes = len(manifest.files) + HEADROOM_INODES
    if facts.disk_known and inodes > facts.disk_free_inodes:
        raise NoFit(
            f"{board} has {facts.disk_free_inodes} inodes free, the release needs {inodes}",
            hint=f"remove old releases: `edgewright fleet prune {board}`, or small files on the board",
            code=Code.DISK_FULL,
        )


def check_memory(facts: Facts, manifest: Manifest, *, board: str) -> None:
    """Raises NoFit if the memory is too small for the artifact."""
    memory = facts.memory_mb * 1024**2
    if memory and manifest.model_bytes * MEMORY_FACTOR > memory:
        raise NoFit(
            f"{board} has {facts.memory_mb} MiB of memory, the model's files alone are {manifest.model_bytes // 1024**2} MiB",
            hint="convert it smaller: `--precision int8`",
        )


def check_runtime(manifest: Manifest, choice: RuntimeChoice, *, board: str) -> None:
    """Raises NoFit if the artifact needs more than the board's runtime can read (opset, IR, operators)."""
    lacks = targets.load(manifest.target).lacks(choice.name, choice.version, manifest.requires)
    for kind, (needed, cap) in lacks.items():
        if kind in manifest.causes:
            raise unread(manifest, kind, f"{choice.name} {choice.version} of {board}")
        raise NoFit(
            f"the artifact needs {kind} {needed}, {choice.name} {choice.version} of {board} reads up to {cap}",
            hint="convert it again for an older runtime, or provision a newer one",
        )


def check_system(manifest: Manifest, facts: Facts, *, board: str) -> None:
    """Raises NoFit, with the nodes or layers at fault, if the target's only runtimes are the board's own, and these lack what they need."""
    target = targets.load(manifest.target)
    own = [one for one in facts.runtimes if one.target == target.name]
    if target.runtimes or not own:
        return
    lacking = [target.lacks(one.name, one.version, manifest.requires) for one in own]
    kind = next((kind for kind in lacking[0] if kind in manifest.causes), None)
    if kind is not None and all(lacking):
        raise unread(manifest, kind, f"{own[0].name} {own[0].version} of {board}")


def unread(manifest: Manifest, kind: str, runtime: str) -> NoFit:
    """The error for a runtime that lacks something that the manifest names."""
    return NoFit(
        f"{runtime} lacks {kind} of this model: {manifest.causes[kind]}",
        hint="export the model without them, or at an opset that has them in other words, or take --target onnxruntime",
        code=Code.RUNTIME_TOO_OLD,
    )


def check_taken(wanted: str | None, manifest: Manifest, *, board: str) -> None:
    """Raises NoFit, with the layers at fault, if the conversion found that the required accelerator does not run the artifact."""
    if wanted and wanted in manifest.causes:
        raise NoFit(
            f"{wanted} of {board} does not run this model: {manifest.causes[wanted]}",
            hint="export the model without those layers, or leave the accelerator out",
            code=Code.ACCELERATOR_UNSUPPORTED,
        )


def check_accelerator(wanted: str | None, facts: Facts, *, board: str) -> None:
    """Raises NoFit if the budget or the user requires an accelerator that the board does not have."""
    if wanted and wanted not in ("cpu", "auto") and hardware(wanted) not in facts.accelerators:
        has = ", ".join(facts.accelerators) or "none"
        raise NoFit(f"{board} has no accelerator {wanted}: it has {has}", hint="drop --accelerator, or choose a board that has one",
                    code=Code.ACCELERATOR_ABSENT)  # fmt: skip


def hardware(accelerator: str) -> str:
    """The name of an accelerator in a board's facts, which may differ from the target's name for it."""
    names = {own: name for target in targets.names() for own, name in targets.load(target).hardware.items()}
    return names.get(accelerator, accelerator)
