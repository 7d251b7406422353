"""PyTorch -> float .tflite, by litert-torch. Inputs keep the source's shapes (NCHW stays NCHW) and dtypes."""


def convert(work):
    """The source's module with its example inputs.

    Raises whatever the converter raises.
    """
    import litert_torch

    model = litert_torch.convert(work.source.module, work.source.example, enable_x64=True)
    model.export(str(work.folder / work.entry))
