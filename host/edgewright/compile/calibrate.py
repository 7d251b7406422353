"""The samples that a source and its stages are run on: the calibration data, or else seeded random ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile import data
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LIMIT = 256  # samples that calibrate: more change ranges little and cost time
SYNTHETIC_COUNT = 64
_SEED = 20_011
_TOKENS = 10  # random whole numbers of 32 or 64 bits stay below: they are often indexes into a small table


class SampleSet(Noun, frozen=True, kw_only=True):
    """The samples that whoever runs the source is given. `path` None: seeded random ones.

    Attributes:
        specs: the source's inputs; empty until the source has been read.
    """

    path: Path | None = None
    preprocessing: Preprocessing | None = None
    specs: tuple[TensorSpec, ...] = ()

    def of(self, specs: tuple[TensorSpec, ...]) -> SampleSet:
        """The same data for these inputs."""
        return msgspec.structs.replace(self, specs=specs)

    def count(self) -> int:
        """How many samples `stream` yields."""
        return min(LIMIT, self.available())

    def available(self) -> int:
        """How many samples there are. Raises DataError as `data.samples` does."""
        return data.length(self.path, self.specs) if self.path else SYNTHETIC_COUNT

    def stream(self, limit: int = LIMIT) -> Iterator[list[Array]]:
        """At most `limit` samples, evenly spread over the set. Raises DataError as `data.samples` does."""
        if self.path is None:
            yield from random_samples(self.specs, min(limit, SYNTHETIC_COUNT))
            return
        total = self.available()
        chosen = [index * total // limit for index in range(limit)] if total > limit else None
        yield from data.samples(self.path, self.specs, self.preprocessing, chosen)


def random_samples(specs: Sequence[TensorSpec], count: int) -> Iterator[list[Array]]:
    """Seeded random samples: standard normal floats, bytes over their range, wider integers below 10."""
    import numpy as np

    generator = np.random.default_rng(_SEED)
    for _ in range(count):
        yield [_random(generator, spec) for spec in specs]


def _random(generator: np.random.Generator, spec: TensorSpec) -> Array:
    import numpy as np

    dtype = np.dtype(spec.dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, spec.shape).astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = (int(limits.min), int(limits.max) + 1) if dtype.itemsize == 1 else (0, _TOKENS)
        return generator.integers(low, high, spec.shape).astype(dtype)
    return generator.standard_normal(spec.shape).astype(dtype)


def distinct(samples: Iterator[list[Array]]) -> Iterator[tuple[int, list[Array]]]:
    """(index, sample) of the samples that differ from all before them."""
    import hashlib

    seen: set[bytes] = set()
    for index, sample in enumerate(samples):
        digest = hashlib.sha256(b"".join(array.tobytes() for array in sample)).digest()
        if digest not in seen:
            seen.add(digest)
            yield index, sample
