"""The target `tflite`: metadata only. Keys and row order: see `edgewright.nouns.target`."""

_OLD = {"CONV_2D": 7, "FULLY_CONNECTED": 11}  # operator versions

TARGET = {
    "title": "LiteRT (TensorFlow Lite)",
    "entry": "model.tflite",
    "precisions": ["fp32", "fp16", "int8-dynamic", "int8", "as-is"],
    "framework": "litert",
    "tools": ["ai-edge-litert"],
    "routes": {
        "keras": {"stages": [["tensorflow", "tflite.from_tensorflow"]]},
        "h5": {"stages": [["tensorflow", "tflite.from_tensorflow"]]},
        "savedmodel": {"stages": [["tensorflow", "tflite.from_tensorflow"]]},
    },
    "as_is": {"tflite": {"stages": [["litert", "tflite.as_is"]]}},
    "calibration_methods": ["minmax"],
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
            "caps": _OLD,
        },
    ],
}
