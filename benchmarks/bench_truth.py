"""How often the verdict on an artifact is right: faults planted in finished artifacts, and sound ones.

Real models are converted, then their finished files are changed, each fault drawn by a seed. A fault is real if more than 2 % of
the answers to other, labelled samples are not those of the file without it; others are counted apart. An artifact is sound
if it loses at most 2 points of its source's accuracy there. "Today" is the rule of manifests of schema 1.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import tempfile
import time
from pathlib import Path

import measuring
from truth.faults import KINDS

HERE = Path(__file__).parent
PRECISIONS = ("fp32", "fp16", "int8", "int8-dynamic")
TARGETS = ("onnxruntime", "tflite")
MODELS = ("digits", "keywords", "wakeword", "boxes")


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--small", action="store_true", help="one fault of each kind an artifact, 200 samples evaluate"
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument(
        "--kinds",
        nargs="+",
        choices=list(KINDS),
        default=list(KINDS),
        metavar="KIND",
        help="of faults: %(choices)s",
    )
    parser.add_argument("--seeds", type=int, help="faults of each kind an artifact")
    parser.add_argument("--samples", type=int, help="that evaluate")
    parser.add_argument(
        "--draws", type=int, help="of other goldens and of other calibration data for sound artifacts"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all trials go, too")
    given = parser.parse_args()
    seeds, samples, draws = (1, 200, 2) if given.small else (5, 400, 5)
    given.seeds = seeds if given.seeds is None else given.seeds
    given.samples = samples if given.samples is None else given.samples
    given.draws = draws if given.draws is None else given.draws
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as scratch:
        os.environ["EDGEWRIGHT_HOME"] = str(Path(scratch) / "home")
        run(given, Path(scratch))
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu_s = sum(one.ru_utime + one.ru_stime for one in (own, others))
    peak_mb = max(own.ru_maxrss, others.ru_maxrss) * 1024 / 1e6
    print(
        f"{time.perf_counter() - began:.0f} s in all, {cpu_s:.0f} s of CPU, at most {peak_mb:.0f} MB in a process."
    )


def run(given: argparse.Namespace, place: Path) -> None:
    """All models, then the tables."""
    from truth import tables, trials
    from truth.cases import CASES

    from edgewright.compile.workers import Workers

    (place / "home").mkdir()
    found = trials.Found([], [], [], [])
    names = []
    for name in given.models:
        case = CASES[name](place)
        if case.name in names:
            continue  # it stands in for a model that is absent
        names.append(case.name)
        with Workers(place / "bench.log") as workers:
            tried = trials.Tried(case, workers, place / case.name, given.samples, found)
            for target in given.targets:
                for precision in given.precisions:
                    one(tried, target, precision, given.kinds, given)
        gc.collect()
    print(
        f"### Faults in finished artifacts: refused\n\n{measuring.machine()}. Models: {', '.join(names)}.",
        end=" ",
    )
    print(
        f"{given.seeds} of each kind an artifact, {given.samples} samples evaluate, {found.broken} more faults did not run.\n"
    )
    print(tables.faults(found, given.kinds))
    print(tables.rules(found))
    print("### Sound artifacts: refused\n")
    print(tables.false_refusals(found))
    print("### Sound artifacts on other kernels\n")
    print(tables.kernels(found))
    print("### Time of the verdict, medians\n")
    print(tables.cost(found))
    print("### Where the new verdict is wrong\n")
    print(tables.missed(found), flush=True)
    if given.json:
        given.json.write_bytes(trials.as_json(found))


def one(tried: object, target: str, precision: str, kinds: list[str], given: argparse.Namespace) -> None:
    """One artifact: sound, with faults; and where its precision is calibrated, sound ones with other data."""
    from truth.trials import Tried

    from edgewright.nouns.precision import PRECISIONS as ROWS

    assert isinstance(tried, Tried)  # noqa: S101
    if (subject := tried.artifact(target, precision)) is None:
        return
    tried.try_sound(subject, given.draws)
    tried.try_kernels(subject)
    tried.try_faults(subject, kinds, range(given.seeds))
    if not ROWS[precision].calibrated:
        return
    for draw in range(given.draws):
        other = tried.artifact(target, precision, f"half{draw}")
        if other is not None:
            tried.try_sound(other, 0)


if __name__ == "__main__":
    main()
