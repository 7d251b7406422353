"""Answers against references: how far a runtime's outputs are from the source framework's. No numpy."""

import math
import operator

EXACT_DB = 200.0  # stands for no difference at all
WORST_DB = -200.0  # stands for not a number, or signal where the reference has none
WORST_RELATIVE = 1e9


def dequantised(values, spec):
    """Real values of integers that have a scale; other values as they are."""
    if spec.get("scale") is None or spec["dtype"].startswith("float"):
        return values
    scale, zero = spec["scale"], spec.get("zero_point") or 0
    return [(value - zero) * scale for value in values]


def argmax(values):
    """Index of the first greatest value; -1, never a right answer, when one is not finite."""
    if not values or not math.isfinite(sum(values)):
        return -1
    return values.index(max(values))


class Difference:
    """Outputs against references, pooled over samples.

    Attributes:
        signal, noise: sums of ref^2 and of (out - ref)^2. peak: max|ref|. error: max|out - ref|.
    """

    def __init__(self, signal=0.0, noise=0.0, peak=0.0, error=0.0):
        self.signal, self.noise, self.peak, self.error = signal, noise, peak, error

    @classmethod
    def between(cls, out, ref):
        """The difference of two sequences of numbers of one length."""
        delta = list(map(operator.sub, out, ref))
        signal, noise = _squares(ref), _squares(delta)
        if not delta:
            return cls()
        return cls(signal, noise, max(map(abs, ref)), max(map(abs, delta)))

    def add(self, other):
        """Pools another difference into this one."""
        self.signal += other.signal
        self.noise += other.noise
        # not max(): it drops a NaN, depending on the order
        self.peak = other.peak if not other.peak <= self.peak else self.peak
        self.error = other.error if not other.error <= self.error else self.error

    @property
    def finite(self):
        """False when an output or a reference is NaN or infinite."""
        return math.isfinite(self.signal) and math.isfinite(self.noise)

    @property
    def sqnr_db(self):
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

    def relative(self, peak=None):
        """max|out - ref| / max|ref|; against another `peak` where one is given."""
        peak = self.peak if peak is None else peak
        if not self.finite:
            return WORST_RELATIVE
        if self.error == 0.0:
            return 0.0
        return min(WORST_RELATIVE, self.error / peak) if peak > 0.0 else WORST_RELATIVE

    def within(self, tolerance, peak=None):
        """Whether it keeps a tolerance: dict with `sqnr_db` and `relative`. NaN and infinity never do."""
        quiet = self.sqnr_db >= tolerance["sqnr_db"] and self.relative(peak) <= tolerance["relative"]
        return self.finite and quiet


def _squares(values):
    try:
        return math.fsum(map(operator.mul, values, values))
    except (OverflowError, ValueError):  # fsum raises on inf - inf and on overflow
        return math.inf
