"""ONNX models on ONNX Runtime, and the ONNX stages that other targets share."""
