"""The engine and the preset for an int8 that loses too much, on judges that are plain functions of the move."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from edgewright.api.precision_search import nothing_made
from edgewright.compile.graph.float_groups import Keepable
from edgewright.errors import Exit
from edgewright.measure.search import engine, fallback
from edgewright.measure.search.engine import Limits, Move, Preset, SearchResult, Verdict, search

ALL = fallback.Choices(
    precisions=("fp32", "fp16", "int8", "int8-mixed", "int16x8"), methods=("minmax", "entropy")
)
NAMES = [f"layer{index}" for index in range(10)]


def judge(noise: dict[str, float], least_db: float, *, fp16_db: float = 60.0) -> Callable[[Move], Verdict]:
    """Each layer adds its own noise unless it is kept in floats; `entropy` halves that of the activations."""
    import math

    def judged(move: Move) -> Verdict:
        kept = move.settings["keep_float"]
        level = sum(value for name, value in noise.items() if name not in kept)
        level *= 0.5 if move.settings["calibration_method"] == "entropy" else 1.0
        sqnr = -10 * math.log10(level + 1e-12)
        sqnr = {"fp32": 120.0, "fp16": fp16_db, "int16x8": sqnr + 6}.get(move.settings["precision"], sqnr)
        ok = sqnr >= least_db
        rank = (-fallback.cost(move.settings, len(noise)),) if ok else (sqnr,)
        return Verdict(
            ok=ok, rank=rank, figures={"sqnr_db": sqnr}, artifact=move.label, why="" if ok else "far"
        )

    return judged


def listed(names: list[str]) -> Callable[[Move], Keepable]:
    def to_keep(move: Move) -> Keepable:
        assert move.settings["precision"] == "fp32"
        return Keepable(layers=tuple(names))

    return to_keep


def run(
    noise: dict[str, float], least_db: float, limits: Limits | None = None, choices: fallback.Choices = ALL
) -> SearchResult:
    return search(fallback.moves(choices, listed(list(noise))), judge(noise, least_db), limits or Limits())


def kept(found: SearchResult) -> tuple[str, ...]:
    assert found.best is not None
    keep: tuple[str, ...] = found.best.move.settings["keep_float"]
    return keep


def test_int8_that_is_good_enough_is_taken_at_once() -> None:
    found = run(dict.fromkeys(NAMES, 1e-4), 20)
    assert [trial.move.label for trial in found.trials] == ["int8, minmax"]
    assert found.stopped == engine.SATISFIED


def test_another_calibration_method_comes_before_floats() -> None:
    found = run(dict.fromkeys(NAMES, 0.0018), 20)
    assert [trial.move.label for trial in found.trials] == ["int8, minmax", "int8, entropy"]


def test_the_one_bad_layer_is_found() -> None:
    found = run({**dict.fromkeys(NAMES, 1e-4), "layer6": 0.5}, 20)
    assert kept(found) == ("layer6",)
    assert found.best is not None
    assert found.best.move.settings["precision"] == "int8-mixed"


@pytest.mark.parametrize("bad", [2, 3, 5])
def test_as_few_layers_as_will_do_stay_in_floats(bad: int) -> None:
    noise = {**dict.fromkeys(NAMES, 1e-4), **{f"layer{index}": 0.1 + index / 100 for index in range(bad)}}
    found = run(noise, 20)
    assert set(kept(found)) == {f"layer{index}" for index in range(bad)}
    labels = [trial.move.label for trial in found.trials]
    assert len(labels) == len(set(labels))


def test_of_many_layers_blocks_are_tried_first() -> None:
    names = [f"layer{index:02}" for index in range(40)]
    found = run({**dict.fromkeys(names, 1e-5), "layer33": 0.5}, 20)
    assert found.best is not None
    assert kept(found) == ("layer33",)
    assert len(found.trials) < 20


def test_sixteen_bits_then_floats_when_no_choice_of_layers_will_do() -> None:
    few = dict.fromkeys(NAMES, 1e-3)
    assert [run(few, db).best.move.settings["precision"] for db in (28, 40, 70)] == [
        "int16x8",
        "fp16",
        "fp32",
    ]  # type: ignore[union-attr]
    assert run(few, 130).stopped == engine.EXHAUSTED


def test_what_a_target_lacks_is_not_tried() -> None:
    only = fallback.Choices(precisions=("fp32", "fp16", "int8"), methods=("minmax",))
    labels = [trial.move.label for trial in run(dict.fromkeys(NAMES, 0.1), 40, choices=only).trials]
    assert labels == ["int8, minmax", "fp32", "fp16"]


def test_layers_have_names_where_floats_are_not_wanted() -> None:
    only = fallback.Choices(precisions=("int8", "int8-mixed", "int16x8"), methods=("minmax",))
    found = run({**dict.fromkeys(NAMES, 1e-4), "layer6": 0.5}, 20, choices=only)
    assert kept(found) == ("layer6",)
    assert "fp32" not in [trial.move.label for trial in found.trials]


def test_the_same_verdicts_give_the_same_moves() -> None:
    noise = {name: 0.01 * (index % 3) for index, name in enumerate(NAMES)}
    first, second = (run(noise, 22) for _ in range(2))
    assert [trial.move for trial in first.trials] == [trial.move for trial in second.trials]


def test_trials_used_up_give_the_best_so_far() -> None:
    found = run({**dict.fromkeys(NAMES, 1e-3), "layer6": 0.5}, 20, Limits(trials=2))
    assert (found.stopped, len(found.trials)) == (engine.TRIALS, 2)
    assert found.best is not None
    assert not found.best.verdict.ok
    assert found.best.move.label == "int8, entropy"


def test_no_trial_is_begun_after_the_time() -> None:
    found = run(dict.fromkeys(NAMES, 1.0), 20, Limits(seconds=0.0))
    assert (found.stopped, found.trials, found.best) == (engine.TIME, (), None)


def test_ctrl_c_gives_the_best_so_far() -> None:
    counter = itertools.count()
    inner = judge(dict.fromkeys(NAMES, 0.1), 20)

    def interrupted(move: Move) -> Verdict:
        if next(counter) == 3:
            raise KeyboardInterrupt
        return inner(move)

    found = search(fallback.moves(ALL, listed(NAMES)), interrupted, Limits())
    assert (found.stopped, len(found.trials)) == (engine.STOPPED, 3)
    assert found.best is not None
    assert found.best.move.label == "fp32"


def test_ctrl_c_before_there_is_anything_is_an_abort() -> None:
    nothing = SearchResult(best=None, trials=(), stopped=engine.STOPPED)
    assert nothing_made(nothing).exit_code == Exit.ABORTED
    assert nothing_made(SearchResult(best=None, trials=(), stopped=engine.TIME)).exit_code == Exit.ERROR


def test_a_move_without_an_artifact_is_never_the_best() -> None:
    def preset() -> Preset:
        yield Move(label="crash")
        yield Move(label="poor")

    verdicts = {
        "crash": Verdict(ok=False, rank=(9.0,), why="worker died"),
        "poor": Verdict(ok=False, rank=(1.0,), artifact="x"),
    }
    found = search(preset(), lambda move: verdicts[move.label], Limits())
    assert found.best is not None
    assert found.best.move.label == "poor"
