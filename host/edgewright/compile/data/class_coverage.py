"""How many classes of an output the goldens cover."""

from __future__ import annotations

import math
from pathlib import Path

from edgewright.nouns.artifact import Manifest

_CLASSES = range(2, 1001)


def described(folder: Path, manifest: Manifest) -> list[str]:
    """`cover 7 of 12 classes of scores`, one text per output; nothing for random goldens or if their file is missing.

    A sample's class is the index of the greatest value. An output is known to have classes only if its values sum to 1. For any
    other output, the text reports only that its greatest value is always at the same index.
    """
    file = folder / manifest.goldens.file
    if manifest.goldens.origin != "calibration" or not file.is_file():
        return []
    import numpy as np  # takes longer than the rest of a conversion from the cache

    found = []
    with np.load(file, allow_pickle=False) as archive:
        for index, spec in enumerate(manifest.outputs):
            count = spec.shape[-1] if spec.shape else 0
            if count not in _CLASSES or math.prod(spec.shape) != count:
                continue
            answers = archive[f"output_{index}"].reshape(-1, count)
            if answers.dtype.kind != "f":
                continue
            taken = len(set(answers.argmax(axis=1).tolist()))
            shares = bool((answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=0.02))
            if taken > 1 or shares:
                found.append(f"cover {taken} of {count} classes of {spec.name}")
            else:
                found.append(f"all have their greatest value of {spec.name} at one place")
    return found
