"""Outputs for the goldens compared with the limits of a manifest of schema 2; checked against numpy and by hand."""

import json
import math
import tracemalloc

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright_agent.checks import verify
from edgewright_agent.protocol import AgentError

NAN, INF = math.nan, math.inf
WIDE = {"noise": 1e9, "error": 1e9, "unequal": None, "apart": None, "slices": []}
CLASSES = {**WIDE, "noise": None, "error": None}


def along(axis, noise):
    return {"axis": axis, "noise": list(noise)}


@pytest.fixture
def compared(tmp_path):
    """Compares outputs (out, ref, limits, and more of each) as `verify` does."""

    def compare(*rows, lenient=False, accepted=None, spec=None, masks=()):
        outputs, goldens, specs, verdict = {}, {}, [], []
        for i, (out, ref, limits) in enumerate(rows):
            outputs[f"output_{i}"], goldens[f"output_{i}"] = out, ref
            specs.append(
                {"name": f"y{i}", "shape": list(out.shape[1:]), "dtype": out.dtype.name, **(spec or {})}
            )
            verdict.append({"limits": {**WIDE, **limits}})
        goldens.update({f"counts_{i}": mask for i, mask in masks})
        numpy.savez(tmp_path / "outputs.npz", **outputs)
        numpy.savez(tmp_path / "goldens.npz", **goldens)
        manifest = {"schema": 2, "outputs": specs, "verdict": verdict, "goldens": {"tolerance": None}}
        found = verify.compare(
            str(tmp_path / "outputs.npz"), str(tmp_path / "goldens.npz"), manifest, lenient, accepted
        )
        json.dumps(found, allow_nan=False)
        return found

    return compare


def pair(shape, count=3, seed=0, noise=0.1):
    """References, and outputs near them."""
    random = numpy.random.default_rng(seed)
    ref = random.normal(size=(count, *shape)).astype("float32")
    return (ref + noise * random.normal(size=ref.shape)).astype("float32"), ref


def squares(out, ref):
    return (out.astype("float64") - ref) ** 2


# axis by axis: pieces side by side (first), each value of a piece (last), and both ways between
@pytest.mark.parametrize(
    "shape", [(6,), (1, 6), (2, 3, 4), (5, 3, 2), (1, 7, 1, 3), (3, 1, 4, 2), (2, 2, 2, 2)]
)
def test_the_sums_of_every_slice_are_numpys(compared, shape):
    out, ref = pair(shape)
    for axis in range(len(shape)):
        others = tuple(one for one in range(len(shape) + 1) if one != axis + 1)
        sums = squares(out, ref).sum(axis=others)
        assert compared((out, ref, {"slices": [along(axis, sums * (1 + 1e-9))]}))["ok"]
        for k in range(shape[axis]):
            limits = [limit * (1 - 1e-6 if one == k else 1 + 1e-9) for one, limit in enumerate(sums)]
            found = compared((out, ref, {"slices": [along(axis, limits)]}))
            assert not found["ok"] and found["lost"] == [{"output": 0, "axis": axis, "index": k}]
            assert not found["low"] and not found["wrong"] and found["failed"]
            limits[k] = None
            assert compared((out, ref, {"slices": [along(axis, limits)]}))["ok"]


def test_a_slice_that_is_lost_in_an_exact_whole_is_found(compared):
    """What the ratio over the whole tensor did not see: scores that are all 0 beside boxes of hundreds of pixels."""
    out, ref = pair((8, 50), noise=0.0)
    ref[:, :7] *= 100
    out = ref.copy()
    out[:, 7] = 0
    sums = numpy.full(8, 1.0)
    found = compared((out, ref, {"noise": 1e4, "error": 50.0, "slices": [along(0, sums)]}))
    assert (
        found["sqnr_db"] > 35 and found["lost"] == [{"output": 0, "axis": 0, "index": 7}] and not found["ok"]
    )


def test_several_outputs_and_axes_each_have_their_own(compared):
    (a, b), (c, d) = pair((3, 4)), pair((5,), seed=2)
    a = b.copy()
    a[:, 1, 2] += 1
    c = d.copy()
    c[:, 4] += 1
    tight = {"slices": [along(1, [0.5] * 4), along(0, [None, 0.5, 0.5])]}
    found = compared((a, b, tight), (c, d, {"slices": [along(0, [0.5] * 5)]}))
    lost = [(one["output"], one["axis"], one["index"]) for one in found["lost"]]
    assert lost == [(0, 1, 2), (0, 0, 1), (1, 0, 4)]


def test_of_many_lost_slices_sixteen_are_named(compared):
    out, ref = pair((40,))
    found = compared((out, ref, {"slices": [along(0, [0.0] * 40)]}))
    assert [one["index"] for one in found["lost"]] == list(range(16))


def test_the_whole_output_is_limited_by_its_noise_and_by_its_error(compared):
    out, ref = pair((2, 5))
    noise, error = squares(out, ref).sum(), numpy.abs(out.astype("float64") - ref).max()
    assert compared((out, ref, {"noise": noise * (1 + 1e-9), "error": error}))["ok"]
    for limits in ({"noise": noise * 0.999, "error": error}, {"noise": noise, "error": error * 0.999}):
        found = compared((out, ref, limits))
        assert not found["ok"] and found["low"] == [0] and not found["lost"] and not found["wrong"]
        assert found["failed"] and set(found["failed"]) <= {0, 1, 2}
        found = compared((out, ref, limits), lenient=True)
        assert found["ok"] and found["low"] == [0] and "compared" not in found


def test_lenient_lets_nothing_else_pass(compared):
    out, ref = pair((4,))
    lost = {"noise": 0.0, "slices": [along(0, [0.0] * 4)]}
    assert not compared((out, ref, lost), lenient=True)["ok"]
    out[1, 2] = NAN
    assert not compared((out, ref, {}), lenient=True)["ok"]
    labels = numpy.arange(6).reshape(2, 3)
    assert not compared((labels + 1, labels, {**CLASSES, "unequal": 5}), lenient=True)["ok"]


@pytest.mark.parametrize("lenient", [False, True])
def test_what_is_low_does_not_hide_what_is_lost_or_wrong_in_a_later_golden(compared, lenient):
    out, ref = pair((4,), count=6, noise=0.0)
    out[0] += 0.01
    limits = {"noise": 1e-6, "error": 1e-6, "slices": [along(0, [0.5] * 4)]}
    assert compared((out, ref, limits), lenient=True)["low"] == [0]
    later = out.copy()
    later[5, 1] += 2
    found = compared((later, ref, limits), lenient=lenient)
    assert found["lost"] == [{"output": 0, "axis": 0, "index": 1}] and not found["low"]
    later[5, 1] = NAN
    found = compared((later, ref, limits), lenient=lenient)
    assert found["wrong"] == [0] and not found["low"] and not found["ok"]


def test_more_noise_than_signal_passes_nowhere(compared):
    """Random goldens, distributions and outputs where nothing could be tested have no slices that refuse this."""
    ref = numpy.random.default_rng(1).dirichlet(numpy.full(10, 0.1), size=(16, 1))
    near = 0.6 * ref + 0.04
    limits = {"noise": 0.01, "error": 0.02}
    found = compared((near, ref, limits), lenient=True)
    assert found["ok"] and found["low"] == [0] and found["sqnr_db"] > 0
    accepted = [{"sqnr_db": -200.0, "relative": 1e9}]
    for more in ({"lenient": True}, {"accepted": accepted}):
        found = compared((numpy.roll(ref, 3, axis=-1), ref, limits), **more)
        assert found["sqnr_db"] < 0 and found["wrong"] == [0] and found["failed"]
        assert not found["ok"] and not found["low"]
    zeros = numpy.zeros((3, 4))
    assert compared((zeros + 1e-4, zeros, {"noise": 1e-6, "error": 1e-3}))["ok"]
    found = compared((zeros + 1e-4, zeros, {"noise": 1e-6, "error": 1e-9}), lenient=True)
    assert found["ok"] and found["low"] == [0]  # its noise is within the limit


@pytest.mark.parametrize(
    ("db", "factor", "ok"),
    [(0, 1, True), (2.99, 1, True), (3.01, 1, False), (0, 0.51, True), (0, 0.49, False)],
)
def test_what_was_accepted_may_be_a_little_worse(compared, db, factor, ok):
    out, ref = pair((6,))
    limits = {"noise": 0.0, "error": 0.0}
    (row,) = compared((out, ref, limits))["by_output"]
    accepted = {"sqnr_db": row["sqnr_db"] + db, "relative": row["relative"] * factor}
    found = compared((ref, ref, limits), (out, ref, limits), accepted=[row, accepted])
    assert found["ok"] == ok and found["low"] == [1]
    out[0, 0] = NAN
    assert not compared((ref, ref, limits), (out, ref, limits), accepted=[row, accepted])["ok"]


def test_figures_and_what_they_may_be(compared):
    ref = numpy.array([[3.0, -4.0]], "float64")
    found = compared((ref + 0.5, ref, {"noise": 0.25, "error": 1.0}))
    (row,) = found["by_output"]
    assert row["sqnr_db"] == found["sqnr_db"] == pytest.approx(10 * math.log10(25 / 0.5))
    assert row["least_sqnr_db"] == pytest.approx(20.0)
    assert row["relative"] == found["relative"] == pytest.approx(0.125) and row["greatest_relative"] == 0.25


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("place", ["output", "reference"])
def test_what_is_not_finite_is_wrong_unless_the_source_is_so_too(compared, value, place):
    out, ref = pair((4,))
    (out if place == "output" else ref)[1, 2] = value
    found = compared((out, ref, {"slices": [along(0, [1e9] * 4)]}))
    assert not found["ok"] and found["wrong"] == [0] and found["failed"] == [1] and not found["low"]
    assert (found["sqnr_db"], found["relative"]) == (-200.0, 1e9)


def test_great_differences_do_not_overflow_into_a_pass(compared):
    ref = numpy.array([[1e300]])
    assert not compared((-ref, ref, {"slices": [along(0, [1e308])]}), lenient=True)["ok"]


@pytest.mark.parametrize(
    ("reference", "right", "others"),
    [
        (NAN, [NAN], [0.0, INF, 1e9]),
        (INF, [INF, 1e9, 16377.0], [-INF, NAN, 1.0, 16375.0, 0.0]),
        (-INF, [-INF, -1e9, -16377.0], [INF, NAN, -16375.0, 0.0]),
        (-3e38, [-3e38, -INF, -65504.0, -16377.0], [65504.0, NAN, -16375.0]),
        (1001.0, [1001.0, 250.5, INF], [250.0, -1001.0, NAN]),
    ],
)
def test_values_that_are_apart_are_matched_as_a_pattern(compared, reference, right, others):
    """`apart` is 1000: they are in no sum, so that masks of minus infinity do not hide what is wrong beside them."""
    _, ref = pair((2, 4), noise=0.0)
    limits = {"noise": 0.0, "error": 0.0, "apart": 1000.0, "slices": [along(1, [0.0] * 4)]}
    for value in right + others:
        out = ref.copy()
        out[1, 0, 3], theirs = value, ref.copy()
        theirs[1, 0, 3] = reference
        found = compared((out, theirs, limits), lenient=True)
        assert found["ok"] == (value in right or (value != value and reference != reference)), (value, found)
        assert found["wrong"] == ([] if found["ok"] else [0]) and found["sqnr_db"] == 200.0
        out[1, 1, 3] += 1  # beside it every limit holds
        assert compared((out, theirs, limits))["lost"] == [{"output": 0, "axis": 1, "index": 3}]


def test_a_value_is_apart_where_its_reference_is_and_nowhere_else(compared):
    out, ref = pair((4,))
    ref[0, 0] = out[0, 0] = -1e9
    out[2, 1] = -1e9  # large, and its reference is not
    found = compared((out, ref, {"apart": 1000.0, "slices": [along(0, [9.0] * 4)]}))
    assert found["lost"] == [{"output": 0, "axis": 0, "index": 1}] and found["failed"] == [2]


@pytest.mark.parametrize("value", [NAN, INF, 1e9])
def test_what_does_not_count_is_in_no_sum(compared, value):
    out, ref = pair((3, 4), noise=0.0)
    mask = numpy.ones(ref.shape, "uint8")
    mask[1, 2, :2] = 0
    out[1, 2, :2] = value
    tight = {"noise": 0.0, "error": 0.0, "slices": [along(0, [0.0] * 3)]}
    found = compared((out, ref, tight), masks=[(0, mask)])
    assert found["ok"] and found["sqnr_db"] == 200.0
    assert not compared((out, ref, tight))["ok"]
    out[1, 2, 2] = value
    assert not compared((out, ref, tight), masks=[(0, mask)])["ok"]


def test_a_reference_that_does_not_count_may_be_anything(compared):
    out, ref = pair((4,), noise=0.0)
    mask = (numpy.arange(4) > 0).astype("uint8") * numpy.ones((3, 1), "uint8")
    ref[:, 0] = NAN
    assert compared((out, ref, {"noise": 0.0, "error": 0.0, "apart": 1.0}), masks=[(0, mask)])["ok"]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (numpy.ones((3, 5), "uint8"), "counts_0 has samples of shape"),
        (numpy.ones((3, 4), "int8"), "counts_0 is int8"),
        (numpy.ones((2, 4), "uint8"), "references: 2 for 3 outputs"),
    ],
)
def test_a_mask_that_does_not_fit(compared, mask, message):
    out, ref = pair((4,))
    with pytest.raises(AgentError, match=message) as caught:
        compared((out, ref, {}), masks=[(0, mask)])
    assert caught.value.code == "bad-argument"


@pytest.mark.parametrize(
    "kinds", [("int64", "int64"), ("int32", "int64"), ("bool", "bool"), ("uint8", "bool")]
)
def test_classes_are_equal_or_not(compared, kinds):
    random = numpy.random.default_rng(3)
    ref = random.integers(0, 2, (4, 25)).astype(kinds[1])
    out = ref.astype(kinds[0])
    for golden, place in ((0, 3), (2, 5), (2, 6)):
        out[golden, place] = 1 - out[golden, place].astype("int8")
    limits = {**CLASSES, "unequal": 3}
    found = compared((out, ref, limits))
    assert found["ok"] and found["failed"] == []
    assert found["sqnr_db"] == pytest.approx(10 * math.log10(100 / 3)) and found["relative"] == 1.0
    found = compared((out, ref, {**limits, "unequal": 2}), lenient=True)
    assert not found["ok"] and found["wrong"] == [0] and set(found["failed"]) <= {0, 2}
    mask = numpy.ones(ref.shape, "uint8")
    mask[2, 6] = 0
    assert compared((out, ref, {**limits, "unequal": 2}), masks=[(0, mask)])["ok"]


def test_classes_give_no_figure_where_there_are_real_values(compared):
    labels = numpy.arange(6).reshape(2, 3)
    found = compared((labels[::-1], labels, {**CLASSES, "unequal": 9}), (*pair((3,), count=2, noise=0.0), {}))
    assert found["ok"] and found["sqnr_db"] == 200.0 and found["relative"] == 0.0


def test_it_stops_early_and_says_when(compared):
    out, ref = pair((4,), count=10, noise=0.0)
    out[3, 1] += 1
    found = compared((out, ref, {"slices": [along(0, [0.5] * 4)]}), (out, ref, {}))
    assert not found["ok"] and found["compared"] == 4 and found["failed"] == [3]
    figures = [set(row) for row in found["by_output"]]
    assert figures[0] == {"sqnr_db", "relative"} < figures[1]  # the limits are of all goldens
    for limits in ({"noise": 0.5}, {"error": 0.5}):
        found = compared((out, ref, limits))
        assert found["low"] == [0] and found["failed"] == [3] and "compared" not in found, limits
    out[3, 1] = NAN
    assert compared((out, ref, {}))["compared"] == 4
    out[3, 1], out[9, 1] = ref[3, 1], NAN
    assert "compared" not in compared((out, ref, {}))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_of_every_width(compared, dtype):
    out, ref = (one.astype(dtype) for one in pair((6,)))
    sums = squares(out, ref).sum(axis=0)
    found = compared((out, ref, {"slices": [along(0, sums * (1 + 1e-6))]}))
    assert found["ok"] and found["by_output"][0]["sqnr_db"] == pytest.approx(
        10 * math.log10((ref.astype("float64") ** 2).sum() / sums.sum()), abs=1e-6
    )
    assert not compared((out, ref, {"slices": [along(0, sums * 0.999)]}))["ok"]


@pytest.mark.parametrize("same", [True, False])
def test_integers_with_a_scale_are_real_values(compared, same):
    """Their references are integers of the same scale, or floats."""
    spec = {"scale": 0.5, "zero_point": 3}
    out = numpy.array([[3, 5, 7]], "int8")
    ref = numpy.array([[3, 4, 7]], "int8") if same else numpy.array([[0.0, 0.5, 2.0]], "float32")
    found = compared(
        (out, ref, {"noise": 0.25, "error": 0.5, "slices": [along(0, [0.0, 0.25, 0.0])]}), spec=spec
    )
    assert found["ok"] and found["relative"] == 0.25
    assert compared((out, ref, {"slices": [along(0, [0.0, 0.24, 0.0])]}), spec=spec)["lost"]


def test_outputs_without_a_value(compared):
    """Limits of a shape with a 0 in it test nothing, and do no harm."""
    out = numpy.zeros((2, 0, 4, 0), "float32")
    slices = [along(0, []), along(1, [0.0] * 4), along(2, [])]
    assert compared((out, out, {"noise": 0.0, "error": 0.0, "slices": slices}))["ok"]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_ok_is_what_numpy_says(tmp_path_factory, data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    count = data.draw(st.integers(1, 4))
    out, ref = pair(shape, count, data.draw(st.integers(0, 99)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    sums = squares(out, ref).sum(axis=tuple(one for one in range(len(shape) + 1) if one != axis + 1))
    factors = [data.draw(st.sampled_from([None, 0.5, 0.99, 1.01, 2.0])) for _ in sums]
    noise, error = (data.draw(st.sampled_from([0.99, 1.01])) for _ in range(2))
    lenient = data.draw(st.booleans())
    slices = [along(axis, [factor and factor * limit for factor, limit in zip(factors, sums, strict=True)])]
    limits = {**WIDE, "noise": noise * sums.sum(), "slices": slices}
    limits["error"] = error * float(numpy.sqrt(squares(out, ref).max()))
    folder = tmp_path_factory.getbasetemp()
    numpy.savez(folder / "o.npz", output_0=out)
    numpy.savez(folder / "g.npz", output_0=ref)
    spec = {"name": "y", "shape": shape, "dtype": "float32"}
    manifest = {"schema": 2, "outputs": [spec], "verdict": [{"limits": limits}], "goldens": {}}
    found = verify.compare(str(folder / "o.npz"), str(folder / "g.npz"), manifest, lenient)
    lost = any(factor is not None and factor < 1 for factor in factors)
    low = noise < 1 or error < 1
    assert found["ok"] == (not lost and (lenient or not low)), found
    assert found["ok"] == (not found["failed"]) or lenient


def test_schema_1_is_judged_by_its_tolerance(tmp_path):
    """Even where a verdict is there, and whatever `lenient` says."""
    out, ref = pair((4,))
    numpy.savez(tmp_path / "o.npz", output_0=out)
    numpy.savez(tmp_path / "g.npz", output_0=ref)
    spec = {"name": "y", "shape": [4], "dtype": "float32"}
    for sqnr_db, ok in ((10.0, True), (30.0, False)):
        tolerance = {"sqnr_db": sqnr_db, "relative": 1.0}
        manifest = {"schema": 1, "outputs": [spec], "goldens": {"tolerance": tolerance}}
        manifest["verdict"] = [{"limits": {**WIDE, "noise": 0.0 if ok else 1e9}}]
        found = verify.compare(str(tmp_path / "o.npz"), str(tmp_path / "g.npz"), manifest, lenient=True)
        assert found["ok"] == ok and set(found) == {"ok", "sqnr_db", "relative", "failed"}


def test_one_golden_is_in_memory_at_a_time(compared):
    out, ref = pair((40, 200), count=12)
    compared((out, ref, {}))  # what is imported at first use
    tracemalloc.start()
    try:
        assert compared((out, ref, {"slices": [along(0, [1e9] * 40)]}))["ok"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 200 * 100, f"{peak} bytes for a golden of {40 * 200} values"
