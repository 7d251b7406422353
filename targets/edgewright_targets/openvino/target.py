"""The target `openvino`: metadata only. Keys and row order: see `edgewright.nouns.target`."""

# What versions read, from each one on: `ir` of the file, and the newest `ir_opset` that its layers may be of.
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
_FINISH = ["openvino", "openvino.finish"]


def _row(version, caps, python, archs, glibc):
    return {
        "distribution": "openvino",
        "version": version,
        "python": python,
        "archs": archs,
        "glibc": glibc,
        "requires": ["numpy>=1.16.6,<2.6"],
        "caps": _CAPS[caps],
    }


TARGET = {
    "title": "OpenVINO",
    "entry": "model.xml",
    "precisions": [
        "fp32", "fp16", "int8-dynamic", "int8", "int8-mixed", "int8-weights", "int4-weights", "as-is",
    ],
    "framework": "openvino",
    "integer_bits": 32,
    "tools": ["openvino", "nncf"],
    "routes": {
        "keras": {"stages": [["tensorflow", "openvino.from_tensorflow"], _FINISH], "tools": ["tf2onnx"]},
        "h5": {"stages": [["tensorflow", "openvino.from_tensorflow"], _FINISH], "tools": ["tf2onnx"]},
        "savedmodel": {"stages": [["tensorflow", "openvino.from_tensorflow"], _FINISH], "tools": ["tf2onnx"]},
        "frozen": {"stages": [["tensorflow", "openvino.from_tensorflow"], _FINISH], "tools": ["tf2onnx"]},
        "pt2": {"stages": [["torch", "openvino.from_torch"], _FINISH], "tools": ["onnx"]},
        "pytorch": {"stages": [["torch", "openvino.from_torch"], _FINISH], "tools": ["onnx"]},
        "onnx": {"stages": [["onnx", "openvino.from_onnx"], _FINISH]},
        "tflite": {"stages": [_FINISH]},
        "ir": {"stages": [_FINISH]},
    },
    "as_is": {
        "onnx": {"stages": [["onnx", "openvino.from_onnx"], _FINISH]},
        "tflite": {"stages": [_FINISH]},
        "ir": {"stages": [_FINISH]},
    },
    "calibration_methods": ["minmax", "percentile"],
    "accelerators": ["cpu", "gpu", "npu"],
    "requirements": ["numpy"],
    "caps": {"openvino": _CAPS},
    "runtimes": [
        _row("2026.4.1", "2026.4", "3.10-3.14", ["x86_64"], "2.28"),
        _row("2026.4.1", "2026.4", "3.10-3.14", ["aarch64"], "2.35"),
        _row("2025.3.0", "2025.0", "3.9-3.13", ["x86_64"], "2.17"),
        _row("2025.3.0", "2025.0", "3.9-3.9", ["aarch64"], "2.35"),
        _row("2024.4.0", "2024.2", "3.8-3.12", ["x86_64"], "2.17"),
        _row("2024.4.0", "2024.2", "3.8-3.12", ["aarch64"], "2.31"),
    ],
}  # fmt: skip
