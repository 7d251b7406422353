"""int8 of attention whose mask is an input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import masked_models
import numpy as np
import pytest

from edgewright.nouns.artifact import Artifact
from edgewright_targets.openvino.choose_float_nodes import masked_attention


@pytest.mark.parametrize("kind", ["bool", "int64"])
def test_words_that_are_averaged(kind: str, tmp_path: Path, compiled: Callable[..., Artifact]) -> None:
    """The average drops its axis, over which the runtime moves the scales of the product before it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    masked_models.write(tmp_path, -1e9)
    model = onnx.load(str(tmp_path / "attention.onnx"))
    graph, node = model.graph, helper.make_node
    graph.node[-1].output[0] = "words"
    graph.node.append(node("ReduceMean", ["words"], ["average"], axes=[1], keepdims=0))
    graph.node.append(node("MatMul", ["average", "wc"], ["logits"]))
    draw = np.random.default_rng(4)
    graph.initializer.append(numpy_helper.from_array(draw.normal(size=(20, 5)).astype("float32"), "wc"))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 5]))
    if kind == "bool":
        graph.input[1].type.tensor_type.elem_type = TensorProto.BOOL
    onnx.save(model, str(tmp_path / "pooled.onnx"))
    with np.load(tmp_path / "text.npz") as text:
        np.savez(tmp_path / "data.npz", ids=text["ids"], mask=text["mask"].astype(kind))
    artifact = compiled(tmp_path / "pooled.onnx", "openvino", "int8", calibration=tmp_path / "data.npz")
    assert artifact.manifest.parity.sqnr_db > 28


def test_attention_in_one_operation_with_a_mask_of_floats_stays_in_floats() -> None:
    import openvino as ov
    from openvino import opset13 as ops

    shape = [1, 2, 12, 16]

    def attention(*mask: Any) -> ov.Model:
        given = [ops.parameter(shape, np.float32) for _ in "qkv"]
        one = ops.scaled_dot_product_attention(*given, *mask)
        one.set_friendly_name("attention")
        return ov.Model(
            [ops.result(one)], [*given, *(each for each in mask if each.get_type_name() == "Parameter")]
        )

    assert masked_attention(attention(ops.parameter([1, 1, 12, 12], np.float32))) == ["attention"]
    assert masked_attention(attention(ops.parameter([1, 1, 12, 12], np.bool_))) == []
    assert masked_attention(attention()) == []


@pytest.mark.slow
def test_attention_of_pytorch_with_a_mask(tmp_path: Path, compiled: Callable[..., Artifact]) -> None:
    import torch

    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.inner = torch.nn.Embedding(100, 32), torch.nn.Linear(32, 96)
            self.last = torch.nn.Linear(32, 5)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            x = self.words(ids)
            q, k, v = (part.view(1, 12, 2, 16).transpose(1, 2) for part in self.inner(x).chunk(3, -1))
            hidden = (1.0 - mask.float())[:, None, None, :] * -10000.0
            seen = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=hidden)
            return self.last(x + seen.transpose(1, 2).reshape(1, 12, 32))

    torch.manual_seed(0)
    given = (torch.zeros(1, 12, dtype=torch.long), torch.ones(1, 12, dtype=torch.bool))
    torch.export.save(torch.export.export(Masked().eval(), given), str(tmp_path / "masked.pt2"))
    draw = np.random.default_rng(3)
    seen = np.arange(12) < draw.integers(3, 13, (64, 1, 1))
    np.savez(tmp_path / "data.npz", ids=draw.integers(0, 100, (64, 1, 12)), mask=seen)
    artifact = compiled(tmp_path / "masked.pt2", "openvino", "int8", calibration=tmp_path / "data.npz")
    assert artifact.manifest.parity.sqnr_db > 28
    assert any("attention with a mask" in note for note in artifact.manifest.notes)
