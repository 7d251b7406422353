"""PyTorch nets of the benchmark: `python -m compression_bench.torch_nets NET SEED EPOCHS TRAIN.npz FOLDER` trains one.

It writes the weights, `net.pt`, and beside them `net.py`: this module with a function `net` that edgewright calls.
"""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

BATCH, RATE = 64, 3e-3
_TAIL = """

def net():
    # weights {digest}: other weights are another file
    module = NETS["{name}"]()
    module.load_state_dict(torch.load(Path(__file__).with_name("net.pt"), weights_only=True))
    return module.eval(), (torch.zeros({shape}),)
"""


def _unit(inner: int, outer: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding = kernel // 2
    return [
        nn.Conv2d(inner, outer, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outer),
    ]


class Residual(nn.Module):
    """A stem and two residual blocks, the second of which halves the picture: 20,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_unit(1, 16, stride=2), nn.ReLU())
        self.first = nn.Sequential(*_unit(16, 16), nn.ReLU(), *_unit(16, 16))
        self.second = nn.Sequential(*_unit(16, 32, stride=2), nn.ReLU(), *_unit(32, 32))
        self.short = nn.Sequential(*_unit(16, 32, 1, 2))
        self.digit = nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        x = torch.relu(x + self.first(x))
        x = torch.relu(self.short(x) + self.second(x))
        return self.digit(x.mean((2, 3)))


class Depthwise(nn.Module):
    """A stem and three depthwise separable blocks: 19,000 parameters."""

    def __init__(self) -> None:
        super().__init__()
        parts, inner = [*_unit(1, 24, stride=2), nn.ReLU()], 24
        for outer, stride in ((48, 1), (96, 2), (96, 1)):
            parts += [*_unit(inner, inner, 3, stride, inner), nn.ReLU(), *_unit(inner, outer, 1), nn.ReLU()]
            inner = outer
        self.body, self.digit = nn.Sequential(*parts), nn.Linear(inner, 10)

    def forward(self, x: Any) -> Any:
        return self.digit(self.body(x).mean((2, 3)))


NETS = {"residual": Residual, "depthwise": Depthwise}


def main(name: str, seed: int, epochs: int, data: Path, folder: Path) -> None:
    """Trains a net. It ends in logits."""
    with np.load(data) as found:
        x, labels = torch.from_numpy(found["x"]), torch.from_numpy(found["labels"])
    torch.manual_seed(seed)
    net, steps = NETS[name](), epochs * math.ceil(len(x) / BATCH)
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[rows]), labels[rows]).backward()
            optimiser.step()
            falling.step()
    torch.save(net.state_dict(), folder / "net.pt")
    digest = hashlib.sha256((folder / "net.pt").read_bytes()).hexdigest()
    tail = _TAIL.format(digest=digest, name=name, shape=", ".join(map(str, (1, *x.shape[1:]))))
    head = Path(__file__).read_text().partition("\nif __name__")[0]
    (folder / "net.py").write_text(head + tail)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]))
