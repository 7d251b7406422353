"""The record of the target `openvino`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, SystemRuntime, Target

# What each version and later ones can read: `ir`, the file's version, and `ir_opset`, the newest opset of its layers.
_CAPS = {
    "2022.3": {"ir": 11, "ir_opset": 10},
    "2023.0": {"ir": 11, "ir_opset": 11},
    "2023.1": {"ir": 11, "ir_opset": 12},
    "2023.2": {"ir": 11, "ir_opset": 13},
    "2024.0": {"ir": 11, "ir_opset": 14},
    "2024.2": {"ir": 11, "ir_opset": 15},
    "2025.0": {"ir": 11, "ir_opset": 16},
    "2026.4": {"ir": 11, "ir_opset": 17},
}
# in 2026.4, the CPU plugin fuses 8-bit attention whose mask comes from an Unsqueeze into a kernel that computes
# wrong results (-3 dB)
MASKED_PRODUCTS = True
_FINISH = ("openvino", "openvino.finish")
_EXPORTED = ("keras", "h5", "savedmodel", "frozen", "pt2", "pytorch")


def _row(version: str, caps: str, python: str, arch: str, glibc: str) -> RuntimeRow:
    return RuntimeRow(
        distribution="openvino",
        version=version,
        python=python,
        archs=(arch,),
        glibc=glibc,
        requires=("numpy>=1.16.6,<2.6",),
        caps=_CAPS[caps],
    )


_TENSORFLOW = Route(stages=(("tensorflow", "openvino.from_tensorflow"), _FINISH), tools=("tf2onnx",))
_TORCH = Route(stages=(("torch", "openvino.from_torch"), _FINISH), tools=("onnx",))
_ONNX = Route(stages=(("onnx", "openvino.from_onnx"), _FINISH))

TARGET = Target(
    name="openvino",
    title="OpenVINO",
    entry="model.xml",
    precisions=(
        "fp32",
        "fp16",
        "int8-dynamic",
        "int8",
        "int8-mixed",
        "int8-weights",
        "int4-weights",
        "as-is",
    ),
    framework="openvino",
    layers=LayerReader(
        module="openvino.explain",
        # from these sources int8-mixed goes through ONNX but fp32 does not, so the fp32 file's names cannot be used
        named_by_stage=dict.fromkeys(_EXPORTED, "openvino.list_layers"),
        masked_products=MASKED_PRODUCTS,
        float_by_default=("masks",),
    ),
    steps="openvino.quantization_steps",
    integer_bits=32,
    sums_vary=True,  # boards of x86 without VNNI saturate sums of 8-bit products
    tools=("openvino", "nncf"),
    routes={
        "keras": _TENSORFLOW,
        "h5": _TENSORFLOW,
        "savedmodel": _TENSORFLOW,
        "frozen": _TENSORFLOW,
        "pt2": _TORCH,
        "pytorch": _TORCH,
        "onnx": _ONNX,
        "tflite": Route(stages=(_FINISH,)),
        "ir": Route(stages=(_FINISH,)),
    },
    as_is={"onnx": _ONNX, "tflite": Route(stages=(_FINISH,)), "ir": Route(stages=(_FINISH,))},
    calibration_methods=("minmax", "percentile"),
    accelerators=("cpu", "gpu", "npu"),
    requirements=("numpy",),
    runtimes=(
        _row("2026.4.1", "2026.4", "3.10-3.14", "x86_64", "2.28"),
        _row("2026.4.1", "2026.4", "3.10-3.14", "aarch64", "2.35"),
        _row("2025.3.0", "2025.0", "3.9-3.13", "x86_64", "2.17"),
        _row("2025.3.0", "2025.0", "3.9-3.9", "aarch64", "2.35"),
        _row("2024.4.0", "2024.2", "3.8-3.12", "x86_64", "2.17"),
        _row("2024.4.0", "2024.2", "3.8-3.12", "aarch64", "2.31"),
    ),
    system=(SystemRuntime(distribution="openvino", since="2022"),),  # older versions had another interface
    caps={"openvino": _CAPS},
)
