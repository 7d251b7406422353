"""What a bound cuts off takes no steps from what comes through."""

from __future__ import annotations

from edgewright.compile.graph.clipped_ranges import narrowed

SPANS = {"a": (-500.0, 500.0), "b": (0.0, 1.0), "j": (-500.0, 500.0), "y": (0.0, 6.0)}
JOINED = [("Concat", ["a", "b"], ["j"]), ("Clip", ["j"], ["y"])]


def test_what_is_joined_before_a_bound() -> None:
    assert narrowed(JOINED, SPANS, {"y"}) == {"a": (0.0, 6.0), "j": (0.0, 6.0)}


def test_not_where_all_of_it_counts() -> None:
    assert narrowed(JOINED, SPANS, {"y", "a"}) == {"j": (0.0, 6.0)}
    assert narrowed([*JOINED, ("Mul", ["a", "b"], ["z"])], SPANS, {"y"}) == {"j": (0.0, 6.0)}
    assert narrowed(JOINED, {**SPANS, "y": (-400.0, 6.0)}, {"y"}) == {}  # a little less wide
    assert narrowed([("Max", ["a", "b"], ["y"])], SPANS, {"y"}) == {}  # no constant bound


def test_several_readers_need_all_that_any_of_them_lets_through() -> None:
    steps = [("Relu6", ["a"], ["y"]), ("Relu_n1_to_1", ["a"], ["z"])]
    assert narrowed(steps, {**SPANS, "z": (-1.0, 1.0)}, {"y", "z"}) == {"a": (-1.0, 6.0)}


def test_a_part_of_a_split_that_no_bound_follows_keeps_the_range_of_the_whole() -> None:
    spans = {**SPANS, "p": (-500.0, 500.0), "q": (-400.0, 300.0)}
    split = [("Split", ["a"], ["p", "q"]), ("Relu6", ["p"], ["y"])]
    assert narrowed([*split, ("Mul", ["q"], ["z"])], spans, {"y", "z"}) == {"p": (0.0, 6.0)}
    assert narrowed(split, spans, {"y", "q"}) == {"p": (0.0, 6.0)}
    assert narrowed(split, spans, {"y"}) == {"p": (0.0, 6.0)}  # nothing reads `q`: it may be anything
    both = [*split, ("Relu6", ["q"], ["z"])]
    assert narrowed(both, {**spans, "z": (0.0, 6.0)}, {"y", "z"}) == dict.fromkeys("apq", (0.0, 6.0))
