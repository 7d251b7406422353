"""Confines this process in layers: every layer that the kernel supports. A layer that fails leaves the others in force."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable

from edgewright.compile.workers.confinement import landlock, libc, namespaces, seccomp
from edgewright.compile.workers.confinement.rules import Rules, too_wide, with_system
from edgewright.nouns.base import Noun

OFF = "EDGEWRIGHT_CONFINEMENT"
"""Variable that turns it off with `off`: for converters that it breaks."""


class InForce(Noun, frozen=True, kw_only=True):
    """What confines a worker, in words; empty if nothing does.

    Attributes:
        files: what denies it other files.
        network: what denies it the network.
        left_out: folders of libraries that it may not read, since they hold all of HOME.
    """

    files: str = ""
    network: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def lacks(self) -> tuple[str, ...]:
        """What a model's code is not kept from: `files`, `network`."""
        return tuple(
            what for what, held_by in (("files", self.files), ("network", self.network)) if not held_by
        )


def confine(rules: Rules) -> InForce:
    """Confines this process, which has one thread, and all processes that it starts, permanently."""
    if os.environ.get(OFF) == "off" or not sys.platform.startswith("linux"):
        return InForce()
    machine = platform.machine()
    left_out = too_wide(rules)
    files = _files(with_system(rules), machine)
    network = _network(machine)
    _tried("dropping of capabilities", lambda: libc.drop_capabilities(machine))
    _tried("dropping of privileges", libc.no_new_privileges)
    return InForce(files=files, network=network, left_out=left_out if files else ())


def _files(rules: Rules, machine: str) -> str:
    version = _tried("Landlock", lambda: landlock.restrict(rules))
    if version:
        return f"Landlock {version}"
    if _tried_first("mount namespace", lambda: namespaces.restrict(rules, machine)):
        return "mount namespace"
    return ""


def _network(machine: str) -> str:
    if _tried("seccomp", lambda: seccomp.restrict(machine)):
        return "seccomp"
    if _tried_first("network namespace", namespaces.no_network):
        return "network namespace"
    return ""


def _tried_first(what: str, step: Callable[[], bool]) -> int:
    """As `_tried`, but only if a child process succeeds first: a process that fails half-way is left without a user or a file tree."""
    child = os.fork()
    if not child:
        os._exit(0 if _tried(what, step) else 1)
    return 0 if os.waitpid(child, 0)[1] else _tried(what, step)


def _tried(what: str, step: Callable[[], int | bool | None]) -> int:
    """The result of a layer; 0 if the kernel refuses it. The log has the reason."""
    try:
        return int(step() or 0)
    except (OSError, KeyError) as error:
        sys.stderr.write(f"confinement: no {what}: {error}\n")
        return 0
