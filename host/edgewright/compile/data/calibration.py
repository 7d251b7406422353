"""The samples that a source and its stages run on: calibration data, or else seeded random ones."""

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

LIMIT = 256  # samples that calibrate: more change ranges little and cost time
SYNTHETIC_COUNT = 64
_SEED = 20_011
_TOKENS = 10  # random whole numbers of 32 or 64 bits stay below: they are often indexes into a small table


class SampleSet(Noun, frozen=True, kw_only=True):
    """The samples that whoever runs the source is given. `path` None: seeded random ones.

    Attributes:
        specs: the source's inputs; empty until the source has been read.
        domains: what is known of their numbers, for random ones.
    """

    path: Path | None = None
    preprocessing: Preprocessing | None = None
    specs: tuple[TensorSpec, ...] = ()
    domains: Domains = ()

    def of(self, specs: tuple[TensorSpec, ...], known: Domains = ()) -> SampleSet:
        """The same data for these inputs."""
        return msgspec.structs.replace(self, specs=specs, domains=known)

    def count(self) -> int:
        """How many samples `stream` yields."""
        return min(LIMIT, self.available())

    def available(self) -> int:
        """How many samples there are. Raises DataError as `data.samples` does."""
        return samples.length(self.path, self.specs) if self.path else SYNTHETIC_COUNT

    def stream(self, limit: int = LIMIT) -> Iterator[list[Array]]:
        """At most `limit` samples, evenly spread over the set. Raises DataError as `data.samples` does."""
        if self.path is None:
            yield from random_samples(self.specs, min(limit, SYNTHETIC_COUNT), self.domains)
            return
        places = self.places(limit)
        chosen = places if len(places) < self.available() else None
        yield from samples.samples(self.path, self.specs, self.preprocessing, chosen)

    def places(self, limit: int) -> Sequence[int]:
        """Where in the data the samples stand that `stream(limit)` yields."""
        total = self.available()
        return [index * total // limit for index in range(limit)] if total > limit else range(total)


def random_samples(specs: Sequence[TensorSpec], count: int, known: Domains = ()) -> Iterator[list[Array]]:
    """Seeded random samples.

    Of an input of which nothing is known: standard normal floats, bytes over their range, wider integers below 10. One that is a
    single condition takes all of its values in turn, and several take all combinations: no branch is left out.
    """
    import numpy as np

    generator = np.random.default_rng(_SEED)
    known = known or (None,) * len(specs)
    turns = _turns(specs, known)
    for index in range(count):
        sample = [_random(generator, spec, domain) for spec, domain in zip(specs, known, strict=True)]
        for array, (every, values) in zip(sample, turns, strict=True):
            if values:
                array[...] = index // every % values
        yield sample


def _turns(specs: Sequence[TensorSpec], known: Domains) -> list[tuple[int, int]]:
    """(for how many samples it keeps a value, how many values) of each input that is a single condition; else no values."""
    import math

    found, every = [], 1
    for spec, domain in zip(specs, known, strict=True):
        values = 0
        if math.prod(spec.shape) == 1 and (domain.cause == "mask" if domain else spec.dtype == "bool"):
            values = 2 if domain is None else round(domain.range[1]) + 1
        found.append((every, values if values <= _TOKENS else 0))
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
        low, high = (int(limits.min), int(limits.max) + 1) if dtype.itemsize == 1 else (0, _TOKENS)
        return generator.integers(low, high, spec.shape).astype(dtype)
    return np.asarray(generator.standard_normal(spec.shape)).astype(dtype)


def distinct(samples: Iterator[list[Array]]) -> Iterator[tuple[int, list[Array]]]:
    """(index, sample) of the samples that differ from all before them."""
    import hashlib

    seen: set[bytes] = set()
    for index, sample in enumerate(samples):
        digest = hashlib.sha256(b"".join(array.tobytes() for array in sample)).digest()
        if digest not in seen:
            seen.add(digest)
            yield index, sample
