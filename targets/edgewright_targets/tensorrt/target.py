"""The record of the target `tensorrt`. `edgewright.sdk.Target` documents its fields.

TensorRT, including its Python package, is part of Jetson's system (JetPack): there are no wheels, so no `runtimes`.
"""

from edgewright.sdk import LayerReader, Route, SystemRuntime, Target
from edgewright_targets.tensorrt.check_operators import KIND, number
from edgewright_targets.tensorrt.operator_table import SINCE


def _route(worker: str, module: str, *tools: str) -> Route:
    return Route(stages=((worker, f"_onnx.{module}"), ("onnx", "tensorrt.finish")), tools=tools)


_ONNX = Route(stages=(("onnx", "tensorrt.from_onnx"), ("onnx", "tensorrt.finish")))

# The newest ONNX opset that its parser supports, by version, from its release notes and support matrices. It supports
# neither classical models (`ml`) nor ONNX Runtime's own operators (`contrib`).
_OPSETS = {"8.0": 13, "8.4": 16, "8.5": 17, "10.0": 20, "10.9": 22, "10.13": 24, "11.0": 25}


def _caps() -> dict[str, dict[str, int]]:
    """What each version reads: a row wherever the opset or the operators differ from the version before."""
    rows: dict[str, dict[str, int]] = {}
    for since in sorted({*_OPSETS, *SINCE.values()}, key=number):
        opset = max(newest for version, newest in _OPSETS.items() if number(version) <= number(since))
        rows[since] = {"opset": opset, KIND: number(since), "ml": 0, "contrib": 0}
    return rows


TARGET = Target(
    name="tensorrt",
    title="NVIDIA TensorRT",
    entry="model.onnx",
    precisions=("fp32", "fp16", "int8", "int8-mixed", "as-is"),
    framework="onnx",
    host_runner="onnxruntime.runner",  # runs the same ONNX file; the goldens check on the board what TensorRT makes of it
    layers=LayerReader(
        module="tensorrt.explain",
        float_by_default=("masks",),
        notes=(
            "activations are fused into their layers by TensorRT itself, when it builds the engine on the board",
        ),
    ),
    steps="_onnx.quantization_steps",  # TensorRT 8 decides itself what to quantise by ranges
    tools=("onnx", "onnxruntime"),
    routes={
        "keras": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "h5": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "savedmodel": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "frozen": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "pt2": _route("torch", "from_torch", "onnxscript"),
        "pytorch": _route("torch", "from_torch", "onnxscript"),
        "onnx": _ONNX,
        "tflite": _route("tensorflow", "from_tflite", "tensorflow", "tf2onnx"),
    },
    as_is={"onnx": _ONNX},
    calibration_methods=("minmax", "entropy", "percentile"),
    accelerators=("cuda",),
    system=(SystemRuntime(distribution="tensorrt"),),
    system_hint="install its Python package there (on a Jetson python3-libnvinfer)",
    caps={"tensorrt": _caps()},
)
