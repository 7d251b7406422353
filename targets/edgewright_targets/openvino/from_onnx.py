"""The ONNX source with its static shapes, which OpenVINO reads by itself."""


def convert(work):
    """Writes it."""
    (work.folder / "model.onnx").write_bytes(work.source.model.SerializeToString(deterministic=True))
