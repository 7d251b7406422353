"""Runs a model in a loop as a user's own script would: `python bare_loop.py TARGET MODEL INPUTS.npz ...`.

It uses the same runtime, threads and settings as the target's runner, and prints the latencies in ms as a JSON list.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Infer = Callable[[np.ndarray], Any]


def onnxruntime(model: str, threads: int) -> Infer:
    """ONNX Runtime on the CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda array: session.run(None, {name: array})


def openvino(model: str, threads: int) -> Infer:
    """OpenVINO on the CPU, in f32."""
    request = openvino_request(model, threads)
    return lambda array: request.infer({0: array}, share_inputs=True)[0]


def openvino_filled(model: str, threads: int) -> Infer:
    """As `openvino`, but the first input stays in the runtime: nothing is copied in any more."""
    request, filled = openvino_request(model, threads), False

    def infer(array: np.ndarray) -> Any:
        nonlocal filled
        if not filled:
            request.infer({0: array}, share_inputs=True)
            filled = True
        return request.infer()[0]

    return infer


def openvino_request(model: str, threads: int) -> Any:
    """An inference request with the settings of the target's runner."""
    import openvino as ov

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    core = ov.Core()
    return core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()


def tflite(model: str, threads: int) -> Infer:
    """LiteRT on the CPU, with its default XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=model, num_threads=threads)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    answer = interpreter.get_output_details()[0]["index"]

    def infer(array: np.ndarray) -> Any:
        interpreter.set_tensor(given, array)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    return infer


RUNTIMES = {
    "onnxruntime": onnxruntime, "openvino": openvino, "openvino-filled": openvino_filled, "tflite": tflite
}  # fmt: skip


def loop(infer: Infer, arrays: np.ndarray, seconds: float) -> list[float]:
    """Latencies in ms of consecutive inferences over `seconds`."""
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while True:
        for array in arrays:
            start = time.perf_counter()
            infer(array)
            stop = time.perf_counter()
            samples.append((stop - start) * 1000)
            if stop >= end:
                return samples


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=list(RUNTIMES))
    parser.add_argument("model")
    parser.add_argument("inputs", help="the artifact's goldens: input_0 of shape (count, *input)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--steady", type=float, default=3.0)
    given = parser.parse_args()
    infer = RUNTIMES[given.target](given.model, given.threads)
    arrays = np.load(given.inputs)["input_0"]
    loop(infer, arrays, given.warmup)
    json.dump(loop(infer, arrays, given.steady), sys.stdout)


if __name__ == "__main__":
    main()
