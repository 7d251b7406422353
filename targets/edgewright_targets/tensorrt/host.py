"""Runs an artifact on the host, which has no TensorRT, with ONNX Runtime.

So conversion and quantisation are checked here; what TensorRT makes of the file, the goldens check on the board.
"""

from edgewright_targets.onnxruntime.runner import accelerators, import_runtime, load

__all__ = ["accelerators", "import_runtime", "load"]
