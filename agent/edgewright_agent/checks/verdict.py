"""Compares outputs with the limits of a manifest of schema 2, whole and slice by slice. No numpy.

One golden of one output is in memory at a time, in arrays. The sums run in C loops; only values that do not count or
stand apart are examined one by one.
"""

import math
import sys
from array import array
from operator import mul, ne, sub

from edgewright_agent import shapes
from edgewright_agent.child.answers import Difference, dequantised
from edgewright_agent.child.tensors import FORMATS, Tensors, bad, check, numbers, of_dtype, product
from edgewright_agent.protocol import MAX_LOST


def compare(
    outputs_path: "str",
    goldens_path: "str",
    manifest: "shapes.Manifest",
    lenient: "bool",
    accepted: "list[shapes.Figures] | None",
) -> "shapes.Verdict":
    """Compare the outputs of the goldens with the references, within the manifest's limits.

    Args:
        lenient: outputs that are only low pass. accepted: the accepted `by_output`; an output near its figures passes.

    Returns:
        dict as the wire's `verify`, from `ok` to `compared`.

    Raises:
        AgentError: `bad-argument`, if the references do not fit.
    """
    with Tensors(outputs_path) as outputs, Tensors(goldens_path) as goldens:
        judges = []
        for index, spec in enumerate(manifest["outputs"]):
            judges.append(Judge(manifest["verdict"][index]["limits"], spec["shape"]))
            judges[-1].judge(outputs.member("output_%d" % index), goldens, index, spec)
    lost: "list[shapes.LostSlice]" = [
        {**one, "output": i} for i, judge in enumerate(judges) for one in judge.lost()
    ]
    wrong = [i for i, judge in enumerate(judges) if judge.wrong]
    low = [i for i, judge in enumerate(judges) if judge.low() and not (judge.wrong or judge.lost())]
    rows = [judge.figures() for judge in judges]
    lenient = lenient or bool(accepted and all(near(rows[i], accepted[i]) for i in low))
    # class indexes have no noise: their share counts only if there are no other outputs
    scores = [judge.pooled for judge in judges if judge.unequal is None] or [one.pooled for one in judges]
    answer: "shapes.Verdict" = {
        "ok": not (lost or wrong or (low and not lenient)),
        "failed": sorted(set(one for judge in judges for one in judge.failed())),
        "lost": lost[:MAX_LOST],
        "wrong": wrong,
        "low": low,
        "by_output": rows,
        "sqnr_db": min(score.sqnr_db for score in scores),
        "relative": max(score.relative() for score in scores),
    }
    if any(judge.stopped for judge in judges):
        answer["compared"] = min(judge.compared for judge in judges)
    return answer


def near(row: "shapes.Figures", accepted: "shapes.Figures") -> "bool":
    """Whether an output is at most 3 dB worse than the accepted one, and its error at most twice as large."""
    return row["sqnr_db"] >= accepted["sqnr_db"] - 3 and row["relative"] <= 2 * accepted["relative"]


class Judge:
    """One output against its limits, golden by golden.

    Attributes:
        pooled: Difference of all goldens so far; for classes: how many there are, and how many differ.
        wrong: a value is not finite, or not apart where its reference is, or too many classes differ, or there is
            more noise than signal.
        compared: goldens so far. stopped: more goldens cannot change the result.
    """

    def __init__(self, limits: "shapes.Limits", shape: "list[int]") -> "None":
        self.noise, self.error = limits["noise"] or 0.0, limits["error"] or 0.0  # classes have none
        self.unequal, self.apart = limits["unequal"], limits["apart"]
        self.axes = [Axis(shape, one["axis"], one["noise"]) for one in limits["slices"]]
        self.pooled, self.wrong, self.compared, self.stopped = Difference(), False, 0, False
        self._beyond: "list[int]" = []

    def judge(self, output: "shapes.Tensor", goldens: "Tensors", index: "int", spec: "shapes.Spec") -> "None":
        """Compares the goldens of output `index` with their references, until a limit is exceeded that always refuses."""
        reference, masks = goldens.member("output_%d" % index), None
        check(reference, of_dtype(spec, reference.dtype), "a reference")
        members = [reference]
        if "counts_%d" % index in goldens.names:
            members.append(goldens.member("counts_%d" % index))
            check(members[1], of_dtype(spec, "uint8"), "counts_%d" % index)
            masks = members[1].samples()
        for member in members:
            if member.count != output.count:
                raise bad("references: %d for %d outputs" % (member.count, output.count))
        same = reference.dtype == output.dtype
        for data, expected in zip(output.samples(), reference.samples()):
            out, ref = (
                values(data, output.dtype, spec),
                values(expected, reference.dtype, spec if same else None),
            )
            idle = [i for i, counts in enumerate(next(masks)) if not counts] if masks else ()
            for i in idle:
                out[i] = ref[i] = 0
            self.add(out, ref, len(ref) - len(idle), output.count)
            if self.wrong or any(axis.over() for axis in self.axes):
                self.stopped = self.compared < output.count
                return
        # an evaluation may accept less exact outputs, but these have nothing to do with the source's
        self.wrong = self.low() and self.noise < self.pooled.noise >= self.pooled.signal

    def add(self, out: "array[float]", ref: "array[float]", size: "int", count: "int") -> "None":
        """Adds one of `count` goldens: arrays of numbers; `size` of them count, all others are 0 in both."""
        if self.unequal is not None:
            unequal = sum(map(ne, out, ref))
            own = Difference(float(size), float(unequal), 1.0, float(unequal > 0))
            self.wrong = self.pooled.noise + unequal > self.unequal
            beyond = unequal * count > self.unequal
        else:
            right = self.apart is None or settle(out, ref, self.apart)
            own, squares = difference(out, ref)
            self.wrong = self.wrong or not right or not own.finite
            # if all goldens together exceed a limit, at least one has more than its share
            beyond = not right or not own.finite or own.noise * count > self.noise or own.error > self.error
            for axis in self.axes if squares else ():
                beyond |= axis.add(squares, count)
        self.pooled.add(own)
        if beyond:
            self._beyond.append(self.compared)
        self.compared += 1

    def low(self) -> "bool":
        """Whether the whole output exceeds its limit of noise or error."""
        return self.unequal is None and (self.pooled.noise > self.noise or self.pooled.error > self.error)

    def lost(self) -> "list[shapes.Slice]":
        """The slices that exceed their limits, as the wire names them."""
        return [{"axis": axis.axis, "index": k} for axis in self.axes for k in axis.over()]

    def failed(self) -> "shapes.Iterable[int]":
        """The goldens that caused an exceeded limit."""
        if self.wrong or self.low() or self.lost():
            return self._beyond or range(self.compared)
        return ()

    def figures(self) -> "shapes.Figures":
        """The measured figures and their limits."""
        allowed = (self.noise, self.error) if self.unequal is None else (float(self.unequal), 1.0)
        limit = Difference(self.pooled.signal, allowed[0], self.pooled.peak, allowed[1])
        found: "shapes.Figures" = {"sqnr_db": self.pooled.sqnr_db, "relative": self.pooled.relative()}
        if not self.stopped:  # a limit covers all goldens
            found["least_sqnr_db"], found["greatest_relative"] = limit.sqnr_db, limit.relative()
        return found


class Axis:
    """The slices of an output along one axis: squares summed by index, over the goldens."""

    def __init__(self, shape: "list[int]", axis: "int", limits: "list[float | None]") -> "None":
        self.axis, self._sums = axis, [0.0] * len(limits)
        self._outer, self._inner = product(shape[:axis]), product(shape[axis + 1 :])
        self._tested = [(k, limit) for k, limit in enumerate(limits) if limit is not None]

    def add(self, squares: "array[float]", count: "int") -> "bool":
        """Adds the squares of one of `count` goldens; returns whether one exceeds its share of a limit."""
        block, inner, beyond = len(self._sums) * self._inner, self._inner, False
        for k, limit in self._tested:
            start = k * inner
            if self._outer <= inner:  # whichever needs fewer calls: whole pieces, or each value of a piece
                parts = [sum(squares[i : i + inner]) for i in range(start, len(squares), block)]
            else:
                parts = [sum(squares[i::block]) for i in range(start, start + inner)]
            own = sum(parts)
            self._sums[k] += own
            beyond |= own * count > limit
        return beyond

    def over(self) -> "list[int]":
        """The indexes of the slices that exceed their limits."""
        return [k for k, limit in self._tested if self._sums[k] > limit]


def values(data: "bytes", dtype: "str", spec: "shapes.Spec | None") -> "array[float]":
    """The numbers in little-endian bytes as an array, dequantised if the spec has a scale."""
    letter = FORMATS[dtype][0]
    if spec and spec.get("scale") is not None:
        return array("d", dequantised(numbers(data, dtype), spec))
    if letter in "e?" or sys.byteorder != "little":  # an array cannot hold these
        return array("d", numbers(data, dtype))
    made: "array[float]" = array(letter)
    made.frombytes(data)
    return made


def settle(out: "array[float]", ref: "array[float]", apart: "float") -> "bool":
    """Whether a board's values are apart where the references are; sets both to 0 there, to keep them out of the sums.

    A reference is apart if it is not finite or exceeds `apart`.
    """
    right = True
    for i in [i for i, value in enumerate(ref) if not abs(value) <= apart]:
        one, wanted = out[i], ref[i]
        if wanted != wanted:
            right = right and one != one
        else:
            # 65504: float16 may have clipped a greater value to it
            right = right and abs(one) >= min(abs(wanted), 65504.0) / 4 and (one > 0) == (wanted > 0)
        out[i] = ref[i] = 0
    return right


def difference(out: "array[float]", ref: "array[float]") -> "tuple[Difference, array[float]]":
    """(the Difference of two arrays of numbers, the squares of their differences)."""
    delta = array("d", map(sub, out, ref))
    squares = array("d", map(mul, delta, delta))
    if not squares:
        return Difference(), squares
    signal, peak = float(sum(map(mul, ref, ref))), float(max(max(ref), -min(ref)))
    # squares are never negative, so their sum is exact enough without fsum
    return Difference(signal, sum(squares), peak, math.sqrt(max(squares))), squares
