"""What hosts expect that name no runtimes in their hello. It is history: no new target belongs here."""

TARGETS = {  # distribution: target
    "ai-edge-litert": "tflite",
    "onnxruntime": "onnxruntime",
    "onnxruntime-gpu": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tflite-runtime": "tflite",
}


def target_of(name: "str", version: "str") -> "str":
    """The target that such a host knows for a distribution; OpenVINO's first interface ended with 2021."""
    return "openvino2021" if name == "openvino" and version < "2022" else TARGETS[name]
