"""ONNX models as machine code, compiled by IREE for the CPU of a board."""
