"""Measures what compression costs and buys: each technique alone and together, on nets that are trained here, in Keras and PyTorch.

Every row starts from the same trained net and trains for the same number of further epochs; the control does nothing else in them. Runs are
in order of seeds, so an interrupted benchmark has all rows of the first ones, and continues where it stopped. `make docs` writes
docs/compression.md from `compression_bench/results.jsonl`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import traceback
from pathlib import Path

ONE_THREAD = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OPENBLAS_NUM_THREADS")
os.environ |= dict.fromkeys(ONE_THREAD, "1") | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
HERE = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))

import measuring  # noqa: E402 - frameworks read the environment when they are imported
from compression_bench import data, nets, page, rows  # noqa: E402
from compression_bench.nets import Net  # noqa: E402
from compression_bench.results import RESULTS, Notes, Session  # noqa: E402
from compression_bench.rows import Row  # noqa: E402
from compression_bench.trials import Trials  # noqa: E402
from truth.cases import Absent  # noqa: E402

from edgewright.compile.inspection import code_fingerprint  # noqa: E402
from edgewright.compile.workers.pool import Workers  # noqa: E402

CACHE = Path("~/.cache/edgewright-bench/compression").expanduser()
RUNTIMES = ("keras", "tensorflow", "ai-edge-litert", "torch", "onnxruntime")
MNIST = nets.of(data.mnist, (1000, 2000))
DIGITS = nets.of(data.digits, (200, 400))


def main() -> None:
    """Runs it."""
    given = arguments()
    os.environ["EDGEWRIGHT_HOME"] = str(given.cache / "home")
    machine = measuring.machine().partition(", load")[0]
    code = code_fingerprint.of(code_fingerprint.files())[:12]
    notes = Notes(given.results, Session(machine, measuring.version(*RUNTIMES), code))
    began, failed = time.perf_counter(), []
    for seed in range(given.seeds):
        for net in given.nets:
            failed += tried(
                net, seed, [row for row in given.rows if row.shared or not net.shared], notes, given.cache
            )
    print(page.text(given.results))
    print(f"{time.perf_counter() - began:.0f} s in all.")
    if failed:
        raise measuring.BenchmarkError(f"not all was tried: {', '.join(failed)}")


def arguments() -> argparse.Namespace:
    """The command-line arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = {f"{net.framework}-{net.name}": net for net in (*MNIST, *nets.SHARED)}
    parser.add_argument(
        "--small", action="store_true", help="scikit-learn's digits, one seed; nothing is kept"
    )
    parser.add_argument(
        "--nets", nargs="+", choices=list(known), default=list(known), metavar="NET", help="of %(choices)s"
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        choices=list(rows.BY_NAME),
        default=list(rows.BY_NAME),
        metavar="ROW",
        help="of %(choices)s",
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help=f"default: {RESULTS.relative_to(HERE.parent)}"
    )
    parser.add_argument(
        "--cache", type=Path, default=CACHE, metavar="FOLDER", help="where data, nets and steps are kept"
    )
    given = parser.parse_args()
    if given.small:
        given.scratch = tempfile.TemporaryDirectory(prefix="edgewright-bench-")
        given.cache, given.seeds = Path(given.scratch.name), 1
        known = {f"{net.framework}-{net.name}": net for net in DIGITS}
    given.nets = [known[name] for name in given.nets if name in known]
    given.rows = [rows.BY_NAME[name] for name in given.rows]
    given.results = given.results or (given.cache / "results.jsonl" if given.small else RESULTS)
    return given


def tried(net: Net, seed: int, wanted: list[Row], notes: Notes, cache: Path) -> list[str]:
    """Tries the rows that were not tried before; returns the names of those that failed. Workers live as long as one net."""
    left = [row for row in wanted if not notes.has(net.framework, net.name, seed, row)]
    if not left:
        return []
    name, failed = f"{net.framework} {net.name}, seed {seed}", []
    measuring.say(name)
    try:
        prepared = net.prepare(cache, seed)
    except Absent as error:
        measuring.say(f"{name}: {error}")
        return []
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-bench-") as scratch,
        Workers(Path(scratch) / "bench.log", reads=[cache], writes=[Path(scratch)]) as workers,
    ):
        trials = Trials(net, seed, prepared, workers, Path(scratch))
        for row in left:
            began = time.perf_counter()
            try:
                notes.add(trials.run(row))
            except Exception:  # noqa: BLE001 - one row does not end a run of hours: the next run tries it again
                failed.append(f"{name}, {row.name}")
                measuring.say(f"{failed[-1]}: {traceback.format_exc()}")
            measuring.say(f"{name}, {row.name}: {time.perf_counter() - began:.1f} s")
    return failed


if __name__ == "__main__":
    main()
