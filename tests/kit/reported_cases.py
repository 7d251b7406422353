"""The cases that people reported, from the scripts of `../shared/cases`: their files, fresh inputs, and the sources' answers to them.

Run as a program with a folder, it writes the cases from Keras there, and answers of Keras itself.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Rows = list[dict[str, Array]]  # a sample: values by name
SCRIPTS = Path(__file__).parents[3] / "shared" / "cases"
FRESH = 48
WORDS, LONG = 100, 12
KERAS = ("detection_head", "pressure", "three", "mixed_half", "own_rescaling")
_EPOCH_MS = (1_600_000_000_000, 1_800_000_000_000)


class Given(NamedTuple):
    """An input: its shape, and a range of whole numbers, or the kind of floats that it takes."""

    name: str
    shape: tuple[int, ...]
    values: tuple[int, int] | str = "normal"


INPUTS: dict[str, tuple[Given, ...]] = {
    "detection_head.onnx": (Given("x", (1, 3, 64, 64), "uniform"),),
    "token_types.onnx": (Given("input_ids", (1, 6), (0, WORDS)), Given("token_type_ids", (1, 6), (0, 2))),
    "int64_time.onnx": (Given("time_ms", (1, 4), _EPOCH_MS),),
    "attention_lowest_float.onnx": (Given("ids", (1, LONG), (0, WORDS)), Given("mask", (1, LONG), "mask")),
    "attention_minus_10000.onnx": (Given("ids", (1, LONG), (0, WORDS)), Given("mask", (1, LONG), "mask")),
    "class_map.onnx": (Given("x", (1, 3, 24, 24), "uniform"),),
    "half_precision.onnx": (Given("x", (1, 3, 16, 16), "coloured"),),
    "ml_operators_only.onnx": (Given("x", (1, 4)),),
    "opset_named_twice.onnx": (Given("x", (1, 4)),),
    "local_function.onnx": (Given("x", (1, 8)),),
    "time_first.onnx": (Given("x", (20, 1, 8)),),
    "detection_head.keras": (Given("image", (1, 64, 64, 3), "coloured"),),
    "pressure.keras": (Given("sensors", (1, 10)),),
    "three.keras": tuple(Given(name, (1, 8)) for name in ("zeta", "alpha", "mid")),
    "mixed_half.keras": (Given("image", (1, 32, 32, 3), "uniform"),),
    "own_rescaling.keras": (Given("image", (1, 32, 32, 3), "pixels"),),
}


def drawn(case: str, seed: int, count: int = FRESH) -> Rows:
    """Samples of a case's inputs."""
    random = np.random.default_rng(seed)
    columns = {one.name: _values(random, one, count) for one in INPUTS[case]}
    return [{name: column[at] for name, column in columns.items()} for at in range(count)]


def _values(random: np.random.Generator, given: Given, count: int) -> Array:
    shape = (count, *given.shape)
    if isinstance(given.values, tuple):
        return random.integers(*given.values, shape)
    if given.values == "mask":  # ones, then zeros
        return (np.arange(LONG) < random.integers(3, LONG + 1, (count, 1, 1))).astype(np.int64)
    if given.values == "normal":
        return random.normal(size=shape).astype(np.float32)
    noise = random.random(shape)
    if given.values == "coloured":  # pictures of plain noise all look the same
        noise = 0.4 * noise + 0.6 * random.random((count, *(1 if size > 4 else size for size in given.shape)))
    return (noise * (255 if given.values == "pixels" else 1)).astype(np.float32)


def by_onnx(file: Path, rows: Rows) -> Rows:
    """The answers of an ONNX source."""
    import onnx
    import onnxruntime

    model = onnx.load(str(file))
    if len({one.domain for one in model.opset_import}) < len(model.opset_import):
        del model.opset_import[1:]  # named twice
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    own = onnxruntime.InferenceSession  # noqa: TID251 - a reference apart from edgewright: in floats nothing saturates
    session = own(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    halves = {one.name for one in session.get_inputs() if one.type == "tensor(float16)"}
    names = [one.name for one in session.get_outputs()]
    found = []
    for row in rows:
        feed = {name: value.astype(np.float16) if name in halves else value for name, value in row.items()}
        found.append(dict(zip(names, session.run(names, feed), strict=True)))
    return found


def main(folder: Path) -> None:
    """Writes the cases and `answers_<case>.npz`, with one array per output, one row per sample."""
    import json

    import keras

    sys.argv = ["keras_cases.py", str(folder)]
    runpy.run_path(str(SCRIPTS / "keras_cases.py"), run_name="__main__")
    for name in KERAS:
        model = keras.saving.load_model(folder / f"{name}.keras", compile=False)
        if name == "mixed_half":  # answers in float32 are the right ones
            plain = json.loads(json.dumps(model.get_config()).replace("mixed_float16", "float32"))
            weights, model = model.get_weights(), keras.Model.from_config(plain)
            model.set_weights(weights)
        order = [one.name for one in model.inputs]
        rows = []
        for row in drawn(f"{name}.keras", seed=5):
            values = [row[one] for one in order]
            answers = model(values if len(values) > 1 else values[0], training=False)
            answers = answers if isinstance(answers, list | tuple) else [answers]
            rows.append([np.asarray(one) for one in answers])
        columns = (np.stack(column) for column in zip(*rows, strict=True))
        np.savez(folder / f"answers_{name}.npz", **dict(zip(model.output_names, columns, strict=True)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
