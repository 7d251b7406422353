"""Compares the p50 that `edgewright bench` measures with a bare loop and benchmark_app.

MobileNetV2 in fp32 on one lab board with this Python, so that all use the same runtime. Every figure comes from a
fresh process; the contenders take turns.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import measuring
from lab_link import Lab, lab
from measuring import Figures

from edgewright.config import fleet as fleets
from edgewright.connect.session import Session, open_session
from edgewright.deployments.bench import Bench, BenchRequest
from edgewright.nouns.measurement import Measurement, Protocol
from edgewright.nouns.progress import silent

HERE = Path(__file__).parent
LATENCY = re.compile(r"(Median|Min): +([0-9.]+) ms")
TARGETS = ("onnxruntime", "openvino", "tflite")
DISTRIBUTIONS = {"onnxruntime": "onnxruntime", "openvino": "openvino", "tflite": "ai-edge-litert"}


@dataclass(frozen=True)
class Settings:
    """The settings that all contenders share: threads, seconds of warm-up and of steady state."""

    threads: int
    warmup_s: float
    steady_s: float


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds")
    parser.add_argument("--steady", type=float, default=3.0, help="seconds")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    settings = Settings(given.threads, given.warmup, given.steady)
    with lab(1, python=sys.executable) as link:
        model = link.folder / "mobilenet.keras"
        measuring.say("making the model")
        measuring.process([sys.executable, str(HERE / "mobilenet.py"), str(model)])
        for target in given.targets:
            compare(link, model, target, settings, given.rounds)


def compare(link: Lab, model: Path, target: str, settings: Settings, rounds: int) -> None:
    """Measures one target and prints its table."""
    folder = convert(model, target)
    measuring.say(f"staging for {target}")
    stage = ["--name", target, "--version", "1", "--stage", "--to", "all", "--fleet", str(link.fleet)]
    measuring.process([measuring.program("edgewright"), "deploy", str(folder), *stage])
    fleet = fleets.load(link.fleet)
    board = next(iter(fleet.boards.values()))
    with open_session(board, fleet) as session:
        contenders = {
            "bare loop": bare(folder, target, settings),
            "edgewright": board_bench(session, target, settings),
        }
        if target == "openvino":
            contenders["bare loop, no input copied"] = bare(folder, "openvino-filled", settings)
            contenders["benchmark_app"] = benchmark_app(folder, settings)
        found = measuring.interleave(contenders, rounds, warmup=False)
    title = f"MobileNetV2-224 fp32, {measuring.version(DISTRIBUTIONS[target])}, {settings.threads} thread(s)"
    keys = {"p50_ms": "p50 ms", "least_ms": "least ms"}
    measuring.report(title, found, keys, base="bare loop")


def convert(model: Path, target: str) -> Path:
    """The folder of the artifact; converted once."""
    measuring.say(f"converting for {target}")
    how = ["--target", target, "--precision", "fp32", "--json"]
    argv = [measuring.program("edgewright"), "convert", str(model), *how]
    return Path(json.loads(measuring.process(argv).output)["result"]["folder"])


def board_bench(session: Session, target: str, settings: Settings) -> Callable[[int], Figures]:
    """One run of the agent's benchmark over SSH."""
    protocol = Protocol(
        name="benchmark",
        rounds=1,
        warmup_s=settings.warmup_s,
        steady_s=settings.steady_s,
        min_samples=11,
        limit_s=60,
    )
    what = BenchRequest(
        model=target, releases=("1",), protocol=protocol, threads=settings.threads, accelerator="cpu"
    )
    bench = Bench(what)

    def measure(_: int) -> Figures:
        measured: Measurement = bench.on_board(session.board, session, silent)[0]
        if measured.invalid:
            measuring.say(f"invalid: {', '.join(measured.invalid)}")
        latency = measured.latency
        return {"p50_ms": latency.p50 or float("nan"), "least_ms": latency.minimum}

    return measure


def bare(folder: Path, target: str, settings: Settings) -> Callable[[int], Figures]:
    """A loop as in a user's own script."""
    manifest = json.loads((folder / "manifest.json").read_text())
    model, inputs = folder / manifest["entry"], folder / manifest["goldens"]["file"]
    numbers = {"--threads": settings.threads, "--warmup": settings.warmup_s, "--steady": settings.steady_s}
    flags = [str(part) for pair in numbers.items() for part in pair]
    argv = [sys.executable, str(HERE / "bare_loop.py"), target, str(model), str(inputs), *flags]

    def measure(_: int) -> Figures:
        samples = json.loads(measuring.process(argv).output)
        return {"p50_ms": statistics.median(samples), "least_ms": min(samples)}

    return measure


def benchmark_app(folder: Path, settings: Settings) -> Callable[[int], Figures]:
    """OpenVINO's own tool: one synchronous request, with its own inputs, copying no output."""
    tuning = f"-hint none -nstreams 1 -nthreads {settings.threads} -infer_precision f32"
    length = f"-d CPU -api sync -t {max(1, round(settings.steady_s))}"
    model = str(next(folder.glob("*.xml")))
    argv = [measuring.program("benchmark_app"), "-m", model, *tuning.split(), *length.split()]

    def measure(_: int) -> Figures:
        found = dict(LATENCY.findall(measuring.process(argv).output))
        return {"p50_ms": float(found["Median"]), "least_ms": float(found["Min"])}

    return measure


if __name__ == "__main__":
    main()
