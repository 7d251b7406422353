"""Compression of ONNX graphs: all that needs no training, run by ONNX Runtime."""
