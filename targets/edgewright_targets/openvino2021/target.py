"""The record of the target `openvino2021`. `edgewright.sdk.Target` documents its fields."""

from edgewright.sdk import LayerReader, Route, RuntimeRow, SystemRuntime, Target


def _route(first: tuple[str, str], *tools: str) -> Route:
    """A route through ONNX."""
    return Route(
        stages=(first, ("onnx", "openvino2021.finish")), tools=("onnx", *tools), toolchains=("openvino-2021",)
    )


TARGET = Target(
    name="openvino2021",
    title="OpenVINO 2021.4 (Intel NCS2)",
    entry="model.xml",
    precisions=("fp32", "fp16"),
    framework="onnx",
    host_runner="openvino2021.host_session",
    layers=LayerReader(module="openvino2021.explain", places="myriad"),
    integer_bits=32,
    max_opset=12,  # 13 moves axes from attributes to inputs, which its Model Optimizer supports for few operators
    routes={
        "keras": _route(("tensorflow", "_onnx.from_tensorflow"), "tf2onnx"),
        "h5": _route(("tensorflow", "_onnx.from_tensorflow"), "tf2onnx"),
        "savedmodel": _route(("tensorflow", "_onnx.from_tensorflow"), "tf2onnx"),
        "frozen": _route(("tensorflow", "_onnx.from_tensorflow"), "tf2onnx"),
        "pt2": _route(("torch", "openvino2021.from_torch"), "onnxscript"),
        "pytorch": _route(("torch", "openvino2021.from_torch"), "onnxscript"),
        "onnx": _route(("onnx", "openvino2021.from_onnx")),
        "tflite": _route(("tensorflow", "_onnx.from_tflite"), "tensorflow", "tf2onnx"),
    },
    accelerators=("cpu", "gpu", "myriad"),
    requirements=("numpy",),
    runtimes=(
        RuntimeRow(
            distribution="openvino",
            version="2021.4.2",
            python="3.6-3.9",
            archs=("x86_64",),
            glibc="2.17",
            # the stick's plugin links to libusb, which a board may lack
            requires=("numpy>=1.16.6,<1.20", "libusb-package"),
            caps={"ir": 10},
        ),
    ),
    system=(SystemRuntime(distribution="openvino", before="2022"),),
)
