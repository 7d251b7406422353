"""Names of inputs and outputs, and one-line errors: shared by what opens sources."""

from __future__ import annotations

import re
from collections.abc import Sequence


def clean(names: Sequence[str]) -> list[str]:
    """Names that every framework takes, each once: `serving_default_x:0` -> `serving_default_x`."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name.split(":")[0]) or "tensor"
        found.append(plain if plain not in found else f"{plain}_{len(found)}")
    return found


def said(error: BaseException) -> str:
    """The first line of a framework's exception, shortened; its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:240].rstrip(".") if lines else type(error).__name__
