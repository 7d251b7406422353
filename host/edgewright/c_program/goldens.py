"""The golden inputs and the source's outputs as plain files, with the limits that the program checks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.c_program.text import named, number, quoted, write_text
from edgewright.compile.data import goldens
from edgewright.nouns.artifact import Artifact, Manifest
from edgewright.nouns.verdict import Limits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FOLDER = "goldens"


def checked(manifest: Manifest) -> bool:
    """Whether the manifest has limits that a program can check: a user's comparison has none."""
    return manifest.compare is None and len(manifest.verdict) == len(manifest.outputs)


def write(artifact: Artifact, folder: Path, name: str) -> None:
    """Writes `goldens.h`, and `goldens/<i>/input_<k>.bin`, `output_<k>.bin` and, if some values do not count, `counts_<k>.bin`."""
    manifest = artifact.manifest
    path = artifact.folder / manifest.goldens.file
    inputs, outputs = goldens.load(path, len(manifest.inputs), len(manifest.outputs))
    counts = [array if not array.all() else None for array in goldens.counted(path, outputs)]
    inputs = [
        array.astype(spec.dtype, copy=False) for array, spec in zip(inputs, manifest.inputs, strict=True)
    ]
    write_text(folder / "goldens.h", named(_header(manifest, outputs, counts), name))
    for index in range(manifest.goldens.count):
        place = folder / FOLDER / str(index)
        place.mkdir(parents=True)
        for kind, arrays in (("input", inputs), ("output", outputs), ("counts", counts)):
            for number_of, array in enumerate(arrays):
                if array is not None:
                    (place / f"{kind}_{number_of}.bin").write_bytes(array[index].tobytes())


def _header(manifest: Manifest, outputs: Sequence[Array], counts: Sequence[Array | None]) -> str:
    count = manifest.goldens.count if checked(manifest) else 0
    rows = [
        _row(limits, array, mask is not None)
        for limits, array, mask in zip(_limits(manifest), outputs, counts, strict=True)
    ]
    return f"""/* What main.c may find between the outputs for the inputs in {FOLDER}/ and those of the source model. */
#include "ew.h"

#include <math.h>

#define EW_GOLDENS {count}

typedef struct {{
    const char *dtype; /* of the source's outputs */
    size_t bytes;
    int masked; /* a file says which values count */
    double noise, error, unequal; /* the most, over all inputs; unequal is negative unless these are classes */
    double apart; /* a greater value stands for infinity */
}} ew_limits;

static const ew_limits ew_golden_limits[EW_OUTPUTS] = {{
{chr(10).join(rows)}
}};
"""


def _limits(manifest: Manifest) -> tuple[Limits, ...]:
    return (
        tuple(one.limits for one in manifest.verdict)
        if checked(manifest)
        else (Limits(),) * len(manifest.outputs)
    )


def _row(limits: Limits, array: Array, masked: bool) -> str:
    none, infinite = -1.0, float("inf")
    numbers = (
        limits.noise or 0.0,
        limits.error or 0.0,
        none if limits.unequal is None else float(limits.unequal),
        infinite if limits.apart is None else limits.apart,
    )
    return f"    {{{quoted(array.dtype.name)}, {array[0].nbytes}, {int(masked)}, {', '.join(map(number, numbers))}}},"
