"""Mistakes in the data that both source and artifact get. No comparison of the two can find them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import numpy as np

from edgewright.compile.data.data_hash import calibration_of
from edgewright.compile.pipeline import compile_model
from edgewright.compile.request import CompileRequest
from edgewright.errors import EdgewrightError
from edgewright.nouns.model_input import ModelInput
from truth import judging
from truth.store import Before, Key
from truth.trials import Trials

_PRECISION = "int8"
_MAX_DROP = 0.02
KINDS: dict[str, Callable[[Any], Any]] = {
    "calibration data 255 times too large": lambda pool: pool * 255,
    "calibration data 255 times too small": lambda pool: pool / 255,
    "calibration data shifted, their mean not subtracted": lambda pool: pool + pool.std(),
    "calibration data with red for blue": lambda pool: pool[..., ::-1].copy(),
}


def tried_before(tried: Trials, target: str) -> None:
    """Each mistake in the calibration data of an int8 artifact, evaluated on right data; for cases with labels."""
    case = tried.case
    key = Key(case.name, target, _PRECISION)
    known = {one.kind for one in tried.store.of(key, Before)}
    if case.labels is None or len(case.pool) != 1 or not tried.store.of(key, object):
        return
    for kind, change in KINDS.items():
        if kind not in known and _fits(kind, case.pool[0], colours=case.colours):
            judging.keep(tried.archive.of(key), _tried(tried, key, kind, change))
    tried.store.put(key, [*judging.rows(tried.archive, key)])


def _fits(kind: str, pool: Any, *, colours: bool) -> bool:
    if "red" in kind:
        return colours
    within = float(pool.max()) <= 1 and float(pool.min()) >= -1
    return ("too large" in kind) == within if "255" in kind else pool.dtype == np.float32


def _tried(tried: Trials, key: Key, kind: str, change: Callable[[Any], Any]) -> Before:
    case, file, held = tried.case, tried.folder / "before.npz", tried.folder / "before-held.npz"
    np.savez(file, input_0=change(case.pool[0]))
    assert case.labels is not None  # noqa: S101
    np.savez(held, input_0=case.inputs[0][: tried.count], labels=case.labels[: tried.count])
    host, changed, noted, evaluation = "", -1, 0, 0
    try:
        made = compile_model(_request(tried, key, file), workers=tried.workers)
        changed = tried.changed_by(made)
    except EdgewrightError as error:
        host = error.code or "error"
    try:
        manifest = compile_model(_request(tried, key, file, held), workers=tried.workers).manifest
        noted = int(any("range" in note or note.startswith("evaluation set") for note in manifest.notes))
        evaluation = int(manifest.accuracy is not None and (manifest.accuracy.drop or 0) > _MAX_DROP)
    except EdgewrightError as error:
        evaluation = 1
        measuring.say(f"{' '.join(key)}, {kind}: {error.message}")
    return Before(kind, changed, host, noted, evaluation)


def _request(tried: Trials, key: Key, file: Path, evaluation: Path | None = None) -> CompileRequest:
    return CompileRequest(
        model=ModelInput(
            source=tried.case.file, shapes=tried.case.shapes, calibration=calibration_of(file), evaluation=evaluation
        ),
        target=key.target, precision=key.precision, use_cache=False,
    )  # fmt: skip
