"""The record of the target `ncnn`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, SystemRuntime, Target
from edgewright_targets.ncnn.layer_releases import FIRST, PINNED


def _row(release: int, python: str, arch: str, glibc: str) -> RuntimeRow:
    """A wheel without the distributions that it declares: they serve its model zoo, and the runner needs none of them."""
    return RuntimeRow(
        distribution="ncnn",
        version=f"1.0.{release}",
        python=python,
        archs=(arch,),
        glibc=glibc,
        requires=(),
        files=("ncnn/__init__.py", "ncnn/ncnn.*.so", "ncnn.libs/*"),
        caps={"release": release},
    )


def _route(worker: str, module: str, *tools: str) -> Route:
    return Route(stages=((worker, f"_onnx.{module}"), ("onnx", "ncnn.finish")), tools=tools)


TARGET = Target(
    name="ncnn",
    title="ncnn",
    entry="model.param",
    precisions=("fp32", "fp16", "int8", "int8-mixed"),
    framework="onnx",
    layers=LayerReader(module="ncnn.explain"),
    steps="ncnn.quantization_steps",
    integer_bits=32,
    calibration_methods=("minmax", "percentile"),
    tools=("onnx", "pnnx", "ncnn"),
    routes={
        "keras": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "h5": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "savedmodel": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "frozen": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "pt2": _route("torch", "from_torch", "onnxscript"),
        "pytorch": _route("torch", "from_torch", "onnxscript"),
        "onnx": _route("onnx", "from_onnx"),
        "tflite": _route("tensorflow", "from_tflite", "tensorflow", "tf2onnx"),
    },
    runtimes=(
        _row(PINNED, "3.9-3.15", "x86_64", "2.24"),
        _row(PINNED, "3.9-3.15", "aarch64", "2.24"),
        _row(PINNED, "3.9-3.15", "armv7l", "2.31"),
        _row(FIRST, "3.6-3.13", "x86_64", "2.17"),
        _row(FIRST, "3.6-3.13", "aarch64", "2.17"),
        _row(FIRST, "3.6-3.13", "armv7l", "2.31"),
    ),
    system=(SystemRuntime(distribution="ncnn"),),
    caps={"ncnn": {f"1.0.{release}": {"release": release} for release in (FIRST, PINNED)}},
)
