"""What a converter's exception or log says: its telling line, and where in the user's model it gave up."""

from __future__ import annotations

from edgewright.compile.workers.framework_errors import branching, line_of, position, telling

__all__ = ["branching", "line_of", "position", "telling"]
