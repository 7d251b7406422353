"""Counts multiplications and weights."""

from __future__ import annotations

import warnings

from edgewright.compress.pytorch.body import Body


def macs(body: Body) -> int:
    """Multiply-adds of one sample in convolutions and dense layers, those inside recurrent layers and attention included.

    Products of two activations, as in attention, do not count.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    aten = torch.ops.aten
    counter = FlopCounterMode(display=False)
    # without gradients, or with oneDNN, PyTorch fuses attention and recurrent layers into operators that are not counted
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # switching oneDNN off warns of the absence of Intel's graphics processors
        with torch.enable_grad(), torch.backends.mkldnn.flags(enabled=False), counter:
            body.flat(*(tensor[:1] for tensor in body.example))
    counts = counter.get_flop_counts().get("Global", {})
    return int(sum(counts.get(operator, 0) for operator in (aten.convolution, aten.addmm, aten.mm))) // 2


def parameters(body: Body) -> int:
    """All weights. Weights that several layers share count once."""
    return sum(tensor.numel() for tensor in body.flat.parameters())
