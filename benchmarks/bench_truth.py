"""Measures how often the verdict on an artifact is right, with faults planted in finished artifacts, and with sound ones.

Models are converted with a verdict that is recorded but ignored, so that wrong refusals are seen. Then the finished files are
changed, with faults drawn from a seed. A fault is real if more than 2 % of the decisions on other samples differ from those of the
file without it, or if it costs more than a point of accuracy; others are counted separately. Results are saved after each trial, so
an interrupted run resumes where it was. `docs/truth.md` is generated from that file.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import measuring
from truth import judging, page
from truth.cases import Absent, builders
from truth.faults import ALL
from truth.recorded import Archive
from truth.store import Key, Made, Origin, Store, answers_fingerprint, fingerprint

HERE = Path(__file__).parent
RESULTS = HERE / "truth" / "results.jsonl"
PRECISIONS = ("fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int16x8", "int4-weights")
RUNTIMES = ("onnxruntime", "ai-edge-litert", "openvino")
TARGETS = ("onnxruntime", "tflite", "openvino")
ANSWERS = "answers"  # the folder of the cache with recordings
FIRST = (
    "digits",
    "digits-onnx",
    "digits-torch",
    "keywords",
    "pressure",
    "boxes",
    "digits-lstm",
    "digits-attention",
)  # small trained ones
CACHE = Path("~/.cache/edgewright-bench/truth").expanduser()


def main() -> None:
    """Runs it."""
    given = arguments()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    began = time.perf_counter()
    about = {"samples": given.samples, "seeds": given.seeds, "draws": given.draws, "machine": machine(),
             "models": list(builders()), "runtimes": measuring.version(*RUNTIMES)}  # fmt: skip
    store = Store(given.results, fingerprint(), about)
    take_parts(given.results, store)  # from a run that was interrupted
    try:
        if given.judge_again:
            judging.again(Archive(given.cache / ANSWERS, ""), store, given.models)
        elif given.jobs > 1:
            shared(given)
        else:
            alone(given, store)
    finally:
        take_parts(given.results, store)
        store.close()
    print(page.text(given.results))
    print(f"{time.perf_counter() - began:.0f} s in all.")


def take_parts(results: Path, store: Store) -> None:
    """Imports the files of the processes that shared a run."""
    for part in sorted(results.parent.glob(f"{results.stem}.part*.jsonl")):
        store.take(part)


def arguments() -> argparse.Namespace:
    """The command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = sorted(builders(), key=lambda name: name not in FIRST)
    parser.add_argument("--small", action="store_true", help="two models, 100 samples evaluate, no older runtimes; nothing is kept")  # fmt: skip
    parser.add_argument("--models", nargs="+", choices=names, metavar="MODEL", help="of %(choices)s")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--kinds", nargs="+", choices=ALL, default=list(ALL), metavar="KIND", help="of faults: %(choices)s")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, help="faults of each kind an artifact")
    parser.add_argument("--samples", type=int, help="that evaluate, at most")
    parser.add_argument("--draws", type=int, default=1, help="of other goldens and of other calibration data for sound artifacts")  # fmt: skip
    parser.add_argument("--older", action="store_true", help="older versions of the runtimes too, which pip fetches")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="models that are tried at once")
    parser.add_argument("--judge-again", action="store_true", help="judge what runs recorded in the cache; nothing is converted")  # fmt: skip
    parser.add_argument("--results", type=Path, metavar="FILE", help=f"default: {RESULTS.relative_to(HERE.parent)}")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER", help="where models and runtimes are kept")  # fmt: skip
    given = parser.parse_args()
    if given.small:
        given.scratch = tempfile.TemporaryDirectory(prefix="edgewright-bench-")
        given.results = given.results or Path(given.scratch.name) / "results.jsonl"
        given.cache = Path(given.scratch.name)
    given.results = given.results or RESULTS
    given.samples = given.samples or (100 if given.small else 200)
    given.models = given.models or (["digits", "boxes"] if given.small else names)
    return given


def alone(given: argparse.Namespace, store: Store) -> None:
    """Runs all models in this process, one after another."""
    from truth.before import tried_before
    from truth.trials import Trials

    from edgewright import targets
    from edgewright.compile.workers.pool import Workers

    failed = []
    archive = Archive(given.cache / ANSWERS, answers_fingerprint())
    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as scratch:
        place = Path(scratch)
        fresh_home(place / "home")
        for name in given.models:
            folder = given.cache / name
            folder.mkdir(parents=True, exist_ok=True)
            try:
                case = builders()[name](folder)
            except Absent as error:
                measuring.say(f"{name}: {error}")
                if Key(name, "", "") not in store.rows:
                    store.add(Key(name, "", ""), Made(0.0, 0.0, f"absent: {error}"))
                continue
            if not store.of(Key(name, "", ""), Origin):
                store.add(Key(name, "", ""), Origin(int(case.trained), case.data))
            # workers are confined: models lie in examples, packages or the cache, and their data in a scratch folder,
            # where a verdict in doubt writes fresh samples beside an artifact's goldens
            with Workers(
                place / "bench.log", reads=[case.file.parent, given.cache], writes=[place]
            ) as workers:
                tried = Trials(case, workers, place / name, given.samples, store, archive)
                for target in given.targets:
                    for precision in given.precisions:
                        if precision not in targets.load(target).precisions:
                            continue
                        try:
                            tried.run(target, precision, given.kinds, given.seeds, given.draws, given.cache if given.older else None)  # fmt: skip
                        except Exception:  # noqa: BLE001 - one artifact does not end a run of an hour: the next run tries it again
                            failed.append(f"{name} {target} {precision}")
                            measuring.say(f"{failed[-1]}: {traceback.format_exc()}")
                    try:
                        tried_before(tried, target)
                    except Exception:  # noqa: BLE001 - as above
                        failed.append(f"{name} {target}, mistakes in its data")
                        measuring.say(f"{failed[-1]}: {traceback.format_exc()}")
            gc.collect()
    if failed:
        raise measuring.BenchmarkError(f"not all was tried: {', '.join(failed)}")


def shared(given: argparse.Namespace) -> None:
    """Distributes the models over several processes."""
    flags = [
        "--seeds",
        given.seeds,
        "--samples",
        given.samples,
        "--draws",
        given.draws,
        "--cache",
        given.cache,
    ]
    flags += ["--targets", *given.targets, "--precisions", *given.precisions, "--kinds", *given.kinds]
    flags += ["--older"] * given.older
    running = []
    for job in range(given.jobs):
        part = given.results.with_name(f"{given.results.stem}.part{job}.jsonl")
        part.write_bytes(given.results.read_bytes())
        argv = [sys.executable, __file__, *map(str, flags), "--results", str(part)]
        argv += ["--models", *given.models[job :: given.jobs]]
        running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))
    try:
        failed = [child.wait() for child in running]
    finally:
        for child in running:  # Ctrl-C reaches them too: they save what they have
            child.wait()
    if any(failed):
        raise measuring.BenchmarkError("a part of the run failed")


def fresh_home(folder: Path) -> None:
    """A separate state folder with the installed toolchains (`edgewright toolchain install`)."""
    from edgewright.config import home

    installed = home.home() / "toolchains"
    folder.mkdir()
    if installed.is_dir():
        (folder / "toolchains").symlink_to(installed.resolve())
    os.environ["EDGEWRIGHT_HOME"] = str(folder)


def machine() -> str:
    """This machine in one line, without its load."""
    return measuring.machine().partition(", load")[0]


if __name__ == "__main__":
    main()
