"""Tables of `doctor --host`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from edgewright.cli import render
from edgewright.errors import Exit

if TYPE_CHECKING:
    from edgewright.doctor.host import HostState


def doctor_host(as_json: bool) -> None:
    """Looks at this machine and prints what it has; exit code 1 where something stops a conversion."""
    from edgewright.doctor.host import look

    state = look()
    if as_json:
        from edgewright.cli.results.doctor import DoctorResult

        ready = tuple(extra.name for extra in state.extras if extra.ready)
        render.result("doctor", DoctorResult(host=state, ready_extras=ready), ok=state.sound)
    else:
        show(state)
    if not state.sound:
        raise typer.Exit(Exit.ERROR)


def show(state: HostState) -> None:
    """A block a kind of thing, then what was found."""
    from edgewright.compile.toolchains.environments import spoken

    render.table("this machine", ["", ""], [
        ("edgewright", f"{state.edgewright} on Python {state.python}"),
        ("machine", f"{state.machine}, {state.cpus} CPUs, {state.memory_mb} MiB"),
        ("home", f"{state.home}, {render.size(state.disk_free_bytes)} free"),
        ("programs", ", ".join(path or f"no {name}" for name, path in state.programs.items())),
        ("pythons", ", ".join(f"{one.version}{'' if one.venv else ' (no venv)'}" for one in state.pythons)),
    ])  # fmt: skip
    render.table("", ["extra", "", "packages"], [
        (extra.name, "ready" if extra.ready else "incomplete",
         ", ".join(f"{name} {version or 'missing'}" for name, version in extra.packages.items()))
        for extra in state.extras
    ])  # fmt: skip
    render.table("", ["toolchain", "", "Python"], [
        (one.name, "broken" if one.name in state.broken else one.state, one.python or f"needs {spoken(one.pythons)}")
        for one in state.toolchains
    ])  # fmt: skip
    render.findings(state.findings)
