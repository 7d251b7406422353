"""OptimizeBudget: what a model may take after `optimize`."""

from __future__ import annotations

import re
from typing import Self

from edgewright.errors import UsageError
from edgewright.nouns.base import Noun

_UNITS = {
    "size": ("size_mb", {"KB": 1e3 / 2**20, "MB": 1e6 / 2**20, "KiB": 1 / 2**10, "MiB": 1.0}),
    "p95": ("p95_ms", {"us": 1e-3, "ms": 1.0, "s": 1e3}),
    "macs": ("macs", {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}),
    "drop": ("drop", {"": 1.0, "%": 0.01}),
}
EXAMPLE = "such as size=2MB,p95=20ms,macs=5M,drop=1%"
_LIMIT = re.compile(r"([a-z0-9]+)=(\d+(?:\.\d+)?)([A-Za-z%]*)")


class OptimizeBudget(Noun, frozen=True, kw_only=True):
    """The limits; None is no limit.

    Attributes:
        size_mb: of the artifact's model files, MiB.
        p95_ms: steady-state latency on the board, milliseconds.
        macs: multiplications of one sample, in convolutions and dense layers.
        drop: greatest drop of the metric from the original, as `Metric.drop`.
    """

    size_mb: float | None = None
    p95_ms: float | None = None
    macs: float | None = None
    drop: float | None = None

    def over(self, base: Self) -> Self:
        """These limits, and those of `base` for the others."""
        pairs = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return type(self)(**{name: getattr(base, name) if value is None else value for name, value in pairs})

    @classmethod
    def of(cls, text: str) -> Self:
        """The budget in a text such as `size=2MB,drop=1%`.

        Raises:
            UsageError: it is empty, or a limit is unknown, given twice, or without its unit.
        """
        found: dict[str, float] = {}
        for part in filter(None, (one.strip() for one in text.split(","))):
            match = _LIMIT.fullmatch(part)
            name, units = _UNITS.get(match[1] if match else "", ("", {}))
            if match is None or match[3] not in units or (float(match[2]) == 0 and name != "drop"):
                known = f"{match[1]} is in {', '.join(filter(None, units))}; " if match and units else ""
                raise UsageError(f"--budget is not understood: {part}", hint=known + EXAMPLE)
            if name in found:
                raise UsageError(f"--budget has {match[1]} twice", hint=EXAMPLE)
            found[name] = float(match[2]) * units[match[3]]
        if not found:
            raise UsageError("--budget is empty", hint=EXAMPLE)
        return cls(**found)

    def broken(self, figures: dict[str, float | None]) -> dict[str, float]:
        """The limits that figures break or do not meet for lack of a figure -> by which factor; infinite for a missing figure."""
        found = {}
        for name in self.__struct_fields__:
            limit, value = getattr(self, name), figures.get(name)
            if limit is None:
                continue
            if value is None:
                found[name] = float("inf")
            elif not value <= limit + 1e-9:
                found[name] = value / limit if limit > 0 else 1 + value
        return found
