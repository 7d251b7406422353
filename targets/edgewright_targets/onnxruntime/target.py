"""The target `onnxruntime`: metadata only. Keys and row order: see `edgewright.nouns.target`."""


def _row(version, python, glibc, opset, ir, numpy):
    return {
        "distribution": "onnxruntime",
        "version": version,
        "python": python,
        "archs": ["x86_64", "aarch64"],
        "glibc": glibc,
        "requires": [numpy],
        "caps": {"opset": opset, "ir": ir},
    }


TARGET = {
    "title": "ONNX Runtime",
    "entry": "model.onnx",
    "precisions": ["fp32", "fp16", "int8-dynamic", "int8", "as-is"],
    "framework": "onnx",
    "tools": ["onnx", "onnxruntime"],
    "routes": {
        "keras": {"stages": [["tensorflow", "onnxruntime.from_tensorflow"], ["onnx", "onnxruntime.finish"]]},
        "h5": {"stages": [["tensorflow", "onnxruntime.from_tensorflow"], ["onnx", "onnxruntime.finish"]]},
        "savedmodel": {
            "stages": [["tensorflow", "onnxruntime.from_tensorflow"], ["onnx", "onnxruntime.finish"]]
        },
        "onnx": {"stages": [["onnx", "onnxruntime.from_onnx"], ["onnx", "onnxruntime.finish"]]},
    },
    "as_is": {"onnx": {"stages": [["onnx", "onnxruntime.as_is"]]}},
    "calibration_methods": ["minmax"],
    "accelerators": ["cpu", "cuda", "tensorrt"],
    "requirements": ["numpy"],
    "runtimes": [
        _row("1.32.0", "3.11-3.14", "2.28", 27, 14, "numpy>=1.21.6"),
        _row("1.28.0", "3.11-3.14", "2.27", 23, 11, "numpy>=1.21.6"),
        _row("1.23.2", "3.10-3.10", "2.27", 23, 11, "numpy>=1.21.6"),
        _row("1.19.2", "3.8-3.9", "2.27", 21, 10, "numpy>=1.19.5"),
        _row("1.14.1", "3.7-3.7", "2.17", 18, 8, "numpy<2"),
        _row("1.10.0", "3.6-3.6", "2.17", 15, 8, "numpy<2"),
    ],
}
