"""A sound artifact on older versions of its runtime, in pyenv's Pythons, as on boards with an old system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edgewright import targets
from edgewright.compile.data import goldens
from edgewright.compile.quality.artifact_check import Subject

_PYENV = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
_SECONDS = 300.0
_AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
# name -> (Python, what pip installs)
_RUNTIMES = {
    "onnxruntime 1.10.0": ("3.6", ("onnxruntime==1.10.0",)),
    "onnxruntime 1.16.3": ("3.9", ("onnxruntime==1.16.3", "numpy<2")),
    "tflite-runtime 2.13.0": ("3.9", ("tflite-runtime==2.13.0", "numpy<2")),
    "tflite-runtime 2.14.0": ("3.9", ("tflite-runtime==2.14.0", "numpy<2")),
    "openvino 2022.3.2": ("3.8", ("openvino==2022.3.2", "numpy<1.25")),
    "openvino 2024.4.0": ("3.9", ("openvino==2024.4.0", "numpy<2")),
}
WITHOUT_VNNI = "without VNNI"  # this runtime, as on x86 whose 8-bit sums saturate
NAMES = {
    "onnxruntime": ("onnxruntime 1.10.0", "onnxruntime 1.16.3"),
    "tflite": ("tflite-runtime 2.13.0", "tflite-runtime 2.14.0"),
    "openvino": ("openvino 2022.3.2", "openvino 2024.4.0", WITHOUT_VNNI),
}
# Python 3.6 syntax. Files of a folder: `job.json`, `input_<i>.npy` -> `output_<i>.npy`.
_RUN = """
import importlib.util, json, os, sys
import numpy
job = json.load(open(os.path.join(sys.argv[1], "job.json")))
spec = importlib.util.spec_from_file_location("runner", job["runner"])
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)
runner.import_runtime()
session = runner.load(job["folder"], job["manifest"], {"threads": 2, "accelerator": "cpu"})
ends = job["manifest"]["inputs"], job["manifest"]["outputs"]
inputs = [numpy.load(os.path.join(sys.argv[1], "input_%d.npy" % at)) for at in range(len(ends[0]))]
rows = []
for row in zip(*inputs):
    row = [numpy.ascontiguousarray(array).tobytes() for array in row]
    outputs = session.read(session.infer(session.feed(row)))
    rows.append([numpy.frombuffer(data, s["dtype"]).reshape(s["shape"]) for data, s in zip(outputs, ends[1])])
for at, column in enumerate(zip(*rows)):
    numpy.save(os.path.join(sys.argv[1], "output_%d.npy" % at), numpy.stack(column))
"""


class Failed(Exception):
    """The runtime is not available, or does not load or run the artifact."""


def answers(place: Path, target: str, name: str, subject: Subject, file: Path) -> list[Any]:
    """Its outputs for the inputs in an `.npz`, one array for each output.

    Args:
        place: where environments and files may be kept.
    """
    python, folder = _environment(place / "older", name), Path(tempfile.mkdtemp(prefix="edgewright-bench-"))
    runner = targets.runner(target).__file__
    inputs, _ = goldens.load(file, len(subject.manifest.inputs), 0)
    for at, array in enumerate(inputs):
        np.save(folder / f"input_{at}.npy", array)
    job = {"runner": runner, "folder": str(subject.folder), "manifest": subject.answering()["manifest"]}
    (folder / "job.json").write_text(json.dumps(job))
    try:
        _run([str(python), "-I", "-c", _RUN, str(folder)], _AVX2 if name == WITHOUT_VNNI else {})
        return [np.load(folder / f"output_{at}.npy") for at in range(len(subject.manifest.outputs))]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _environment(place: Path, name: str) -> Path:
    if name == WITHOUT_VNNI:
        return Path(sys.executable)
    version, wanted = _RUNTIMES[name]
    pythons = sorted(_PYENV.glob(f"{version}.*/bin/python"))
    if not pythons:
        raise Failed(f"no Python {version}")
    folder = place / name.replace(" ", "-")
    if not (folder / "ready").exists():
        _run([str(pythons[-1]), "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        if version == "3.6":  # its own pip does not know the tags of the wheels
            _run([*pip, "pip==21.3.1"])
        _run([*pip, *wanted])
        (folder / "ready").touch()
    return folder / "bin" / "python"


def _run(argv: list[str], more: Mapping[str, str] = MappingProxyType({})) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | dict(more)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=clean, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"takes longer than {_SECONDS:.0f} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Failed(said[-1] if said else f"ended with {done.returncode}")
