"""Rows of the results from recordings: all verdicts on an artifact, on faults in it, on other kernels."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgewright.compile.data import goldens
from edgewright.compile.quality.artifact_check import Subject
from truth import counts, replay, verdicts
from truth.recorded import SOUND, Archive, Asked, Recording, load
from truth.store import Any_, Before, Done, Fault, Kernel, Key, Made, Sound, Store
from truth.verdicts import Said

ROWS = "rows.json"  # rows without a recording to judge: costs, failed conversions, mistakes in data
DRAWS = 2  # of other goldens, from the samples that are recorded


def again(archive: Archive, store: Store, models: list[str]) -> None:
    """Judges all recordings and replaces the existing rows."""
    for model in models:
        for place in sorted((archive.folder / model).glob("* *")):
            target, _, precision = place.name.partition(" ")
            key = Key(model, target, precision)
            if " " not in precision:
                store.put(key, [*rows(archive, key)])


def rows(archive: Archive, key: Key) -> Iterator[Any_]:
    """Every row of an artifact."""
    place = archive.of(key)
    others = _others(place)
    own = [*_sounds(archive, key)]
    refused = next((row.refused for row in own if row.goldens == "own" and row.data == "all"), "")
    for row in others:
        if isinstance(row, Made) and (place / f"{SOUND}.npz").exists():
            row = msgspec.structs.replace(row, refused=f"parity: {refused}" if refused else "")
        yield row
    yield from own
    if not (place / f"{SOUND}.npz").exists():
        return
    subject, asked = archive.subject(key)
    sound = load(place / f"{SOUND}.npz")
    limits = verdict(subject, asked, sound).verdict
    for file in () if refused else sorted(place.glob("fault-*.npz"), key=lambda one: one.stat().st_mtime):
        yield _fault(subject, asked, load(file), limits)
    for file in () if refused else sorted(place.glob("kernels-*.npz")):  # not available
        yield _kernels(subject, asked, load(file), sound, limits)


def done(place: Path) -> list[Done]:
    """The trials of an artifact that were completed."""
    return [row for row in _others(place) if isinstance(row, Done)]


def keep(place: Path, row: Made | Before | Done) -> None:
    """Keeps a row that has no recording."""
    place.mkdir(parents=True, exist_ok=True)
    kept = [one for one in _others(place) if not _same(one, row)]
    (place / ROWS).write_bytes(msgspec.json.encode([*kept, row]))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and getattr(one, "kind", "") == getattr(other, "kind", "")


def _others(place: Path) -> list[Any]:
    file = place / ROWS
    return msgspec.json.decode(file.read_bytes(), type=list[Made | Before | Done]) if file.exists() else []


def verdict(subject: Subject, asked: Asked, one: Recording, limits: Any = ()) -> Said:
    """The verdicts on a recording."""
    workers = replay.Replay(asked, one, subject.specs)
    with workers.there():
        return verdicts.verdicts(workers, subject, limits)


def _sounds(archive: Archive, key: Key) -> Iterator[Sound]:
    place = archive.of(key)
    for folder in sorted(place.parent.glob(f"{place.name}*")):
        variant = folder.name.removeprefix(place.name).strip()
        if (variant and not folder.name.startswith(f"{place.name} ")) or not (folder / f"{SOUND}.npz").exists():  # fmt: skip
            continue
        subject, asked = archive.subject(key._replace(precision=f"{key.precision} {variant}".strip()))
        one = load(folder / f"{SOUND}.npz")
        data, own = ("all", "random") if variant == "random" else (variant or "all", "own")
        yield _sound(subject, asked, one, own, data)
        for draw in range(DRAWS if own == "own" else 0):
            with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as scratch:
                file = Path(scratch) / "goldens.npz"
                _draw(file, asked, subject, draw)
                yield _sound(subject._replace(goldens=file), asked, one, f"other{draw}", data)


def _draw(file: Path, asked: Asked, subject: Subject, draw: int) -> None:
    """Goldens from other samples."""
    there = replay.samples(asked)
    count = subject.manifest.goldens.count
    places = np.sort(np.random.default_rng(draw).permutation(len(there.answers[0]))[:count])
    goldens.save(file, [array[places] for array in there.inputs], [array[places] for array in there.answers])


def _sound(subject: Subject, asked: Asked, one: Recording, own: str, data: str) -> Sound:
    said = verdict(subject, asked, one)
    return Sound(own, data, one.facts.changed, one.facts.lost, round(said.sqnr_db, 1), round(said.following_db, 1),
                 said.words, int(said.outweighed))  # fmt: skip


def _fault(subject: Subject, asked: Asked, one: Recording, limits: Any) -> Fault:
    facts = one.facts
    if facts.changed < 0:
        return Fault(facts.kind, facts.seed, -1, None, detail=facts.detail)
    said = verdict(subject, asked, one, limits)
    row = Fault(facts.kind, facts.seed, facts.changed, facts.lost, said.host, int(said.board),
                round(said.sqnr_db, 1), round(said.following_db, 1), facts.detail)  # fmt: skip
    if not counts.real(row) or (said.host and said.board):
        row = msgspec.structs.replace(row, detail="")
    return row


def _kernels(subject: Subject, asked: Asked, one: Recording, sound: Recording, limits: Any) -> Kernel:
    facts = one.facts
    if facts.failed:
        return Kernel(facts.kind, 0, failed=facts.failed)
    _, references = goldens.load(asked.goldens, 0, len(one.answers))
    count, specs = len(references[0]), msgspec.to_builtins(subject.manifest.outputs)
    judged, host = (
        [verdicts.as_real(array[:count], spec) for array, spec in zip(some.answers, specs, strict=True)]
        for some in (one, sound)
    )
    sqnr_db, own = verdicts.pooled(references, judged), verdicts.pooled(references, host)
    board = verdicts.by_limits(limits, references, judged)
    return Kernel(facts.kind, facts.changed, round(sqnr_db, 1), round(own - sqnr_db, 1), int(board))
