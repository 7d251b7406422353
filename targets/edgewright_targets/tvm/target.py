"""The record of the target `tvm`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, Target

TOOLCHAIN = "apache-tvm"
VERSION = "0.27.0.post1"
RELEASE = "release"  # of compiler and runtime: a runtime reads what its own release or an older one compiled


def release(version: str) -> int:
    """`0.27.0.post1` -> 27: major and minor version as one number, as manifests require it."""
    major, minor = version.split(".")[:2]
    return 100 * int(major) + int(minor)


def _row(arch: str) -> RuntimeRow:
    """Two libraries out of two wheels: the runner calls them without their Python code, so that any Python will do."""
    return RuntimeRow(
        distribution="apache-tvm",
        version=VERSION,
        python="3.6-3.15",
        archs=(arch,),
        glibc="2.27",
        requires=("apache-tvm-ffi==0.1.15.post2",),
        files=("tvm/lib/libtvm_runtime.so",),
        required_files={"apache-tvm-ffi": ("tvm_ffi/lib/libtvm_ffi.so",)},
        caps={RELEASE: release(VERSION)},
    )


def _route(worker: str, module: str, *tools: str) -> Route:
    stages = ((worker, f"_onnx.{module}"), ("onnx", "tvm.finish"))
    return Route(stages=stages, tools=tools, toolchains=(TOOLCHAIN,))


TARGET = Target(
    name="tvm",
    title="TVM (ahead of time, experimental)",
    entry="model.so",
    precisions=("fp32", "int8", "int8-mixed"),
    framework="onnx",
    host_runner="tvm.host_runner",
    layers=LayerReader(
        module="_onnx.compiled_source",
        float_by_default=("masks",),
        notes=("these are the operations that were compiled: machine code has none",),
    ),
    steps="_onnx.compiled_source",
    tools=("onnx", "onnxruntime", "iree-base-compiler"),  # the last for its linker
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
    c_program="tvm.c_program",
    runtimes=(_row("x86_64"), _row("aarch64")),
    wheel_python="3.10",  # the oldest that there are wheels for
)
