"""The target `openvino`: metadata only. Keys and row order: see `edgewright.nouns.target`."""


def _row(version, python, archs, glibc):
    return {
        "distribution": "openvino",
        "version": version,
        "python": python,
        "archs": archs,
        "glibc": glibc,
        "requires": ["numpy>=1.16.6,<2.6"],
        "caps": {"ir": 11},
    }


TARGET = {
    "title": "OpenVINO",
    "entry": "model.xml",
    "precisions": ["fp32", "fp16", "int8-dynamic", "int8", "as-is"],
    "framework": "openvino",
    "tools": ["openvino", "nncf"],
    "routes": {
        "keras": {"stages": [["tensorflow", "openvino.from_tensorflow"], ["openvino", "openvino.finish"]]},
        "h5": {"stages": [["tensorflow", "openvino.from_tensorflow"], ["openvino", "openvino.finish"]]},
        "savedmodel": {
            "stages": [["tensorflow", "openvino.from_tensorflow"], ["openvino", "openvino.finish"]]
        },
        "onnx": {"stages": [["onnx", "openvino.from_onnx"], ["openvino", "openvino.finish"]]},
    },
    "as_is": {"onnx": {"stages": [["onnx", "openvino.from_onnx"], ["openvino", "openvino.finish"]]}},
    "calibration_methods": ["minmax"],
    "accelerators": ["cpu", "gpu", "npu", "myriad"],
    "requirements": ["numpy"],
    "runtimes": [
        _row("2026.4.1", "3.10-3.14", ["x86_64"], "2.28"),
        _row("2026.4.1", "3.10-3.14", ["aarch64"], "2.35"),
        _row("2025.3.0", "3.9-3.12", ["x86_64"], "2.17"),
        _row("2025.3.0", "3.9-3.9", ["aarch64"], "2.35"),
        _row("2024.4.0", "3.8-3.12", ["x86_64"], "2.17"),
        _row("2024.4.0", "3.8-3.12", ["aarch64"], "2.31"),
    ],
}
