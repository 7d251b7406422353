"""`python tests/small_models KIND FOLDER` writes the small models of one kind: see KINDS."""

import importlib
import sys
from pathlib import Path

KINDS = {
    "keras": ("keras_models", "make"),
    "tf_keras": ("tf_keras_models", "make"),
    "torch": ("torch_models", "make"),
    "onnx": ("onnx_models", "make"),
    "ir": ("onnx_models", "make_ir"),
    "frozen": ("frozen_models", "make"),
}

if __name__ == "__main__":
    module, function = KINDS[sys.argv[1]]
    getattr(importlib.import_module(module), function)(Path(sys.argv[2]))
