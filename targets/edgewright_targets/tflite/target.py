"""The target `tflite`: metadata only. Keys and row order: see `edgewright.nouns.target`."""

# operator versions; of all but the first two, files name older ones than they need: see `finish.beyond_versions`
_OLD = {
    "CONV_2D": 7,
    "FULLY_CONNECTED": 11,
    "DEQUANTIZE": 5,
    "BATCH_MATMUL": 4,
    "SQRT": 2,
    "RSQRT": 3,
    "SLICE": 6,
}


def _route(worker, module, **more):
    """By floats, which the last stage quantises where the first has not done so."""
    stages = [[worker, f"tflite.{module}"], ["litert", "tflite.finish"]]
    return {"stages": stages, "tools": ["ai-edge-quantizer"], **more}


TARGET = {
    "title": "LiteRT (TensorFlow Lite)",
    "entry": "model.tflite",
    "precisions": [
        "fp32",
        "fp16",
        "int8-dynamic",
        "int8",
        "int8-mixed",
        "int16x8",
        "int8-weights",
        "int4-weights",
        "as-is",
    ],
    "framework": "litert",
    "tools": ["ai-edge-litert"],
    "routes": {
        "keras": _route("tensorflow", "from_tensorflow"),
        "h5": _route("tensorflow", "from_tensorflow"),
        "savedmodel": _route("tensorflow", "from_tensorflow"),
        "frozen": _route("tensorflow", "from_tensorflow"),
        "onnx": _route("onnx", "from_onnx", toolchains=["onnx2tf"]),
        "pt2": {**_route("torch", "from_torch"), "tools": ["ai-edge-quantizer", "litert-torch"]},
        "pytorch": {**_route("torch", "from_torch"), "tools": ["ai-edge-quantizer", "litert-torch"]},
        "tflite": _route("litert", "from_tflite"),
    },
    "as_is": {"tflite": {"stages": [["litert", "tflite.as_is"]]}},
    "calibration_methods": ["minmax", "percentile"],
    "accelerators": ["cpu"],
    "requirements": ["numpy"],
    "runtimes": [
        {
            "distribution": "ai-edge-litert",
            "version": "2.3.0",
            "python": "3.10-3.14",
            "archs": ["x86_64", "aarch64"],
            "glibc": "2.27",
            "requires": ["numpy>=1.23.2"],
        },
        {
            "distribution": "ai-edge-litert",
            "version": "2.1.0",
            "python": "3.9-3.9",
            "archs": ["x86_64", "aarch64"],
            "glibc": "2.27",
            "requires": ["numpy>=1.23.2"],
        },
        # the wheels of 2.14.0 for Arm want glibc 2.34, whatever their metadata says about Python
        {
            "distribution": "tflite-runtime",
            "version": "2.14.0",
            "python": "3.8-3.11",
            "archs": ["x86_64"],
            "glibc": "2.17",
            "requires": ["numpy>=1.19.2,<2"],
            "caps": _OLD,
        },
        {
            "distribution": "tflite-runtime",
            "version": "2.14.0",
            "python": "3.8-3.11",
            "archs": ["aarch64"],
            "glibc": "2.34",
            "requires": ["numpy>=1.19.2,<2"],
            "caps": _OLD,
        },
        # no index holds numpy for 32-bit Arm: the board's own has to be there
        {
            "distribution": "tflite-runtime",
            "version": "2.14.0",
            "python": "3.9-3.11",
            "archs": ["armv7l"],
            "glibc": "2.34",
            "requires": [],
            "own": ["numpy>=1.19.2,<2"],
            "caps": _OLD,
        },
        {
            "distribution": "tflite-runtime",
            "version": "2.13.0",
            "python": "3.8-3.10",
            "archs": ["aarch64"],
            "glibc": "2.17",
            "requires": ["numpy>=1.19.2,<2"],
            "caps": _OLD,
        },
        {
            "distribution": "tflite-runtime",
            "version": "2.13.0",
            "python": "3.9-3.9",
            "archs": ["armv7l"],
            "glibc": "2.17",
            "requires": [],
            "own": ["numpy>=1.19.2,<2"],
            "caps": _OLD,
        },
    ],
}
