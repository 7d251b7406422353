"""Tables of `doctor --host`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from edgewright.cli import render
from edgewright.errors import Exit

if TYPE_CHECKING:
    from edgewright.compile.workers.confinement.confine import InForce
    from edgewright.doctor.host import HostState


def doctor_host(as_json: bool) -> None:
    """Inspects this machine and prints the result; exits with 1 if something prevents a conversion."""
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
    """Prints one block per kind of item, then the findings."""
    from edgewright.compile.toolchains.environments import spoken

    render.table("this machine", ["", ""], [
        ("edgewright", f"{state.edgewright} on Python {state.python}"),
        ("machine", f"{state.machine}, {state.cpus} CPUs, {state.memory_mb} MiB"),
        ("home", f"{state.home}, {render.size(state.disk_free_bytes)} free"),
        ("programs", ", ".join(path or f"no {name}" for name, path in state.programs.items())),
        ("confinement", confinement(state.confinement)),
        ("pythons", ", ".join(f"{one.version}{'' if one.venv else ' (no venv)'}" for one in state.pythons)),
    ])  # fmt: skip
    if state.readable:
        render.table("", ["workers read", ""], [
            *((one.what, ", ".join(one.paths) or "-") for one in state.readable),
            ("each command", "the model's files, the calibration data with what its links point to, a scratch folder"),
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
    if state.sound:
        render.ending("conversions can run here: `edgewright convert MODEL --profile NAME`")
    else:
        render.ending("follow the hints at the problems above, then run `edgewright doctor --host` again")


def confinement(held: InForce) -> str:
    """What confines workers that open models: their access to files and network."""
    return f"files: {held.files or 'none'}, network: {held.network or 'none'}"
