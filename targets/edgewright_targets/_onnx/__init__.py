"""Conversions to ONNX and passes over ONNX graphs, for every target that takes ONNX. No target itself."""
