"""How far outputs are from references, checked against numpy and by hand."""

import math
import time

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright_agent.child.answers import EXACT_DB, WORST_RELATIVE, Difference, best, dequantised
from edgewright_agent.protocol import WORST_DB

TIGHT = {"sqnr_db": 40.0, "relative": 0.01}
REALS = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(REALS, REALS), min_size=1, max_size=50), st.integers(1, 5))
def test_pooling_is_as_one(pairs, pieces):
    out, ref = (numpy.array(column) for column in zip(*pairs, strict=True))
    pooled = Difference()
    for part in numpy.array_split(numpy.arange(len(pairs)), pieces):
        pooled.add(Difference.between(tuple(out[part]), tuple(ref[part])))
    noise, signal = ((out - ref) ** 2).sum(), (ref**2).sum()
    assert pooled.noise == pytest.approx(noise) and pooled.signal == pytest.approx(signal)
    if noise and signal:
        assert pooled.sqnr_db == pytest.approx(
            max(-200, min(200, 10 * (math.log10(signal) - math.log10(noise)))), abs=1e-6
        )
        expected = min(WORST_RELATIVE, numpy.abs(out - ref).max() / numpy.abs(ref).max())
        assert pooled.relative() == pytest.approx(expected)


def test_exact_is_exact():
    same = Difference.between((1.0, -2.0), (1.0, -2.0))
    assert (same.sqnr_db, same.relative()) == (EXACT_DB, 0.0) and same.within(TIGHT)
    nothing = Difference.between((0.0,), (0.0,))
    assert (nothing.sqnr_db, nothing.relative()) == (EXACT_DB, 0.0)


def test_noise_where_the_reference_is_silent_is_the_worst():
    wrong = Difference.between((0.5,), (0.0,))
    assert (wrong.sqnr_db, wrong.relative()) == (WORST_DB, WORST_RELATIVE) and not wrong.within(TIGHT)


def test_one_part_in_a_hundred():
    out = Difference.between((101.0, 100.0), (100.0, 100.0))
    assert out.sqnr_db == pytest.approx(10 * math.log10(20000)) and out.relative() == pytest.approx(0.01)
    assert out.within({"sqnr_db": 43.0, "relative": 0.01})
    assert not out.within({"sqnr_db": 43.1, "relative": 0.01})
    assert not out.within({"sqnr_db": 43.0, "relative": 0.0099})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("first", [True, False])
def test_what_is_not_finite_never_passes(bad, place, first):
    pair = [(1.0, 2.0), (1.0, 2.0)]
    pair[place] = (1.0, bad)
    anything = {"sqnr_db": -1e9, "relative": 1e12}
    one, good = Difference.between(*pair), Difference.between((1.0,), (1.0,))
    pooled = Difference()
    for each in (one, good) if first else (good, one):
        pooled.add(each)
    for difference in (one, pooled):
        assert not difference.finite and not difference.within(anything)
        assert (difference.sqnr_db, difference.relative()) == (WORST_DB, WORST_RELATIVE)


def test_great_numbers_do_not_overflow_into_a_pass():
    far = Difference.between((1e300,), (-1e300,))
    assert not far.within({"sqnr_db": -1e9, "relative": 1e12})


def test_the_five_best():
    assert best((1.0, 3.0, 3.0)) == [1, 2, 0, -1, -1]
    assert best([-5]) == [0, -1, -1, -1, -1]
    assert best((True, False)) == [0, 1, -1, -1, -1]
    assert best(tuple(range(9))) == [8, 7, 6, 5, 4]
    assert (
        best((1.0, math.nan)) == best((math.inf, 0.0)) == best((-math.inf, math.inf)) == best(()) == [-1] * 5
    )


def test_integers_with_a_scale_are_compared_as_reals():
    spec = {"dtype": "int8", "scale": 0.5, "zero_point": -128}
    assert dequantised((-128, -126), spec) == [0.0, 1.0]
    assert dequantised((3, 4), {"dtype": "int8", "scale": None}) == (3, 4)
    assert dequantised((3.0,), {"dtype": "float32", "scale": 0.1, "zero_point": 3}) == (3.0,)


def test_large_outputs_take_seconds_not_minutes():
    values = tuple(numpy.random.default_rng(0).normal(size=150_000).tolist())
    start = time.process_time()
    Difference.between(values, values[::-1])
    assert time.process_time() - start < 20
