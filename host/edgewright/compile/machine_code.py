"""Machine code for the CPU of a board: which of it this machine runs, and its counterpart for this machine's own CPU.

The verdict on an artifact is taken on this machine. If it cannot run code for the board's CPU, a stage compiles the same model
with the same options for this machine too. That counterpart stays in `host/<arch>/<cpu>/` beside the artifact's files: the manifest
does not name it, and no board gets it.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from edgewright.errors import Code, ConversionError
from edgewright.nouns import cpu as cpus
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.target import Target

HOST = "host"  # folder of what stays on this machine
_CPUINFO = Path("/proc/cpuinfo")


@lru_cache(maxsize=1)
def features() -> frozenset[str]:
    """The features of this machine's CPU, as `/proc/cpuinfo` names them; those of the generic CPU if that cannot be read."""
    try:
        text = _CPUINFO.read_text("utf-8", "replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:flags|Features)[ \t]*:(.*)$", text, re.MULTILINE)
    known = cpus.of_arch(platform.machine())
    return frozenset(found[1].split() if found else known[0].features if known else ())


def default(target: Target) -> Cpu | None:
    """What a target compiles for if nobody says: any CPU of this machine's architecture, or of its first one. None if it does not compile."""
    if not target.compiles_for:
        return None
    here = platform.machine()
    return cpus.generic(here if here in target.compiles_for else target.compiles_for[0])


def counterpart(cpu: Cpu | None) -> Cpu | None:
    """This machine's CPU, if it does not run code for the given one; else None."""
    here = platform.machine()
    if cpu is None or not cpu.lacks(here, features()):
        return None
    if not cpus.of_arch(here):
        raise ConversionError(
            f"cannot verify code for {cpu.title} on this machine, which is {here}",
            hint="convert on an x86-64 or 64-bit Arm machine",
        )
    return cpus.best(here, features())


def folder_of(folder: Path, cpu: Cpu) -> Path:
    """The folder of the counterpart for a CPU, in the folder of an artifact."""
    return folder / HOST / cpu.arch / cpu.name


def left_here(folder: Path) -> Callable[[str, list[str]], list[str]]:
    """For `shutil.copytree` of an artifact's folder: leaves out what stays on this machine."""
    return lambda path, _: [HOST] if Path(path) == folder else []


def divided(files: Mapping[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
    """(the files that boards get, those that stay on this machine), of the files that a stage made."""
    own = {name: path for name, path in files.items() if name.startswith(f"{HOST}/")}
    return {name: path for name, path in files.items() if name not in own}, own


def runnable(folder: Path, manifest: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """The folder and manifest to run an artifact by on this machine: its own, or its counterpart's.

    Raises:
        ConversionError: this machine does not run it, and there is no counterpart.
    """
    given = manifest.get("cpu")
    here = platform.machine()
    if given is None or not msgspec.convert(given, Cpu).lacks(here, features()):
        return folder, manifest
    for cpu in reversed(cpus.of_arch(here)):
        if folder_of(folder, cpu).is_dir() and not cpu.lacks(here, features()):
            return folder_of(folder, cpu), {**manifest, "cpu": msgspec.to_builtins(cpu)}
    raise ConversionError(
        f"artifact is compiled for {msgspec.convert(given, Cpu).title}, and its counterpart for this machine is missing",
        hint="convert the model again with --no-cache",
        code=Code.ARTIFACT_DAMAGED,
    )
