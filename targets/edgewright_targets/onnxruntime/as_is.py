"""The .onnx source itself, unless its shapes had to be made static."""

import shutil

from edgewright_targets.onnxruntime import from_onnx
from edgewright_targets.onnxruntime.files import described


def convert(work):
    """Copies it, or writes it with its static shapes."""
    import onnx

    if work.source.model == onnx.load(str(work.path)):
        shutil.copyfile(work.path, work.folder / work.entry)
    else:
        from_onnx.convert(work)
    return described(work, "")
