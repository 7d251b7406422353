"""The target `openvino2021`: metadata only. Keys and row order: see `edgewright.nouns.target`."""


def _way(first, *tools):
    """By way of ONNX."""
    return {
        "stages": [first, ["onnx", "openvino2021.finish"]],
        "tools": ["onnx", *tools],
        "toolchains": ["openvino-2021"],
    }


TARGET = {
    "title": "OpenVINO 2021.4 (Intel NCS2)",
    "entry": "model.xml",
    "precisions": ["fp32", "fp16"],
    "framework": "onnx",
    "integer_bits": 32,
    "host_runner": "host",
    "max_opset": 12,  # 13 moves axes from attributes to inputs, which its Model Optimizer knows of few operators
    "tools": [],
    "routes": {
        "keras": _way(["tensorflow", "_onnx.from_tensorflow"], "tf2onnx"),
        "h5": _way(["tensorflow", "_onnx.from_tensorflow"], "tf2onnx"),
        "savedmodel": _way(["tensorflow", "_onnx.from_tensorflow"], "tf2onnx"),
        "frozen": _way(["tensorflow", "_onnx.from_tensorflow"], "tf2onnx"),
        "pt2": _way(["torch", "openvino2021.from_torch"], "onnxscript"),
        "pytorch": _way(["torch", "openvino2021.from_torch"], "onnxscript"),
        "onnx": _way(["onnx", "openvino2021.from_onnx"]),
        "tflite": _way(["tensorflow", "_onnx.from_tflite"], "tensorflow", "tf2onnx"),
    },
    "as_is": {},
    "calibration_methods": ["minmax"],
    "accelerators": ["cpu", "gpu", "myriad"],
    "requirements": ["numpy"],
    "runtimes": [
        {
            "distribution": "openvino",
            "version": "2021.4.2",
            "python": "3.6-3.9",
            "archs": ["x86_64"],
            "glibc": "2.17",
            # the plugin of the stick is linked to libusb, which a board may lack
            "requires": ["numpy>=1.16.6,<1.20", "libusb-package"],
            "caps": {"ir": 10},
        }
    ],
}
