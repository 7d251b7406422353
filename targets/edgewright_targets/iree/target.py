"""The record of the target `iree`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, Target

RELEASE = "release"  # of compiler and runtime: a runtime reads what its own release or an older one compiled


def release(version: str) -> int:
    """`3.13.0` -> 313: major and minor version as one number, as manifests require it."""
    major, minor = version.split(".")[:2]
    return 100 * int(major) + int(minor)


def _row(version: str, python: str, arch: str, glibc: str) -> RuntimeRow:
    """A wheel without its tools and Python code: the runner calls the extension module, which needs no numpy then."""
    return RuntimeRow(
        distribution="iree-base-runtime",
        version=version,
        python=python,
        archs=(arch,),
        glibc=glibc,
        requires=(),
        files=("iree/_runtime_libs/version.py", "iree/_runtime_libs/_runtime.*.so"),
        caps={RELEASE: release(version)},
    )


def _route(worker: str, module: str, *tools: str) -> Route:
    return Route(stages=((worker, f"_onnx.{module}"), ("onnx", "iree.finish")), tools=tools)


TARGET = Target(
    name="iree",
    title="IREE (ahead of time)",
    entry="model.vmfb",
    precisions=("fp32", "int8", "int8-mixed"),
    framework="onnx",
    layers=LayerReader(
        module="_onnx.compiled_source",
        float_by_default=("masks",),
        notes=("these are the operations that were compiled: machine code has none",),
    ),
    steps="_onnx.compiled_source",
    tools=("onnx", "onnxruntime", "iree-base-compiler", "iree-base-runtime"),
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
    calibration_methods=("minmax", "entropy", "percentile"),
    compiles_for=("x86_64", "aarch64"),
    runtimes=(
        _row("3.13.0", "3.10-3.14", "x86_64", "2.28"),
        _row("3.13.0", "3.10-3.14", "aarch64", "2.27"),
    ),
)
