"""ONNX models as TensorRT engines, built on the board."""
