"""ONNX models as TensorRT engines, which are built on the board."""
