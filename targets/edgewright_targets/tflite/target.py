"""The record of the target `tflite`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, SystemRuntime, Target

# operator versions; for all but the first two, files state older versions than they need: see `finish.beyond_versions`
_OLD = {
    "CONV_2D": 7,
    "FULLY_CONNECTED": 11,
    "DEQUANTIZE": 5,
    "BATCH_MATMUL": 4,
    "SQRT": 2,
    "RSQRT": 3,
    "SLICE": 6,
}


def _route(worker: str, module: str, *tools: str, toolchains: tuple[str, ...] = ()) -> Route:
    """A route through floats, which the last stage quantises unless the first one has done so."""
    stages = ((worker, f"tflite.{module}"), ("litert", "tflite.finish"))
    return Route(stages=stages, tools=("ai-edge-quantizer", *tools), toolchains=toolchains)


def _litert(version: str, python: str, arch: str, glibc: str) -> RuntimeRow:
    return RuntimeRow(
        distribution="ai-edge-litert",
        version=version,
        python=python,
        archs=(arch,),
        glibc=glibc,
        requires=("numpy>=1.23.2",),
    )


def _older(version: str, python: str, arch: str, glibc: str) -> RuntimeRow:
    """A row for older Pythons. No index has numpy for 32-bit Arm, so the board's own is required; with 1.19 no model loads."""
    numpy = ("numpy>=1.19.2,<2",)
    own_numpy = ("numpy>=1.20,<2",)
    return RuntimeRow(
        distribution="tflite-runtime",
        version=version,
        python=python,
        archs=(arch,),
        glibc=glibc,
        requires=() if arch == "armv7l" else numpy,
        own=own_numpy if arch == "armv7l" else (),
        caps=_OLD,
    )


TARGET = Target(
    name="tflite",
    title="LiteRT (TensorFlow Lite)",
    entry="model.tflite",
    precisions=(
        "fp32", "fp16", "int8-dynamic", "int8", "int8-mixed", "int16x8", "int8-weights", "int4-weights", "as-is",
    ),
    framework="litert",
    layers=LayerReader(
        module="tflite.explain",
        named_by_source=("keras", "h5"),  # by the layers' names in the source, not in the fp32 file
        float_by_default=("masks",),
    ),
    steps="tflite.quantization_steps",
    tools=("ai-edge-litert",),
    routes={
        "keras": _route("tensorflow", "from_tensorflow"),
        "h5": _route("tensorflow", "from_tensorflow"),
        "savedmodel": _route("tensorflow", "from_tensorflow"),
        "frozen": _route("tensorflow", "from_tensorflow"),
        "onnx": _route("onnx", "from_onnx", toolchains=("onnx2tf",)),
        "pt2": _route("torch", "from_torch", "litert-torch"),
        "pytorch": _route("torch", "from_torch", "litert-torch"),
        "tflite": _route("litert", "from_tflite"),
    },
    as_is={"tflite": Route(stages=(("litert", "tflite.copy_source"),))},
    calibration_methods=("minmax", "percentile"),
    accelerators=("cpu",),
    requirements=("numpy",),
    runtimes=(
        # the glibc that the libraries need, where the wheel's name promises an older one
        _litert("2.3.0", "3.10-3.14", "x86_64", "2.27"),
        _litert("2.3.0", "3.10-3.14", "aarch64", "2.34"),
        _litert("2.1.0", "3.9-3.9", "x86_64", "2.27"),
        _litert("2.1.0", "3.9-3.13", "aarch64", "2.30"),
        _older("2.14.0", "3.8-3.11", "x86_64", "2.29"),
        _older("2.14.0", "3.8-3.11", "aarch64", "2.34"),
        _older("2.14.0", "3.9-3.11", "armv7l", "2.34"),
        _older("2.13.0", "3.8-3.10", "aarch64", "2.27"),
        _older("2.13.0", "3.9-3.9", "armv7l", "2.27"),
    ),
    system=(SystemRuntime(distribution="ai-edge-litert"), SystemRuntime(distribution="tflite-runtime")),
)  # fmt: skip
