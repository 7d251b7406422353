"""The samples that a source and its stages run on: calibration data, or seeded random samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data import input_domains, samples
from edgewright.compile.data.input_domains import Domains, InputDomain
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LIMIT = 256  # samples used for calibration: more of them hardly change the ranges and cost time
SYNTHETIC_COUNT = 64
_SEED = 20_011
_INDEX_LIMIT = 10  # upper bound of random 32- and 64-bit integers: they are often indexes into a small table


class SampleSet(Noun, frozen=True, kw_only=True):
    """The samples to run a source on. If `path` is None they are seeded and random.

    Attributes:
        specs: the source's inputs; empty until the source has been read.
        domains: what is known about the values of each input; used for random samples.
    """

    path: Path | None = None
    preprocessing: Preprocessing | None = None
    specs: tuple[TensorSpec, ...] = ()
    domains: Domains = ()

    def of(self, specs: tuple[TensorSpec, ...], known: Domains = ()) -> SampleSet:
        """The same data for the given inputs."""
        return msgspec.structs.replace(self, specs=specs, domains=known)

    def count(self) -> int:
        """How many samples `stream` yields."""
        return min(LIMIT, self.available())

    def available(self) -> int:
        """The number of samples in the data. Raises DataError as `data.samples` does."""
        return samples.length(self.path, self.specs) if self.path else SYNTHETIC_COUNT

    def stream(self, limit: int = LIMIT) -> Iterator[list[Array]]:
        """At most `limit` samples, spread evenly over the set. Raises DataError as `data.samples` does."""
        if self.path is None:
            yield from random_samples(self.specs, min(limit, SYNTHETIC_COUNT), self.domains)
            return
        places = self.places(limit)
        chosen = places if len(places) < self.available() else None
        yield from samples.samples(self.path, self.specs, self.preprocessing, chosen)

    def places(self, limit: int) -> Sequence[int]:
        """The indexes in the data of the samples that `stream(limit)` yields."""
        total = self.available()
        return [index * total // limit for index in range(limit)] if total > limit else range(total)


def random_samples(specs: Sequence[TensorSpec], count: int, known: Domains = ()) -> Iterator[list[Array]]:
    """Seeded random samples.

    An input with an unknown domain gets standard normal floats, bytes over their whole range, or wider integers below 10. A scalar
    condition takes each of its values in turn, and several conditions take all combinations, so that every branch runs.
    """
    import numpy as np

    generator = np.random.default_rng(_SEED)
    known = known or (None,) * len(specs)
    turns = _condition_cycles(specs, known)
    for index in range(count):
        sample = [_random(generator, spec, domain) for spec, domain in zip(specs, known, strict=True)]
        for array, (every, values) in zip(sample, turns, strict=True):
            if values:
                array[...] = index // every % values
        yield sample


def _condition_cycles(specs: Sequence[TensorSpec], known: Domains) -> list[tuple[int, int]]:
    """For each input, (samples per value, number of values) if it is a scalar condition; the number of values is 0 for other inputs."""
    import math

    found, every = [], 1
    for spec, domain in zip(specs, known, strict=True):
        values = 0
        if math.prod(spec.shape) == 1 and (domain.cause == "mask" if domain else spec.dtype == "bool"):
            values = 2 if domain is None else round(domain.range[1]) + 1
        found.append((every, values if values <= _INDEX_LIMIT else 0))
        every *= found[-1][1] or 1
    return found


def _random(generator: np.random.Generator, spec: TensorSpec, domain: InputDomain | None) -> Array:
    import numpy as np

    if domain is not None:
        return input_domains.drawn(generator, spec, domain)
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, spec.shape).astype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low, high = (int(limits.min), int(limits.max) + 1) if dtype.itemsize == 1 else (0, _INDEX_LIMIT)
        return generator.integers(low, high, spec.shape).astype(dtype)
    return np.asarray(generator.standard_normal(spec.shape)).astype(dtype)


def distinct(samples: Iterator[list[Array]]) -> Iterator[tuple[int, list[Array]]]:
    """(index, sample) of each sample that differs from all earlier ones."""
    import hashlib

    seen: set[bytes] = set()
    for index, sample in enumerate(samples):
        digest = hashlib.sha256(b"".join(array.tobytes() for array in sample)).digest()
        if digest not in seen:
            seen.add(digest)
            yield index, sample
