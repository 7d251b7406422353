"""Runs model files on this host, with one thread: answers, and latency in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SUFFIXES = (".tflite", ".onnx")
_ROUNDS, _CALLS = 15, 40
Call = Callable[[Any], Any]


def opened(file: Path) -> tuple[Call, tuple[int, ...]]:
    """(a function from a sample, float32, to the first output; the sample's shape with a batch of 1)."""
    if file.suffix == ".tflite":
        return _tflite(file)
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    return lambda x: session.run(None, {given.name: x})[0], tuple(given.shape)


def _tflite(file: Path) -> tuple[Call, tuple[int, ...]]:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(str(file), num_threads=1)
    model.allocate_tensors()
    given, answered = model.get_input_details()[0], model.get_output_details()[0]
    scale, zero = given["quantization"]

    def call(x: Any) -> Any:
        if given["dtype"] != np.float32:
            x = np.clip(np.round(x / scale) + zero, -128, 127).astype(given["dtype"])
        model.set_tensor(given["index"], x)
        model.invoke()
        return model.get_tensor(answered["index"])

    return call, tuple(given["shape"])


def answers(file: Path, test: Path) -> Any:
    """The class that a model answers for each test sample."""
    call, shape = opened(file)
    with np.load(test) as found:
        return np.array([call(x.reshape(shape)).argmax() for x in found["x"]])


def model_file(folder: Path) -> Path:
    """The file of an artifact that its runtime opens."""
    return next(file for file in sorted(folder.rglob("*")) if file.suffix in SUFFIXES)


def ratio(base: Path, other: Path) -> float:
    """p50 of one artifact divided by that of another: the median over rounds in which they take turns."""
    calls = [opened(model_file(folder)) for folder in (base, other)]
    samples = [np.zeros(shape, np.float32) for _, shape in calls]
    rounds = []
    for number in range(_ROUNDS + 1):
        p50 = [_p50(call, sample) for (call, _), sample in zip(calls, samples, strict=True)]
        if number:  # the first warms up
            rounds.append(p50[0] / p50[1])
    return median(rounds)


def _p50(call: Call, sample: Any) -> float:
    spent = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        call(sample)
        spent.append(time.perf_counter() - began)
    return median(spent)
