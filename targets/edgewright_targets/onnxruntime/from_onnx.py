"""The ONNX source with its static shapes, before any quantisation."""

from edgewright_targets.onnxruntime.files import save


def convert(work):
    """Writes and checks it."""
    import onnx

    save(work.source.model, work.folder / work.entry)
    onnx.checker.check_model(str(work.folder / work.entry))
