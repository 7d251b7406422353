"""Converts ONNX to float .tflite with the toolchain onnx2tf. Inputs keep the source's shapes: NCHW stays NCHW."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import LARGE
from edgewright_targets._onnx.fold_shapes import folded_if_possible
from edgewright_targets._onnx.integer_bounds import refuse_remainders
from edgewright_targets._onnx.prepare_for_quantization import refuse_classical
from edgewright_targets._onnx.raise_opset import raised_if_possible
from edgewright_targets._onnx.widen_floats import widened, widened_size
from edgewright_targets.tflite import layers, name_ends, repeated_outputs

if TYPE_CHECKING:
    from edgewright.sdk import ConversionError, StageContext, StageResult, TensorSpec


TOOLCHAIN = "onnx2tf"
_OPSET = 13


def convert(work: StageContext) -> StageResult:
    """Converts the source with its static shapes.

    Raises:
        ConversionError: the tool refused the model or took too long, or the model is larger than a .tflite file can be, or has
            operators that LiteRT lacks, or whole numbers that onnx2tf computes in too few bits.
    """
    import onnx

    from edgewright.sdk.programs import run_converter

    if work.source.large or widened_size(work.source.model) > LARGE:
        raise _too_large()
    refuse_classical(work.source.model, "LiteRT")
    if work.synthetic:  # data show themselves how large the numbers are: see check_int64
        refuse_remainders(work.source.model, TOOLCHAIN)
    given = work.folder / "source.onnx"
    made = work.folder / "made"
    # the tool mixes up some shapes that it computes
    model = folded_if_possible(raised_if_possible(work.source.model, _OPSET))
    model, notes = widened(model, work)
    model, repeated = repeated_outputs.taken_out(model)
    onnx.save(model, str(given))
    names = [spec.name for spec in work.inputs]
    # isolated: the tool must not import edgewright's own packages or modules in the working folder
    command = [
        str(work.toolchains[TOOLCHAIN]),
        "-I",
        "-m",
        "onnx2tf",
        "--tflite_backend",
        "flatbuffer_direct",
    ]
    command += ["--input_onnx_file_path", str(given), "--output_folder_path", str(made)]
    command += ["--keep_shape_absolutely_input_names", *names, "--copy_onnx_input_output_names_to_tflite"]
    command += ["--non_verbose"]
    _hold_shapes(given, work.outputs)
    done = run_converter("onnx2tf", command, work.folder, separate_stderr=True)
    print(done.stdout, done.stderr, sep="\n")  # noqa: T201 - a worker's stdout is its log
    file = made / "source_float32.tflite"
    if done.returncode or not file.is_file():
        raise _refused(done)
    outputs = [spec.name for spec in work.outputs if spec.name not in repeated]
    (work.folder / work.entry).write_bytes(name_ends.ordered(file.read_bytes(), names, outputs))
    repeated_outputs.save(work.folder, repeated)
    layers.save(work.folder, _layers(made / "source_tensor_correspondence_report.json"))
    return {"notes": notes}


def _hold_shapes(path: Path, outputs: Iterable[TensorSpec]) -> None:
    """Adds two Reshapes behind each output that may be an image: otherwise the tool reorders its axes to NHWC.

    The tool removes them again, and leaves a Transpose if one is needed.
    """
    import math

    import numpy
    import onnx
    from onnx import helper, numpy_helper

    shapes = {spec.name: spec.shape for spec in outputs if len(spec.shape) > 2}
    model = onnx.load(str(path))
    graph = model.graph
    made = {name: node for node in graph.node for name in node.output}
    for name, shape in shapes.items():
        if name not in made:  # an input that is also an output
            continue
        inner, flat = f"{name}/turned", f"{name}/flat"
        for node in graph.node:
            node.input[:] = [inner if one == name else one for one in node.input]
        made[name].output[:] = [inner if one == name else one for one in made[name].output]
        for given, to, axes in ((inner, flat, [math.prod(shape)]), (flat, name, shape)):
            graph.initializer.append(numpy_helper.from_array(numpy.array(axes, numpy.int64), f"{to}/shape"))
            graph.node.append(helper.make_node("Reshape", [given, f"{to}/shape"], [to], name=f"{to}/reshape"))
    if shapes:
        onnx.save(model, str(path))


def _layers(report: Path) -> dict[str, str]:
    """{name of a node, or of its output: the tensor that holds it}, from the tool's report."""
    names = {}
    for record in json.loads(report.read_text())["records"] if report.is_file() else []:
        tensor = record.get("resolved_tflite_tensor_name")
        if tensor and record.get("exists_in_final_model"):
            names.update(dict.fromkeys((record["onnx_op_name"], record["onnx_output_name"]), tensor))
    return names


def _too_large() -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        "model is too large for LiteRT, whose files hold less than 2 GiB",
        hint="take a smaller model",
        code=Code.MODEL_TOO_LARGE,
    )


def _refused(done: subprocess.CompletedProcess[str]) -> ConversionError:
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import line_of

    said = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
    wrong = [line for line in said if "error" in line.lower()] or said
    line = line_of(wrong[-1]) if wrong else f"exit code {done.returncode}"
    return ConversionError(
        f"onnx2tf cannot convert the model: {line}",
        hint="export it to ONNX again with simpler operators",
        code=Code.CONVERSION_FAILED,
    )
