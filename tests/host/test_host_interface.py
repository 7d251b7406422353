"""A release's interface compared with the incumbent's: which changes are refused, which are only noted, and which are no change."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from edgewright.api import history_notes
from edgewright.deployments import gate, interface
from edgewright.deployments.incumbent import Incumbent, IncumbentInterfaces
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.interface import Interface
from edgewright.nouns.outcome import COMMITTED, BoardOutcome, Check
from edgewright.store.history import History, accepted
from edgewright.wire.answers import Status, StatusModel


def spec(name: str, shape: tuple[int, ...] = (1, 4), dtype: str = "float32", **scale: float) -> TensorSpec:
    return msgspec.convert({"name": name, "shape": shape, "dtype": dtype, **scale}, TensorSpec)


def found(mine: list[TensorSpec], theirs: list[TensorSpec], *, allowed: bool = False) -> list[Check]:
    """The checks of a release whose outputs are `mine` on one whose outputs are `theirs`."""
    here, there = (Interface(inputs=(spec("x"),), outputs=tuple(specs)) for specs in (mine, theirs))
    return interface.checks(here, there, "1-aaaaaaaa", accepted=allowed)


@pytest.mark.parametrize(
    ("mine", "theirs", "why"),
    [
        ([spec("a")], [spec("a"), spec("b")], "1 output: a (was 2: a, b)"),
        ([spec("a", (1, 5))], [spec("a")], "output 0 (a) is float32 [1, 5] (was float32 [1, 4])"),
        ([spec("a", dtype="int8", scale=0.1, zero_point=3)], [spec("a")], "output 0 (a) is int8 [1, 4] (was"),
        ([spec("b"), spec("a")], [spec("a"), spec("b")], "outputs are in another order: b, a (was a, b)"),
        ([spec("b:0"), spec("a:0")], [spec("serving_default_a"), spec("b_3")], "another order"),
        ([spec("b"), spec("c"), spec("a")], [spec("a"), spec("b"), spec("c")], "another order"),
        ([spec("d_2"), spec("d_1")], [spec("d_1"), spec("d_2")], "another order"),
    ],
)
def test_what_breaks_an_application_refuses_unless_it_is_accepted(
    mine: list[TensorSpec], theirs: list[TensorSpec], why: str
) -> None:
    refused, allowed = found(mine, theirs), found(mine, theirs, allowed=True)
    assert why in gate.refusal(refused) and "1-aaaaaaaa" in gate.refusal(refused)
    assert not gate.refusal(allowed) and allowed[0].note == f"accepted: {refused[0].note}"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ([spec("a")], [spec("a")]),
        ([spec("scores_12")], [spec("scores:0")]),
        ([spec("StatefulPartitionedCall:1"), spec("Identity")], [spec("Identity"), spec("Identity_1")]),
        ([spec("dense_2"), spec("dense_3")], [spec("dense_1"), spec("dense_2")]),  # trained in one process
        ([spec("serving_default_input_1:0")], [spec("input.7")]),
        # what an earlier version's artifacts had, the converters' names, on the source's
        ([spec("scores"), spec("boxes")], [spec("Identity_3"), spec("StatefulPartitionedCall:1")]),
        ([spec("image")], [spec("serving_default_args_0:0")]),
        ([spec("scores")], [spec("serving_default_output_0_output")]),
        ([spec("scores")], [spec("scores_dequant")]),
        ([spec("scores")], [spec("Identity_dequant")]),
        # names without a meaning
        ([spec("Identity"), spec("Identity_1")], [spec("Identity_1"), spec("Identity")]),
        (
            [spec("PartitionedCall:1"), spec("PartitionedCall:0")],
            [spec("PartitionedCall:0"), spec("PartitionedCall:1")],
        ),
        (
            [spec("keras_tensor_12"), spec("keras_tensor_13")],
            [spec("keras_tensor_13"), spec("keras_tensor_12")],
        ),
        ([spec("output_0"), spec("output_1")], [spec("output_1"), spec("output_0")]),
    ],
)
def test_what_converters_and_frameworks_count_is_no_change(
    mine: list[TensorSpec], theirs: list[TensorSpec]
) -> None:
    assert found(mine, theirs) == []


def test_names_and_scales_are_noted() -> None:
    integers = [spec("a", dtype="int8", scale=scale, zero_point=3) for scale in (0.1, 0.2)]
    (scaled,) = found(integers[:1], integers[1:])
    assert (
        scaled.ok and "output 0 (a) has scale 0.1, zero point 3 (was scale 0.2, zero point 3)" in scaled.note
    )
    (renamed,) = found([spec("boxes")], [spec("places")])
    assert renamed.ok and "output 0 is named boxes (was places)" in renamed.note


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (["sigmoid", "linear_5"], ["linear_4", "sigmoid"]),  # torch numbers its operators
        (["b", "c"], ["a", "b"]),  # nobody knows where a is
        (["b", "Identity"], ["Identity", "b"]),
    ],
)
def test_one_name_at_another_place_is_noted_and_does_not_refuse(mine: list[str], theirs: list[str]) -> None:
    (check,) = found([spec(name) for name in mine], [spec(name) for name in theirs])
    assert check.ok and f"output 0 is named {mine[0]} (was {theirs[0]})" in check.note


def test_many_differences_are_one_short_line() -> None:
    wide = found([spec(f"o{n}x", (1, 5)) for n in range(9)], [spec(f"o{n}x") for n in range(9)])
    assert wide[0].note.endswith("; and 5 more") and len(wide) == 1


def test_the_names_of_many_outputs_are_not_all_listed() -> None:
    (check,) = found([spec(f"{'head_' * 60}{n}") for n in range(300)], [spec("a")])
    assert "300 outputs" in check.note and "and 292 more" in check.note and len(check.note) < 1200


def test_history_knows_an_interface_and_the_changes_that_were_accepted(home: object) -> None:
    mine = Interface(inputs=(spec("x"),), outputs=(spec("y", (1, 5)),))
    changed = BoardOutcome(
        board="b", outcome=COMMITTED, model="m", release="2-bbbbbbbb", artifact="b" * 64, interface=mine,
        checks=tuple(found([spec("y", (1, 5))], [spec("y")], allowed=True)),
    )  # fmt: skip
    key, other = ("b", "m", "2-bbbbbbbb"), ("b", "m", "1-aaaaaaaa")
    history = History()
    assert history.accepted_changes("f", {key}) == {}
    history.record("deploy", "f", "2", [changed])
    assert history.interface("b" * 64) == mine and history.interface("c" * 64) is None
    known = history.accepted_changes("f", {key, other, ("another", *key[1:])})
    assert list(known) == [key] and "was float32 [1, 4]" in known[key]
    assert accepted(history.events()[0]).startswith("interface: accepted: differs")
    # later events of the artifact that have no interface: a rollback's, and those of the release before
    history.record("rollback", "f", "2", [msgspec.structs.replace(changed, interface=None, checks=())] * 30)
    history.record("deploy", "f", "2", [msgspec.structs.replace(changed, interface=None, checks=())] * 30)
    assert history.interface("b" * 64) == mine and history.accepted_changes("f", {key}) == known
    history.close()


def test_status_asks_the_history_once_and_does_not_wait_for_it(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, queries = History(), []
    check = Check(name=interface.INTERFACE, ok=True, note="accepted: differs")
    boards = [f"b{number}" for number in range(9)]
    history.record(
        "deploy", "f", "2",
        [BoardOutcome(board=board, outcome=COMMITTED, model="m", release="2-b", checks=(check,)) for board in boards],
    )  # fmt: skip
    history.close()
    status = Status(models={"m": StatusModel(current="2-b")}, lease=None, problem="")
    answers: list[Any] = [
        SimpleNamespace(board=SimpleNamespace(name=board), board_id="", value=status) for board in boards
    ]
    begin = History._begin
    monkeypatch.setattr(History, "_begin", lambda self: queries.append(self) or begin(self))
    lines = history_notes.notes_of(answers, "f").lines()
    assert len(lines) == len(boards) and lines[0] == "b0: m 2-b: interface: accepted: differs"
    assert len(queries) == 3  # however many boards there are
    monkeypatch.setenv("EDGEWRIGHT_HISTORY", "nosuchdatabase://host/name")
    assert "does not answer" in history_notes.notes_of(answers, "f").lines()[0]
    hold = threading.Event()
    monkeypatch.setattr(History, "_begin", lambda _: hold.wait(20))
    monkeypatch.setattr(history_notes, "HISTORY_SECONDS", 0.1)
    assert "does not answer" in history_notes.notes_of(answers, "f").lines()[0]
    hold.set()


def test_an_incumbents_interface_is_looked_up_once_a_deployment(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, asked = Interface(inputs=(spec("x"),), outputs=(spec("y"),)), []
    monkeypatch.setattr(History, "interface", lambda _, artifact: asked.append(artifact) or mine)
    known = IncumbentInterfaces(History())
    for _ in range(3):
        assert known.of(None, "m", Incumbent("1-a", "a" * 64)) == mine  # type: ignore[arg-type]
    assert asked == ["a" * 64]
