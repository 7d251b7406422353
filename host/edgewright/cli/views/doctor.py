"""Tables of `doctor`: a board's facts, its runtimes and the findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.cli import render

if TYPE_CHECKING:
    from edgewright.api.results import BoardAnswer
    from edgewright.doctor.board import Diagnosis
    from edgewright.doctor.runtime_availability import TargetFit
    from edgewright.doctor.stick_preflight import LayerPreflight
    from edgewright.nouns.facts import Facts, ThermalZone


def show(answers: list[BoardAnswer[Diagnosis]]) -> None:
    """Prints one block per board."""
    found = [(answer.board, answer.result) for answer in answers if answer.result is not None]
    for number, (name, diagnosis) in enumerate(found):
        if number:
            render.line("")
        render.table(name, ["", ""], rows(diagnosis))
        render.findings(diagnosis.findings)


def rows(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The rows of facts; a fact that a board lacks is left out if its absence means nothing."""
    facts = diagnosis.facts
    own = [f"{one.name} {one.version}{' (its own)' if one.system else ''}" for one in facts.runtimes]
    found = [
        ("board", facts.model or "unknown"),
        ("machine", machine(facts)),
        ("profile", diagnosis.profile or "none fits"),
        ("system", system(facts)),
        (
            "python",
            f"{facts.python.version or 'unknown'}, {facts.python.platform or 'unknown'}, {libc(facts)}",
        ),
        ("ssh", f"OpenSSH {facts.openssh}" if facts.openssh else "OpenSSH not found"),
        ("root", f"{facts.root}, {render.size(facts.disk_free_bytes)} free"),
        ("runtimes", ", ".join(own) or "none"),
        ("can get", available(diagnosis.targets)),
        ("accelerators", ", ".join(facts.accelerators) or "none"),
        ("pre-flight", preflights(diagnosis.preflights)),
        ("sensors", ", ".join(facts.sensors) or "none"),
        ("temperature", temperature(facts.thermal)),
        ("speed", speed(facts)),
        ("reboot guard", facts.guard or "none"),
        ("simulated", ", ".join(facts.simulated)),
    ]
    return [(name, text) for name, text in found if text]


def machine(facts: Facts) -> str:
    """Architecture, CPU, memory and swap."""
    from edgewright.doctor import engine_build

    cpus = f"{facts.cpus} x {facts.cpu}" if facts.cpu else f"{facts.cpus} CPUs"
    # a simulated board reports its profile's memory but this machine's free memory
    known = 0 < facts.memory_available_mb <= facts.memory_mb and "memory_mb" not in facts.simulated
    free = f" ({facts.memory_available_mb} available)" if known else ""
    swap = engine_build.swap(facts) if facts.swaps else ""
    return ", ".join(filter(None, (facts.arch, cpus, f"{facts.memory_mb} MiB{free}", swap)))


def system(facts: Facts) -> str:
    """Distribution, Jetson release and kernel."""
    parts = [facts.distribution or "unknown", f"L4T {facts.jetpack}" if facts.jetpack else ""]
    parts += [f"kernel {facts.kernel}" if facts.kernel else ""]
    parts += [f"pages of {facts.page_size // 1024} KiB" if facts.page_size else ""]
    return ", ".join(part for part in parts if part)


def libc(facts: Facts) -> str:
    """Name and version of the C library."""
    return f"{facts.libc.name} {facts.libc.version}".strip() or "unknown libc"


def available(fits: tuple[TargetFit, ...]) -> str:
    """The runtimes that could be installed on a board."""
    return ", ".join(f"{one.runtime} ({one.target})" for one in fits if one.runtime and not one.there)


def preflights(found: tuple[LayerPreflight, ...]) -> str:
    """The accelerators that are asked about each layer at conversion, and what they take."""
    return "; ".join(
        f"{one.accelerator} is asked about each layer at conversion"
        f" ({', '.join(f'{name} {state}' for name, state in one.toolchains.items())}):"
        f" artifacts of {one.target}, static shapes"
        + (f", ONNX opset {one.max_opset} or rewritten to it" if one.max_opset else "")
        for one in found
    )


def temperature(zones: tuple[ThermalZone, ...]) -> str:
    """The temperature of every zone, the CPU's first."""
    ordered = sorted(zones, key=lambda zone: not zone.cpu)
    return ", ".join(
        f"{zone.zone} {zone.temperature_c:.1f} C{' (CPU)' if zone.cpu else ''}" for zone in ordered
    )


def speed(facts: Facts) -> str:
    """What determines the clock speed."""
    parts = [f"governor {facts.governor}" if facts.governor else ""]
    parts += [f"power mode {facts.power_mode}" if facts.power_mode else ""]
    flags = facts.throttled_flags
    parts += [] if flags is None else [f"throttled=0x{flags:x}" if flags else "not throttled since boot"]
    return ", ".join(part for part in parts if part)
