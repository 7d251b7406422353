"""What old hosts expect, which name no runtimes in their hello. Frozen: add no new target."""

TARGETS = {  # distribution: target
    "ai-edge-litert": "tflite",
    "onnxruntime": "onnxruntime",
    "onnxruntime-gpu": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tflite-runtime": "tflite",
}


def target_of(name: "str", version: "str") -> "str":
    """The target that an old host knows for a distribution; OpenVINO's first API ended with 2021."""
    return "openvino2021" if name == "openvino" and version < "2022" else TARGETS[name]
