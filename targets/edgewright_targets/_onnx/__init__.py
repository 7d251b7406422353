"""Conversions to ONNX and passes over ONNX graphs, for every target that accepts ONNX. This package is not a target."""
