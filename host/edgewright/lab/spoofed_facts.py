"""Substitutes facts, so that a simulated board reports those of another kind of board."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from edgewright.config import home
from edgewright.nouns.profile import Profile

FILE = (
    "facts.json"  # in the board's root folder; the agent lists the facts that it takes from it as `simulated`
)


def facts(profile: Profile | None, serial: str) -> dict[str, Any]:
    """The facts to substitute, always including the serial number: all boards of a lab share this machine's.

    Facts that a profile leaves open stay this machine's own, and so do those that affect speed and wheels: the
    number of CPUs, Python, libc.
    """
    if profile is None:
        return {"serial": serial}
    substitutes: dict[str, Any] = {
        "serial": serial,
        "memory_mb": profile.memory_mb,
        "accelerators": list(profile.accelerators),
    }
    if os.uname().machine not in profile.architectures:
        substitutes["arch"] = profile.architectures[0]
    if profile.models:
        substitutes["model"] = profile.models[0].rstrip("*")
    if profile.cpu:
        substitutes["cpu"] = profile.cpu
    return substitutes


def emulated_facts(profile: Profile | None, *, machine: bool) -> dict[str, Any]:
    """An emulated board's substituted facts: it reads the others from its emulated hardware.

    Args:
        machine: it has its own kernel, and therefore its own memory.
    """
    substitutes: dict[str, Any] = {"simulated": ["arch", "cpu", "model", "serial"]}
    if machine:
        substitutes["simulated"].append("memory_mb")
    elif profile is not None:
        substitutes["memory_mb"] = profile.memory_mb
    if profile is not None:
        substitutes["accelerators"] = list(profile.accelerators)
    return substitutes


def serial(host_key: str) -> str:
    """A serial number unique to the board: 16 hex digits, as on a Raspberry Pi."""
    return hashlib.sha256(host_key.encode()).hexdigest()[:16]


def write(root: Path, substitutes: dict[str, Any]) -> None:
    """Writes the facts into a board's root folder."""
    home.made(root)
    (root / FILE).write_text(json.dumps(substitutes, indent=1, sort_keys=True) + "\n")
