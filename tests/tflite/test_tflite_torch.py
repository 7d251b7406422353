"""PyTorch modules that litert-torch refuses or converts wrongly as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Artifact

pytestmark = pytest.mark.slow

CODE = """
import torch
from torch import nn

class Up(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = nn.ConvTranspose2d(4, 8, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.line = nn.ConvTranspose1d(8, 6, 3, stride=2, padding=1)
        self.solid = nn.ConvTranspose3d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2)

    def forward(self, x):
        flat = self.flat(torch.relu(x))
        line = self.line(flat.flatten(2))
        return flat, line, self.solid(line[:, :, :24].reshape(1, 2, 3, 4, 6)) + self.flat.bias[0]

class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6, 4).to(torch.bfloat16)
        self.register_buffer("shift", torch.linspace(0, 1, 6, dtype=torch.float64))

    def forward(self, x):
        body = torch.relu(self.body(x.float())).mean((2, 3))
        return self.head((body.double() + self.shift).to(torch.bfloat16)).half()

class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.odd = nn.AdaptiveMaxPool2d((3, 5))

    def forward(self, x):
        return self.odd(x)

def up():
    return Up().eval(), torch.zeros(1, 4, 5, 6)

def half():
    return Half().eval(), torch.zeros(1, 3, 8, 8, dtype=torch.float16)

def pooled():
    return Pooled().eval(), torch.zeros(1, 2, 7, 11)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(CODE)
    return tmp_path / "net.py"


def test_transposed_convolutions_are_taken_apart(convert: Callable[..., Artifact], code: Path) -> None:
    manifest = convert(Path(f"{code}:up"), "fp32").manifest
    assert manifest.parity.sqnr_db > 100
    assert [spec.shape for spec in manifest.outputs] == [(1, 8, 10, 12), (1, 6, 239), (1, 4, 8, 10, 14)]
    assert "taken apart into operators that LiteRT has: flat, line, solid" in manifest.notes


def test_narrow_and_double_floats_become_float32(convert: Callable[..., Artifact], code: Path) -> None:
    first = convert(Path(f"{code}:half"), "fp32").manifest
    assert (
        "bfloat16 and float16 and float64 became float32 before the conversion, inputs too: x" in first.notes
    )
    assert first.inputs[0].dtype == first.outputs[0].dtype == "float32"
    assert first.parity.sqnr_db > 35
    second = convert(Path(f"{code}:half"), "int8").manifest  # in the same worker: the source is as it was
    assert second.parity.sqnr_db > 25


def test_a_layer_that_cannot_be_converted_is_named(convert: Callable[..., Artifact], code: Path) -> None:
    with pytest.raises(ConversionError) as refused:
        convert(Path(f"{code}:pooled"), "fp32")
    assert refused.value.message.startswith(
        "litert-torch refused the model: it has no way to convert adaptive_max_pool2d, in layer odd, at net.py:"
    )
    assert "--target onnxruntime" in refused.value.hint
