"""What targets that compile machine code keep on this machine, beside an artifact's files."""

from __future__ import annotations

from edgewright.compile.machine_code import HOST

__all__ = ["HOST"]
