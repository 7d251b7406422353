"""An exported program of PyTorch -> IR in fp32, or ONNX."""

from edgewright_targets.openvino.ports import fixed


def convert(work):
    """By OpenVINO's own reader; as `model.onnx` where layers are named: the names of modules survive only there."""
    import openvino as ov

    if work.keep_float:
        from edgewright_targets.onnxruntime.from_torch import convert

        convert(work)
        (work.folder / work.entry).rename(work.folder / "model.onnx")
        return
    model = fixed(ov.convert_model(work.source.program), work)
    ov.save_model(model, str(work.folder / work.entry), compress_to_fp16=False)
