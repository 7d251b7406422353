"""The target `tensorrt`: metadata only. Keys and row order: see `edgewright.nouns.target`.

TensorRT is part of Jetson's system (JetPack), Python package and all: there are no wheels for it, so no `runtimes`.
"""


def _route(worker, module, *tools):
    return {"stages": [[worker, f"_onnx.{module}"], ["onnx", "tensorrt.finish"]], "tools": list(tools)}


# The newest opset of ONNX that its parser reads, by version, as its release notes and support matrices say. It knows
# neither the classical models (`ml`) nor ONNX Runtime's own operators (`contrib`).
_OPSETS = {"8.0": 13, "8.4": 16, "8.5": 17, "10.0": 20, "10.9": 22, "10.13": 24, "11.0": 25}

TARGET = {
    "title": "NVIDIA TensorRT",
    "entry": "model.onnx",
    "precisions": ["fp32", "fp16", "int8", "int8-mixed", "as-is"],
    "framework": "onnx",
    "host_runner": "host",
    "tools": ["onnx", "onnxruntime"],
    "routes": {
        "keras": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "h5": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "savedmodel": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "frozen": _route("tensorflow", "from_tensorflow", "tf2onnx"),
        "pt2": _route("torch", "from_torch", "onnxscript"),
        "pytorch": _route("torch", "from_torch", "onnxscript"),
        "onnx": _route("onnx", "from_onnx"),
        "tflite": _route("tensorflow", "from_tflite", "tensorflow", "tf2onnx"),
    },
    "as_is": {"onnx": {"stages": [["onnx", "_onnx.as_is"], ["onnx", "tensorrt.finish"]]}},
    "calibration_methods": ["minmax", "entropy", "percentile"],
    "accelerators": ["cuda"],
    "requirements": [],
    "runtimes": [],
    "caps": {
        "tensorrt": {since: {"opset": opset, "ml": 0, "contrib": 0} for since, opset in _OPSETS.items()},
    },
}
