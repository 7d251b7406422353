"""Measures what converting through edgewright costs, and what it does to models.

It reports wall time next to the bare converter (MobileNetV2, or digits with --small), peak memory of an int8 calibration with
many samples, and accuracy and size before and after for a digit classifier of each framework.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import digits_models
import measuring
import numpy as np
from measuring import Figures

HERE = Path(__file__).parent
PARTS = ("time", "memory", "accuracy")
EDGES = {  # edge of bare_convert.py -> (target, precision)
    "keras-tflite": ("tflite", "fp32"),
    "keras-tflite-int8": ("tflite", "int8"),
    "onnx-onnxruntime-int8": ("onnxruntime", "int8"),
    "onnx-openvino": ("openvino", "fp32"),
    "onnx-openvino-int8": ("openvino", "int8"),
}
PRECISIONS = ("fp32", "fp16", "int8-dynamic", "int8", "int16x8")
TARGETS = ("onnxruntime", "openvino", "tflite")
CALIBRATION = 32
SIZE = 224


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--edges", nargs="+", choices=list(EDGES), default=list(EDGES))
    parser.add_argument(
        "--frameworks", nargs="+", choices=list(digits_models.FILES), default=list(digits_models.FILES)
    )
    parser.add_argument(
        "--small", action="store_true", help="digits instead of MobileNetV2 for the wall time"
    )
    parser.add_argument("--samples", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as scratch:
        place = Path(scratch)
        fresh_home(place / "home")
        if "time" in given.parts:
            wall_time(place, given.edges, given.rounds, small=given.small)
        if "memory" in given.parts:
            memory(place, given.samples)
        if "accuracy" in given.parts:
            accuracy(place, given.frameworks)


def fresh_home(folder: Path) -> None:
    """A separate state folder with the installed toolchains (`edgewright toolchain install`)."""
    from edgewright.config import home

    installed = home.home() / "toolchains"
    folder.mkdir()
    if installed.is_dir():
        (folder / "toolchains").symlink_to(installed)
    os.environ["EDGEWRIGHT_HOME"] = str(folder)


def wall_time(place: Path, edges: list[str], rounds: int, *, small: bool) -> None:
    """Prints a table per edge: the bare converter, and edgewright, which also runs the result and compares it."""
    models = place / "models"
    models.mkdir()
    for edge in edges:
        kind = edge.split("-")[0]
        model = (digits if small else mobilenet)(models, kind)
        target, precision = EDGES[edge]
        data = model.with_name("calibration.npz")
        bare = [
            sys.executable,
            str(HERE / "bare_convert.py"),
            edge,
            str(model),
            str(data),
            str(place / "bare"),
        ]
        ours = convert_argv(model, target, precision, data if precision == "int8" else None)
        found = measuring.interleave(
            {"converter alone": timed(bare), "edgewright": timed(ours)}, rounds, warmup=False
        )
        name = "digits" if small else "MobileNetV2"
        keys = {"wall_s": "wall s", "cpu_s": "CPU s", "mb": "peak MB"}
        measuring.report(f"Converting {name}, {edge}", found, keys, base="converter alone")
        more = measuring.median(found["edgewright"], "wall_s") - measuring.median(
            found["converter alone"], "wall_s"
        )
        print(f"More by {more:.2f} s.\n", flush=True)


def timed(argv: list[str]) -> Callable[[int], Figures]:
    """One run of a process."""

    def measure(_: int) -> Figures:
        spent = measuring.process(argv)
        return {"wall_s": spent.wall_s, "cpu_s": spent.cpu_s, "mb": spent.peak_mb}

    return measure


def convert_argv(model: Path, target: str, precision: str, calibration: Path | None) -> list[str]:
    """The `edgewright convert` command line, without the cache."""
    argv = [
        measuring.program("edgewright"),
        "convert",
        str(model),
        "--target",
        target,
        "--precision",
        precision,
    ]
    more = [] if calibration is None else ["--calibration", str(calibration)]
    return [*argv, *more, "--no-cache", "--json"]


def mobilenet(folder: Path, kind: str) -> Path:
    """MobileNetV2 in the format, created once, with calibration.npz next to it."""
    keras = folder / "mobilenet.keras"
    if not keras.exists():
        measuring.say("making the model")
        measuring.process([sys.executable, str(HERE / "mobilenet.py"), str(keras)])
        write_images(folder / "calibration.npz", CALIBRATION)
    if kind == "keras":
        return keras
    made = folder / "mobilenet.onnx"
    if not made.exists():
        said = measuring.process(convert_argv(keras, "onnxruntime", "fp32", None)).output
        manifest = json.loads(said)["result"]
        made.write_bytes((Path(manifest["folder"]) / manifest["manifest"]["entry"]).read_bytes())
    return made


def digits(folder: Path, kind: str) -> Path:
    """A digit classifier in its own folder, with its data, created once."""
    place = folder / kind
    file = place / digits_models.FILES[kind]
    if not file.exists():
        place.mkdir()
        measuring.say(f"training with {kind}")
        measuring.process([sys.executable, "-W", "ignore", str(HERE / "digits_models.py"), kind, str(place)])
    return file


def memory(place: Path, counts: list[int]) -> None:
    """Prints the peak memory of int8 calibration by number of samples in the file."""
    model = small_net(place / "small.onnx")
    rows = []
    for count in counts:
        data = place / f"images-{count}.npz"
        measuring.say(f"writing {count} samples")
        write_images(data, count)
        size = data.stat().st_size / 1e6
        spent = measuring.process(convert_argv(model, "onnxruntime", "int8", data))
        data.unlink()
        rows.append([count, f"{size:.0f}", f"{spent.peak_mb:.0f}", f"{spent.wall_s:.1f}"])
    print(f"### int8 calibration with samples of {SIZE}x{SIZE}x3\n\n{measuring.machine()}.\n")
    print(measuring.markdown(["samples", "file MB", "peak memory MB", "wall s"], rows), flush=True)


def small_net(path: Path) -> Path:
    """Three convolutions over an image of 224 x 224, as ONNX, so that activations dominate the memory of calibration."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(1)
    nodes, weights, last, channels = [], [], "x", 3
    for index in range(3):
        kernel = (random.normal(size=(16, channels, 3, 3)) * (2 / (9 * channels)) ** 0.5).astype("float32")
        weights.append(numpy_helper.from_array(kernel, f"k{index}"))
        nodes.append(helper.make_node("Conv", [last, f"k{index}"], [f"c{index}"], strides=[2, 2]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        last, channels = f"r{index}", 16
    weights.append(numpy_helper.from_array(random.normal(size=(16, 10)).astype("float32"), "d"))
    nodes.insert(0, helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]))
    nodes += [
        helper.make_node("GlobalAveragePool", [last], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "d"], ["y"]),
    ]
    given = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, SIZE, SIZE, 3])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])
    graph = helper.make_graph(nodes, "small", [given], [answer], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def write_images(path: Path, count: int) -> None:
    """Seeded random images, float16 of shape (count, 1, 224, 224, 3), in an `.npz`; one in memory at a time."""
    shape = (count, 1, SIZE, SIZE, 3)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f2", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, archive.open("input_0.npy", "w", force_zip64=True) as file:  # fmt: skip
        file.write(header.getvalue())
        for image in images(count):
            file.write(image.astype("<f2").tobytes())


def images(count: int) -> Iterator[Any]:
    """Noise over planes of different brightness: drawing every pixel would take most of the time."""
    random = np.random.default_rng(3)
    noise = random.normal(size=(SIZE, SIZE, 3))
    for _ in range(count):
        yield noise * random.uniform(0.2, 1.0) + random.normal(size=3)


def accuracy(place: Path, frameworks: list[str]) -> None:
    """Prints accuracy, exactness and size of a digit classifier of each framework, one row per target and precision."""
    from edgewright import targets
    from edgewright.compile.data.data_hash import calibration_of
    from edgewright.compile.pipeline import compile_model
    from edgewright.compile.request import CompileRequest
    from edgewright.compile.toolchains import environments
    from edgewright.compile.workers.pool import Workers
    from edgewright.errors import EdgewrightError
    from edgewright.nouns.model_input import ModelInput

    trained = place / "trained"
    trained.mkdir()
    rows = []
    for framework in frameworks:
        model = digits(trained, framework)
        with Workers(place / "accuracy.log") as workers:
            for target in TARGETS:
                loaded = targets.load(target)
                route = loaded.routes.get(model.suffix[1:])
                if route is None or any(
                    environments.describe(one).state != "ready" for one in route.toolchains
                ):
                    continue
                possible = loaded.precisions_from(model.suffix[1:])
                for precision in (one for one in PRECISIONS if one in possible):
                    measuring.say(f"{framework} to {target} {precision}")
                    request = CompileRequest(
                        model=ModelInput(
                            source=model, calibration=calibration_of(model.with_name("calibration.npz")),
                            evaluation=model.with_name("evaluation.npz"),
                        ),
                        target=target, precision=precision,
                    )  # fmt: skip
                    try:
                        rows.append(row_of(framework, model, compile_model(request, workers=workers)))
                    except EdgewrightError as error:
                        rows.append([framework, target, precision, "-", "-", "-", "-", "-", error.message])
    print(f"### Accuracy and size, digit classifiers\n\n{measuring.machine()}. 450 held-out images.\n")
    heads = [
        "source",
        "target",
        "precision",
        "top-1 before",
        "after",
        "SQNR dB",
        "source kB",
        "artifact kB",
        "note",
    ]
    print(measuring.markdown(heads, rows), flush=True)


def row_of(framework: str, model: Path, artifact: Any) -> list[str]:
    """A row of the table of accuracies."""
    manifest = artifact.manifest
    sizes = (model.stat().st_size, manifest.model_bytes)
    return [
        framework, manifest.target, manifest.precision, f"{manifest.accuracy.source:.4f}",
        f"{manifest.accuracy.artifact:.4f}", f"{manifest.parity.sqnr_db:.1f}",
        *(f"{size / 1000:.1f}" for size in sizes), "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
