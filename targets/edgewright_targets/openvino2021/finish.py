"""Converts ONNX to IR v10 with OpenVINO 2021.4's Model Optimizer, and checks it with the plugin for the Intel NCS2."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets.openvino2021 import preflight
from edgewright_targets.openvino2021.prepare_onnx import ready
from edgewright_targets.openvino2021.prune_states import keep_outputs

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult, TensorReport, TensorSpec


TOOLCHAIN = "openvino-2021"
_NAME = "OpenVINO 2021.4"
INSIDE = Path(__file__).with_name("toolchain_program.py")


def convert(work: StageContext) -> StageResult:
    """Makes fp32 or fp16 IR; the notes list the layers that would not run on the stick.

    Raises:
        ConversionError: the Model Optimizer refuses the model, or it has to run on the stick and cannot.
    """
    from edgewright.sdk import ConversionError

    preflight.check_precision(work.accelerator, work.traits)
    python = work.toolchains[TOOLCHAIN]
    source = ready(work)
    opset = _opset(source)
    optimise(python, source, work.folder / work.entry, "FP16" if work.traits.half else "float")
    if source != work.path:
        source.unlink()
    outputs = _outputs(work.path)
    keep_outputs(work.folder / work.entry, set(outputs))
    found = ask(python, "describe", work.folder / work.entry, *outputs)
    names = [spec.name for spec in work.inputs]
    if sorted(names) != found["inputs"] or None in found["outputs"]:
        raise ConversionError(
            f"the Model Optimizer changed the model's ends: {', '.join(found['inputs'])}",
            hint="an input that no output depends on is dropped: export the model without it",
        )
    return {
        "inputs": [_end(spec, name) for spec, name in zip(work.inputs, names, strict=True)],
        "outputs": [_end(spec, name) for spec, name in zip(work.outputs, found["outputs"], strict=True)],
        "requires": {"ir": ir_version(work.folder / work.entry)},
        "causes": preflight.causes(found, work.traits),
        "method": "",
        "notes": [
            *preflight.notes(found, work.accelerator),
            preflight.reading(found, opset, {spec.name: spec.shape for spec in work.inputs}),
        ],
    }


def _end(spec: TensorSpec, name: str) -> TensorReport:
    """An input or output: floats are float32 in the file, whatever the source uses."""
    return {"name": name, **({"dtype": "float32"} if "float" in spec.dtype else {})}


def _opset(path: Path) -> int:
    """The ONNX opset that the Model Optimizer reads."""
    import onnx

    from edgewright_targets._onnx.prepare_for_quantization import opset_of

    return opset_of(onnx.load(str(path), load_external_data=False))


def _outputs(path: Path) -> list[str]:
    """Names of the outputs of an ONNX file, in the source's order."""
    import onnx

    return [item.name for item in onnx.load(str(path), load_external_data=False).graph.output]


def optimise(python: Path, source: Path, entry: Path, data_type: str) -> None:
    """Runs the Model Optimizer; leaves the `.xml` and the `.bin`, with reproducible bytes."""
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.programs import run_converter

    command: list[Path | str] = [
        python, "-I", "-B", "-m", "mo", "--framework", "onnx", "--input_model", source, "--output_dir", entry.parent,
        "--model_name", entry.stem, "--data_type", data_type, "--silent",
    ]  # fmt: skip
    done = run_converter(_NAME, command, separate_stderr=True)
    print(done.stdout, done.stderr, sep="\n")  # noqa: T201 - a worker's stdout is its log
    if done.returncode or not entry.is_file():
        raise ConversionError(
            f"the Model Optimizer of OpenVINO 2021.4 refuses the model: {said(done.stdout + done.stderr)}",
            hint="it takes static shapes and ONNX operators up to opset 13 or so; write the operator in other words",
            code=Code.CONVERSION_FAILED,
        )
    entry.with_suffix(".mapping").unlink(missing_ok=True)
    text = entry.read_text("utf-8")  # its metadata contain paths of this run
    entry.write_text(re.sub(r"\s*<meta_data>.*</meta_data>", "", text, flags=re.DOTALL), "utf-8")


def said(output: str) -> str:
    """The first line of a Model Optimizer error, without its class name."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("[ ERROR ]").strip() for line in lines if line.startswith("[ ERROR ]")]
    line = next(filter(None, errors), "") or (lines or ["no message"])[-1]
    return re.sub(r"^Exception occurred during running replacer .*?\)\w*: ", "", line)[:300].rstrip(".")


def ask(python: Path, what: str, path: Path, *arguments: str) -> Any:
    """The result of the function `what` of `toolchain_program`.

    Raises:
        ConversionError: OpenVINO 2021.4 cannot read the file.
    """
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import line_of
    from edgewright.sdk.programs import run_converter

    command: list[Path | str] = [python, "-I", "-B", INSIDE, what, path, *arguments]
    done = run_converter(_NAME, command, separate_stderr=True)
    if done.returncode:
        print(done.stderr)  # noqa: T201 - as above
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConversionError(
            f"OpenVINO 2021.4 cannot read the model: {line_of(lines[-1])}",
            hint="the Model Optimizer made a file that its own runtime does not read",
            code=Code.CONVERSION_FAILED,
        )
    return json.loads(done.stdout)


def ir_version(path: Path) -> int:
    """The version of an IR file."""
    return int(re.findall(rb'<net [^>]*version="(\d+)"', path.read_bytes())[0])
