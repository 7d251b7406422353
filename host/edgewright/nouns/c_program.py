"""CProgram: a target's part of a C program, for applications without Python."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class CProgram(Noun, frozen=True, kw_only=True):
    """How a C program runs one artifact. docs/add-a-target.md says what the source may use.

    Attributes:
        source: C11 text that defines `ew_open`, `ew_run` and `ew_close`; each `ew_` and `EW_` becomes the model's own prefix.
        constants: macros for the source, without their prefix -> C text, such as `{"FUNCTION": '"main"'}`.
        libraries: the runtime's shared libraries in the order of linking, as paths in the wheels of the target's `runtimes`.
    """

    source: str
    constants: dict[str, str] = {}
    libraries: tuple[str, ...]
