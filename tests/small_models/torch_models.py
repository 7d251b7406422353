"""Small seeded PyTorch models. Each function answers (module, example inputs): `torch_models.py:cnn` is a source."""

import torch
from torch import nn


class Cnn(nn.Module):
    """(1, 3, 16, 16) -> 5: convolution, depthwise convolution and BatchNorm with uneven statistics; dropout."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.point = nn.Conv2d(8, 8, 1)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(32, 5)

    def forward(self, image):
        x = self.depthwise(self.first(image))
        x = nn.functional.avg_pool2d(x + self.point(x), 4).flatten(1)
        return torch.softmax(self.last(self.drop(x)), dim=-1)


class TwoInTwoOut(nn.Module):
    """right, left of (1, 4) -> {total, gap} of 3."""

    def __init__(self):
        super().__init__()
        self.both = nn.Linear(8, 8)
        self.total, self.gap = nn.Linear(12, 3), nn.Linear(12, 3)

    def forward(self, right, left):
        both = torch.relu(self.both(torch.cat([right, left], dim=1)))
        return {
            "total": self.total(torch.cat([both, right], dim=1)),
            "gap": self.gap(torch.cat([left, both], dim=1)),
        }


class Tokens(nn.Module):
    """(1, 12) token ids below 16, int64 -> 4."""

    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(16, 6), nn.Linear(72, 4)

    def forward(self, tokens):
        return self.last(self.table(tokens).flatten(1))


class Recurrent(nn.Module):
    """(1, 10, 6) -> a recurrent layer of 8 -> 4."""

    def __init__(self, kind):
        super().__init__()
        self.cells, self.last = kind(6, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, series):
        return self.last(self.cells(series)[0][:, -1])


class Attention(nn.Module):
    """(1, 8, 16) -> self-attention of two heads, layer normalisation -> 4."""

    def __init__(self):
        super().__init__()
        self.heads = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm, self.wide, self.last = nn.LayerNorm(16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, series):
        x = self.norm(series + self.heads(series, series, series, need_weights=False)[0])
        return self.last(nn.functional.gelu(self.wide(x)).mean(1))


class Dynamic(nn.Module):
    """(1, 3, height, width) -> 4."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 3), nn.Linear(6, 4)

    def forward(self, image):
        return self.last(torch.relu(self.first(image)).mean((2, 3)))


def cnn():
    module = seeded(Cnn, 1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, 0.0, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.7, 1.3)
            nn.init.normal_(layer.bias, 0.0, 0.2)
    return module, (torch.zeros(1, 3, 16, 16),)


def two_in_two_out():
    return seeded(TwoInTwoOut, 2), (torch.zeros(1, 4), torch.zeros(1, 4))


def tokens():
    return seeded(Tokens, 3), (torch.zeros(1, 12, dtype=torch.int64),)


def lstm():
    return seeded(lambda: Recurrent(nn.LSTM), 4), (torch.zeros(1, 10, 6),)


def gru():
    return seeded(lambda: Recurrent(nn.GRU), 5), (torch.zeros(1, 10, 6),)


def attention():
    return seeded(Attention, 6), (torch.zeros(1, 8, 16),)


def dynamic():
    return seeded(Dynamic, 7), (torch.zeros(1, 3, 12, 14),)


def seeded(kind, seed):
    """A module with weights of a lively size: torch's own defaults give nearly the same output for every input."""
    torch.manual_seed(seed)
    module = kind()
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, 1.4 / (weight[0].numel() ** 0.5))
    return module


MODELS = {made.__name__: made for made in (cnn, two_in_two_out, tokens, lstm, gru, attention, dynamic)}


def make(folder):
    """Writes `<name>.pt2`; the spatial axes of `dynamic` are open."""
    for name, function in MODELS.items():
        module, example = function()
        shapes = None
        if name == "dynamic":
            shapes = ({2: torch.export.Dim("height", min=4), 3: torch.export.Dim("width", min=4)},)
        program = torch.export.export(module.eval(), example, dynamic_shapes=shapes)
        torch.export.save(program, folder / f"{name}.pt2")
