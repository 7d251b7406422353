"""Substitutes facts: a simulated board reports those of another kind of board."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from edgewright.config import home
from edgewright.nouns.profile import Profile

FILE = "facts.json"  # in the board's root folder; the agent reports what it takes from it as `simulated`


def facts(profile: Profile | None, serial: str) -> dict[str, Any]:
    """The facts to substitute. The serial number always: all boards of a lab share this machine's.

    What a profile leaves open stays this machine's own, and so does what decides about speed and wheels: the
    number of CPUs, Python, libc.
    """
    if profile is None:
        return {"serial": serial}
    told: dict[str, Any] = {
        "serial": serial,
        "memory_mb": profile.memory_mb,
        "accelerators": list(profile.accelerators),
    }
    if os.uname().machine not in profile.architectures:
        told["arch"] = profile.architectures[0]
    if profile.models:
        told["model"] = profile.models[0].rstrip("*")
    if profile.cpu:
        told["cpu"] = profile.cpu
    return told


def emulated_facts(profile: Profile | None, *, machine: bool) -> dict[str, Any]:
    """An emulated board's substitutes: it reads the rest from what its emulated hardware tells.

    Args:
        machine: it has its own kernel, and therefore its own memory.
    """
    told: dict[str, Any] = {"simulated": ["arch", "cpu", "model", "serial"]}
    if machine:
        told["simulated"].append("memory_mb")
    elif profile is not None:
        told["memory_mb"] = profile.memory_mb
    if profile is not None:
        told["accelerators"] = list(profile.accelerators)
    return told


def serial(host_key: str) -> str:
    """A serial number that is the board's own: 16 hex digits, as a Raspberry Pi has."""
    return hashlib.sha256(host_key.encode()).hexdigest()[:16]


def write(root: Path, told: dict[str, Any]) -> None:
    """Writes the facts into a board's root folder."""
    home.made(root)
    (root / FILE).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
