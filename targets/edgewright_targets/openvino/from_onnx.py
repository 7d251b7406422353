"""The ONNX source with its static shapes, which OpenVINO reads by itself."""


def convert(work):
    """Writes it; weights that are too many for one file stay in files of their own."""
    from edgewright_targets.onnxruntime.files import beside

    (work.folder / "model.onnx").write_bytes(work.source.model.SerializeToString(deterministic=True))
    beside(work.source.model, work.source.path.parent, work.folder)
