"""Compares a runtime's outputs with the source framework's, by a manifest of schema 1. No numpy."""

import heapq
import math
import operator
import struct

from edgewright_agent import shapes
from edgewright_agent.child import tensors
from edgewright_agent.protocol import WORST_DB

KEEP = ("top5", "first", "all")  # the outputs that `evaluate` can return
RANKS = 5
MAX_BYTES = 256 * 1024 * 1024  # of the outputs that `evaluate` returns: they must fit on the board's disk
EXACT_DB = 200.0  # means: no difference at all
WORST_RELATIVE = 1e9


def dequantised(values: "shapes.Numbers", spec: "shapes.Spec") -> "shapes.Numbers":
    """The real values of integers that have a scale; other values unchanged."""
    scale, zero = spec.get("scale"), spec.get("zero_point") or 0
    if scale is None or spec["dtype"].startswith("float"):
        return values
    return [(value - zero) * scale for value in values]


def best(values: "shapes.Numbers") -> "list[int]":
    """Indexes of the five greatest values, best first; of equal values the first. -1 stands for missing values,
    and for all five, so that none is correct, if any value is not finite."""
    if not values or not all(map(math.isfinite, values)):
        return [-1] * RANKS
    found = heapq.nlargest(RANKS, range(len(values)), key=values.__getitem__)
    return found + [-1] * (RANKS - len(found))


def writer(keep: "str", specs: "list[shapes.Spec]", path: "str") -> "shapes.Writer":
    """A writer that takes the outputs sample by sample and keeps `top5`, `first` (output 0) or `all` of them.

    Args:
        keep: one of `KEEP`. specs: the manifest's outputs. path: the file to write.

    Raises:
        AgentError: `bad-argument`.
    """
    if keep == "top5":
        return Ranks(specs[0], path)
    return Outputs(specs if keep == "all" else specs[:1], path)


class Ranks:
    """Writes `best` of output 0, int32 little-endian, five values per sample."""

    sample_bytes = 4 * RANKS

    def __init__(self, spec: "shapes.Spec", path: "str") -> "None":
        shape = spec["shape"]
        if len(shape) > 1 and shape[0] != 1:
            raise tensors.bad("top5 wants one sample an inference, the model takes %d" % shape[0])
        self._spec, self._path = spec, path

    def __enter__(self) -> "Ranks":
        self._file = open(self._path, "wb")
        return self

    def __exit__(self, *_: "object") -> "None":
        self._file.close()

    def add(self, outputs: "list[bytes]") -> "None":
        """Takes the outputs of one sample, as bytes."""
        values = dequantised(tensors.numbers(outputs[0], self._spec["dtype"]), self._spec)
        self._file.write(struct.pack("<%di" % RANKS, *best(values)))


class Outputs:
    """Writes the first outputs unchanged, as an `.npz` with `output_<i>`."""

    def __init__(self, specs: "list[shapes.Spec]", path: "str") -> "None":
        self._count, self._path = len(specs), path
        self._members = [("output_%d" % i, spec["dtype"], spec["shape"]) for i, spec in enumerate(specs)]
        sizes = [tensors.product(shape) * tensors.FORMATS[dtype][1] for _, dtype, shape in self._members]
        self.sample_bytes = sum(sizes)

    def __enter__(self) -> "Outputs":
        self._writer = tensors.NpzWriter(self._path, self._members)
        self._writer.__enter__()
        return self

    def __exit__(self, *why: "object") -> "None":
        self._writer.__exit__(*why)

    def add(self, outputs: "list[bytes]") -> "None":
        """Takes the outputs of one sample, as bytes."""
        self._writer.add(outputs[: self._count])


class Difference:
    """Outputs against references, pooled over samples.

    Attributes:
        signal, noise: sums of ref^2 and of (out - ref)^2. peak: max|ref|. error: max|out - ref|.
    """

    def __init__(
        self, signal: "float" = 0.0, noise: "float" = 0.0, peak: "float" = 0.0, error: "float" = 0.0
    ) -> "None":
        self.signal, self.noise, self.peak, self.error = signal, noise, peak, error

    @classmethod
    def between(cls, out: "shapes.Numbers", ref: "shapes.Numbers") -> "Difference":
        """The difference of two sequences of numbers of equal length."""
        delta = list(map(operator.sub, out, ref))
        signal, noise = _squares(ref), _squares(delta)
        if not delta:
            return cls()
        return cls(signal, noise, max(map(abs, ref)), max(map(abs, delta)))

    def add(self, other: "Difference") -> "None":
        """Pools another difference into this one."""
        self.signal += other.signal
        self.noise += other.noise
        # not max(): it drops a NaN, depending on the order
        self.peak = other.peak if not other.peak <= self.peak else self.peak
        self.error = other.error if not other.error <= self.error else self.error

    @property
    def finite(self) -> "bool":
        """Whether no output and no reference is NaN or infinite."""
        return math.isfinite(self.signal) and math.isfinite(self.noise)

    @property
    def sqnr_db(self) -> "float":
        """Signal to noise, 10 log10(signal / noise), dB, between -200 and 200."""
        if not self.finite:
            return WORST_DB
        if self.noise == 0.0:
            return EXACT_DB
        if self.signal == 0.0:
            return WORST_DB
        # a difference of logarithms: the quotient of two doubles may overflow
        decibel = 10.0 * (math.log10(self.signal) - math.log10(self.noise))
        return max(WORST_DB, min(EXACT_DB, decibel))

    def relative(self, peak: "float | None" = None) -> "float":
        """max|out - ref| / max|ref|; relative to `peak` instead of max|ref| if given."""
        peak = self.peak if peak is None else peak
        if not self.finite:
            return WORST_RELATIVE
        if self.error == 0.0:
            return 0.0
        return min(WORST_RELATIVE, self.error / peak) if peak > 0.0 else WORST_RELATIVE

    def within(self, tolerance: "shapes.Tolerance", peak: "float | None" = None) -> "bool":
        """Whether it is within a tolerance: dict with `sqnr_db` and `relative`. NaN and infinity never are."""
        quiet = self.sqnr_db >= tolerance["sqnr_db"] and self.relative(peak) <= tolerance["relative"]
        return self.finite and quiet


def _squares(values: "shapes.Numbers") -> "float":
    try:
        return math.fsum(map(operator.mul, values, values))
    except (OverflowError, ValueError):  # fsum raises on inf - inf and on overflow
        return math.inf
