"""The record of the target `onnxruntime`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, SystemRuntime, Target

# What each version and later ones can read, found by loading files of every kind: `ir` and `opset` of ONNX, `ml` the
# opset of classical models, `contrib` the runtime's own operators, by the minor version that introduced them.
_CAPS = {
    "1.4": {
        "opset": 12,
        "ir": 7,
        "ml": 2,
        "contrib": 4,
    },  # 1.6 supports opset 13, but not its per-channel scales
    "1.8": {"opset": 14, "ir": 7, "ml": 2, "contrib": 8},
    "1.9": {"opset": 15, "ir": 8, "ml": 2, "contrib": 9},
    "1.11": {"opset": 16, "ir": 8, "ml": 3, "contrib": 11},
    "1.12": {"opset": 17, "ir": 8, "ml": 3, "contrib": 12},
    "1.14": {"opset": 18, "ir": 8, "ml": 3, "contrib": 14},
    "1.15": {"opset": 18, "ir": 9, "ml": 3, "contrib": 15},
    "1.16": {"opset": 19, "ir": 9, "ml": 3, "contrib": 16},
    "1.17": {"opset": 20, "ir": 9, "ml": 4, "contrib": 17},
    "1.18": {"opset": 21, "ir": 10, "ml": 5, "contrib": 18},
    "1.21": {"opset": 22, "ir": 10, "ml": 5, "contrib": 21},
    "1.23": {"opset": 23, "ir": 11, "ml": 5, "contrib": 23},
    "1.24": {"opset": 25, "ir": 13, "ml": 5, "contrib": 24},
    "1.28": {"opset": 26, "ir": 13, "ml": 5, "contrib": 28},
    "1.32": {"opset": 27, "ir": 14, "ml": 5, "contrib": 32},
}


def _row(version: str, caps: str, python: str, glibc: str, numpy: str) -> RuntimeRow:
    return RuntimeRow(
        distribution="onnxruntime",
        version=version,
        python=python,
        archs=("x86_64", "aarch64"),
        glibc=glibc,
        requires=(numpy,),
        caps=_CAPS[caps],
    )


def _route(worker: str, module: str, *tools: str) -> Route:
    return Route(stages=((worker, f"_onnx.{module}"), ("onnx", "onnxruntime.finish")), tools=tools)


TARGET = Target(
    name="onnxruntime",
    title="ONNX Runtime",
    entry="model.onnx",
    precisions=(
        "fp32", "fp16", "int8-dynamic", "int8", "int8-mixed", "int16x8", "int8-weights", "int4-weights", "as-is",
    ),
    framework="onnx",
    layers=LayerReader(module="onnxruntime.explain", float_by_default=("masks",)),
    steps="_onnx.quantization_steps",
    float64=True,
    tools=("onnx", "onnxruntime"),
    routes={
        "keras": _route("tensorflow", "from_tensorflow", "tf2onnx", "tf2onnx"),
        "h5": _route("tensorflow", "from_tensorflow", "tf2onnx", "tf2onnx"),
        "savedmodel": _route("tensorflow", "from_tensorflow", "tf2onnx", "tf2onnx"),
        "frozen": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "pt2": _route("torch", "from_torch", "onnxscript"),
        "pytorch": _route("torch", "from_torch", "onnxscript"),
        "onnx": _route("onnx", "from_onnx"),
        "tflite": _route("tensorflow", "from_tflite", "tensorflow", "tf2onnx"),
    },
    as_is={
        "onnx": Route(stages=(("onnx", "_onnx.copy_source"),)),
        "tflite": _route("tensorflow", "from_tflite", "tensorflow", "tf2onnx"),  # a quantised one stays quantised
    },
    calibration_methods=("minmax", "entropy", "percentile"),
    accelerators=("cpu", "cuda", "tensorrt"),
    hardware={"tensorrt": "cuda"},
    requirements=("numpy",),
    runtimes=(
        _row("1.32.0", "1.32", "3.11-3.14", "2.28", "numpy>=1.21.6"),
        _row("1.28.0", "1.28", "3.11-3.14", "2.27", "numpy>=1.21.6"),
        _row("1.23.2", "1.23", "3.10-3.10", "2.27", "numpy>=1.21.6"),
        _row("1.19.2", "1.18", "3.8-3.9", "2.27", "numpy>=1.19.5"),
        _row("1.14.1", "1.14", "3.7-3.7", "2.17", "numpy<2"),
        _row("1.10.0", "1.9", "3.6-3.6", "2.17", "numpy<2"),
    ),
    system=(SystemRuntime(distribution="onnxruntime"), SystemRuntime(distribution="onnxruntime-gpu")),
    caps={"onnxruntime": _CAPS},
)  # fmt: skip
