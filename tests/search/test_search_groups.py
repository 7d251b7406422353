"""The search with groups of nodes without weights: when they are tried, and what goes on with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgewright.compile.graph.float_groups import ENDS, MASKS, FloatGroup, Keepable
from edgewright.measure.search import fallback
from edgewright.measure.search.engine import Limits, Move, Verdict, search

ALL = fallback.Choices(precisions=("fp32", "int8", "int8-mixed"), methods=("minmax",))
JOINS = FloatGroup(kind=ENDS, words="what joins output pred", names=("cat", "rows"))
MASK = FloatGroup(kind=MASKS, words="what masks the Softmax", names=("add", "soft"))
LAYERS = ("a", "b", "c")


def judge(needed: set[str], *, coarse: set[str] = frozenset()) -> Callable[[Move], Verdict]:  # type: ignore[assignment]
    """Good once all that is needed stays in floats, 5 dB nearer for each; too few levels until `coarse` does."""

    def judged(move: Move) -> Verdict:
        if move.settings["precision"] == "fp32":
            return Verdict(ok=False, artifact="fp32")
        kept = set(move.settings["keep_float"])
        figures: dict[str, float | None] = {"sqnr_db": 5.0 * len(needed & kept)}
        code = "levels" if coarse - kept else "parity"
        return Verdict(ok=needed <= kept, figures=figures, code="" if needed <= kept else code)

    return judged


def tried(judged: Callable[[Move], Verdict], *groups: FloatGroup) -> list[str]:
    found = search(
        fallback.moves(ALL, lambda _: Keepable(layers=LAYERS, groups=groups)), judged, Limits(trials=12)
    )
    return [trial.move.label.removeprefix("int8-mixed, minmax, in floats: ") for trial in found.trials[2:]]


def test_too_few_levels_ask_for_the_ends_first() -> None:
    assert tried(judge(set(JOINS.names), coarse={"cat"}), MASK, JOINS) == ["what joins output pred"]


def test_without_ends_too_few_levels_go_on_with_layers() -> None:
    assert tried(judge({"a"}, coarse={"a"}), MASK) == ["a"]


def test_any_other_failure_asks_for_the_masks_first() -> None:
    assert tried(judge(set(MASK.names)), JOINS, MASK) == ["what masks the Softmax"]
    assert tried(judge(set(JOINS.names)), JOINS, MASK) == ["what masks the Softmax", "what joins output pred"]


@pytest.mark.parametrize("coarse", [True, False])
def test_then_all_groups_together(coarse: bool) -> None:
    needed = {*MASK.names, *JOINS.names}
    labels = tried(judge(needed, coarse={"cat"} if coarse else set()), JOINS, MASK)
    assert labels[-1] == "what joins output pred, what masks the Softmax"
    assert len(labels) == (2 if coarse else 3)


def test_layers_are_tried_with_the_group_that_helps() -> None:
    assert tried(judge({*MASK.names, "c"}), JOINS, MASK) == [
        "what masks the Softmax",
        "what joins output pred",
        "what joins output pred, what masks the Softmax",
        "what masks the Softmax; a",
        "what masks the Softmax; c",
    ]


def test_and_without_one_that_does_not() -> None:
    assert tried(judge({"a"}), MASK) == ["what masks the Softmax", "a"]


def test_levels_that_are_found_again_count_as_a_help() -> None:
    assert tried(judge({"b"}, coarse={"cat"}), JOINS)[:2] == [
        "what joins output pred",
        "what joins output pred; a",
    ]


def test_a_layer_of_the_group_is_not_tried_again() -> None:
    with_a = FloatGroup(kind=MASKS, words="what masks the Softmax", names=("add", "a"))
    labels = tried(judge({"add", "a", "c"}), with_a)
    assert labels == ["what masks the Softmax", "what masks the Softmax; b", "what masks the Softmax; c"]
