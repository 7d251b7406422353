"""Finds in a converter's exception or log the line with the reason, and the place in the user's model where it failed."""

from __future__ import annotations

from edgewright.compile.workers.framework_errors import branching, line_of, position, telling

__all__ = ["branching", "line_of", "position", "telling"]
