"""The samples that the ranges of a simulated int8 network are of: they go along with checkpoints and with the network's file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.inspection.calibration_member import MOST_BYTES

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FILE = "calibration.npz"  # in the folder of a checkpoint


def chosen(inputs: Sequence[Array], count: int) -> list[Array]:
    """Samples spread evenly over those given: `count`, or as many as the network's file has room for, at least one."""
    import numpy as np

    size = sum(array[:1].nbytes for array in inputs)
    total = len(inputs[0])
    count = max(1, min(count, total, MOST_BYTES // max(1, size)))
    rows = np.arange(count) * total // count
    return [array[rows] for array in inputs]


def for_ranges(inputs: Sequence[Array], count: int) -> tuple[list[Array], list[str]]:
    """The samples that a step measures ranges with, and a note if there are fewer than it asks for because of their size."""
    samples = chosen(inputs, count)
    found = len(samples[0])
    few = found < min(count, len(inputs[0]))
    return samples, [f"ranges are of {found} samples: more would make the file too large"] if few else []


def write(folder: Path, inputs: Sequence[Array] | None) -> None:
    """Writes them into a checkpoint's folder; nothing for None."""
    import numpy as np

    if inputs is not None:
        named: dict[str, Any] = {f"input_{index}": array for index, array in enumerate(inputs)}
        np.savez(folder / FILE, **named)


def read(folder: Path) -> list[Array] | None:
    """Those of a checkpoint; None if it has none."""
    import numpy as np

    if not (folder / FILE).is_file():
        return None
    with np.load(folder / FILE, allow_pickle=False) as file:
        return [file[f"input_{index}"] for index in range(len(file.files))]


def same(one: Sequence[Array] | None, other: Sequence[Array] | None) -> bool:
    """Whether both are the same samples, or none."""
    import numpy as np

    if one is None or other is None:
        return one is other
    return len(one) == len(other) and all(map(np.array_equal, one, other))
