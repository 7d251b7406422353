"""Functions that return (module, example inputs): the forms of networks that compression has to take."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


class Residual(nn.Module):
    def __init__(self, classes=10, channels=1, width=16):
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width, momentum=0.3)
        self.first = nn.Conv2d(width, 24, 3, padding=1, bias=False)
        self.inner = nn.BatchNorm2d(24, momentum=0.3)
        self.second = nn.Conv2d(24, width, 3, padding=1)
        self.down = nn.Conv2d(width, 32, 3, stride=2, padding=1)
        self.last = nn.Linear(32, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(x + self.second(F.silu(self.inner(self.first(x)))))
        return self.last(F.softplus(self.down(x)).mean((2, 3)))


class Depthwise(nn.Module):
    def __init__(self, classes=12):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, (10, 4), stride=(5, 2), padding=(5, 1))
        self.norm = nn.BatchNorm2d(16, momentum=0.3)
        self.wise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.wise_norm = nn.BatchNorm2d(16, momentum=0.3)
        self.point = nn.Conv2d(16, 24, 1)
        self.last = nn.Linear(24, classes)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x.permute(0, 3, 1, 2))))
        x = F.relu(self.wise_norm(self.wise(x)))
        return F.softmax(self.last(F.relu(self.point(x)).mean((2, 3))), -1)


class Concat(nn.Module):
    """Concatenation, transposed convolution, PReLU, flatten, and a residual over the concatenation."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 12, 5, padding=2)
        self.whole = nn.Conv2d(3, 20, 1)
        self.slope = nn.PReLU(20)
        self.up = nn.ConvTranspose2d(20, 6, 2, stride=2)
        self.dense, self.last = nn.Linear(6 * 64, 10), nn.Linear(10, 4)

    def forward(self, x):
        joined = torch.cat([torch.cos(self.a(x)), self.b(x)], 1) + self.whole(x)
        y = F.max_pool2d(self.up(self.slope(joined)), 2)
        return self.last(F.gelu(self.dense(torch.exp(-y).flatten(1))))


class Squeeze(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.reduce, self.widen = nn.Conv2d(16, 6, 1), nn.Conv2d(6, 16, 1)
        self.after, self.last = nn.Conv2d(16, 10, 1), nn.Linear(10, 3)

    def forward(self, x):
        x = F.hardswish(self.norm(self.stem(x)))
        x = x * torch.sigmoid(self.widen(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))
        return self.last(F.adaptive_avg_pool2d(self.after(x), 1).flatten(1))


class Sound(nn.Module):
    """1-d convolutions; the channels are a sequence's features in the dense layers."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv1d(4, 12, 3, padding=1), nn.Conv1d(12, 8, 3, padding=1)
        self.mid, self.last = nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = F.relu(self.b(F.elu(self.a(x)))).transpose(1, 2)
        return self.last(F.relu(self.mid(x)).mean(1))


class Hard(nn.Module):
    """One block after another that torch-pruning cannot cut, or cuts wrongly."""

    def __init__(self, block, width=8):
        super().__init__()
        self.before, self.block, self.after = nn.Conv2d(3, width, 3, padding=1), block, nn.Linear(width, 4)
        self.free, self.last = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.after(self.block(self.before(x)))
        return self.last(F.relu(self.free(x)))


class Do(nn.Module):
    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


def pooled(x):
    return x.mean((2, 3))


def shuffled(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Gamma(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(8))

    def forward(self, x):
        return pooled(x) * self.gamma


def twice(x, layer):
    return layer(layer(pooled(x)))


BLOCKS = {
    "layer_norm": lambda: Do(lambda x, norm: norm(pooled(x)), nn.LayerNorm(8)),
    "group_norm": lambda: Do(lambda x, norm: pooled(norm(x)), nn.GroupNorm(4, 8)),
    "softmax": lambda: Do(lambda x: pooled(torch.softmax(x, 1))),
    "mean": lambda: Do(lambda x: pooled(x - x.mean(1, keepdim=True))),
    "length": lambda: Do(lambda x: F.normalize(pooled(x), dim=1)),
    "shuffle": lambda: Do(lambda x: pooled(shuffled(x))),
    "gate": lambda: Do(lambda x, grow: F.glu(grow(pooled(x)), 1), nn.Linear(8, 16)),
    "grouped": lambda: Do(lambda x, conv: pooled(conv(x)), nn.Conv2d(8, 8, 3, groups=2)),
    "multiplied": lambda: Do(lambda x, conv, to: to(pooled(conv(x))), nn.Conv2d(8, 16, 3, groups=8), nn.Linear(16, 8)),
    "view": lambda: Do(lambda x: pooled(x).view(-1, 8)),
    "split": lambda: Do(lambda x: torch.cat(pooled(x).split([3, 5], 1)[::-1], 1)),
    "permuted": lambda: Do(lambda x: pooled(x[:, [3, 1, 0, 2, 7, 5, 6, 4]])),
    "attention": lambda: Do(
        lambda x, mix: mix(*[x.flatten(2).transpose(1, 2)] * 3)[0].mean(1), nn.MultiheadAttention(8, 2, batch_first=True)
    ),
    "lstm": lambda: Do(lambda x, mix: mix(x.flatten(2).transpose(1, 2))[0][:, -1], nn.LSTM(8, 8, batch_first=True)),
    "gru": lambda: Do(lambda x, mix: mix(x.flatten(2).transpose(1, 2))[0][:, -1], nn.GRU(8, 8, batch_first=True)),
    "gamma": Gamma,
    "twice": lambda: Do(twice, nn.Linear(8, 8)),
    "norm_of_weights": lambda: Do(
        lambda x, conv: pooled(conv(x)), nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 1))
    ),
    "instance_norm": lambda: Do(lambda x, norm: pooled(norm(x)), nn.InstanceNorm2d(8, affine=True, track_running_stats=True)),
    "square": lambda: Do(lambda x: pooled(x @ x.transpose(2, 3))),
    "gram": lambda: Do(lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)).mean(1)),
}  # fmt: skip


def settle(module, *shape):
    """Gives batch normalisation statistics other than 0 and 1, and weights without symmetry."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._NormBase):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module, torch.randn(shape)


def residual():
    return settle(Residual(), 1, 1, 8, 8)


def depthwise():
    return settle(Depthwise(), 1, 49, 10, 1)


def concat():
    return settle(Concat(), 1, 3, 8, 8)


def squeeze():
    return settle(Squeeze(), 1, 3, 8, 8)


def sound():
    return settle(Sound(), 1, 4, 20)


def named():
    class Both(Residual):
        def forward(self, image):
            x = super().forward(image)
            return x, x.argmax(1)

    return Both(), torch.zeros(1, 1, 8, 8), {"inputs": ["picture"], "outputs": ["z logits", "a_class"]}


def hard(name):
    return settle(Hard(BLOCKS[name]()), 1, 3, 6, 6)


def baked():
    class Baked(nn.Linear):
        def forward(self, x):
            return super().forward(x.view(1, -1))

    return Baked(48, 2), torch.zeros(1, 3, 4, 4)


for _name in BLOCKS:
    globals()[f"hard_{_name}"] = lambda name=_name: hard(name)


def stubborn():
    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 8, 3), nn.Linear(8, 2)

        def forward(self, x):
            return self.last(self.conv(x).mean((2, 3)).reshape(-1, 8))

    return Stubborn(), torch.zeros(1, 3, 5, 5)


def dropping():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.Linear(32, 10)), torch.zeros(
        1, 1, 8, 8
    )


def flat_norm():
    layers = nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10)
    return nn.Sequential(*layers), torch.zeros(1, 1, 8, 8)


def three(*more, outputs=3):
    return nn.Sequential(nn.Linear(3, outputs), *more), torch.ones(1, 3)


def logit():
    return three(outputs=1)


def sigmoid():
    return three(nn.Sigmoid(), outputs=1)


def two_numbers():
    return three(outputs=2)


def three_logits():
    return three()


def three_probabilities():
    return three(nn.Softmax(-1))


def rectified():
    return three(nn.ReLU())


def other_three():
    torch.manual_seed(5)
    return three()


def across():
    class Across(nn.Linear):
        def forward(self, x):
            x = super().forward(x)
            return x - x.mean(0, keepdim=True)

    return Across(3, 2), torch.zeros(1, 3)


def frozen():
    net, example = residual()
    net.stem.requires_grad_(False)
    return net, example


def fresh_residual():
    return Residual(), torch.zeros(1, 1, 8, 8)


def fresh_depthwise():
    return Depthwise(), torch.zeros(1, 49, 10, 1)


def two_inputs():
    class Two(nn.Linear):
        def forward(self, z, a):
            return super().forward(z) * a

    return Two(3, 3), (torch.ones(1, 3), torch.ones(1, 3)), {"inputs": ["z.0", "1a"]}


def baked_view():
    class View(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(1, 4, 3), nn.Linear(144, 10)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x):
            return self.last(F.relu(self.norm(self.conv(x))).reshape(1, 144))

    return View(), torch.zeros(1, 1, 8, 8)


class Digits(nn.Module):
    """For images of 8x8 pixels, channels last; ReLU and max pooling are functions."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.first, self.inner = nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24)
        self.second, self.last = nn.Conv2d(24, 16, 3, padding=1), nn.Linear(256, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x.permute(0, 3, 1, 2))))
        x = F.relu(x + self.second(F.relu(self.inner(self.first(x)))))
        return self.last(F.max_pool2d(x, 2).flatten(1))


def digits():
    torch.manual_seed(1)
    return Digits(), torch.zeros(1, 8, 8, 1)


class Mobile(nn.Module):
    """Separable convolutions, as in MobileNet, for images of 8x8 pixels, channels last."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.wise, self.wise_norm = nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16)
        self.point, self.point_norm = nn.Conv2d(16, 24, 1), nn.BatchNorm2d(24)
        self.deep, self.deep_norm = nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24), nn.BatchNorm2d(24)
        self.wide, self.wide_norm = nn.Conv2d(24, 32, 1), nn.BatchNorm2d(32)
        self.last = nn.Linear(32, 10)

    def forward(self, x):
        x = F.relu(self.stem_norm(self.stem(x.permute(0, 3, 1, 2))))
        x = F.relu(self.wise_norm(self.wise(x)))
        x = F.relu(self.point_norm(self.point(x)))
        x = F.relu(self.deep_norm(self.deep(x)), inplace=True)
        return self.last(F.relu(self.wide_norm(self.wide(x))).mean((2, 3)))


def mobile():
    torch.manual_seed(1)
    return Mobile(), torch.zeros(1, 8, 8, 1)


class RandomChain(nn.Module):
    """Random layers, one after another, some with a shortcut around them, or twice side by side."""

    def __init__(self, choices):
        super().__init__()
        self.parts, width = nn.ModuleList(), 3
        for _ in range(6):
            kind, wide = choices.choice(["conv", "wise", "up", "grouped"]), int(choices.integers(2, 5)) * 2
            bias = bool(choices.integers(2))
            if kind == "wise":
                wide = width * int(choices.integers(1, 3))
                layer = nn.Conv2d(width, wide, 3, padding=1, groups=width, bias=bias)
            elif kind == "up":
                layer = nn.ConvTranspose2d(width, wide, 3, padding=1, bias=bias)
            else:
                groups = 2 if kind == "grouped" and width % 2 == 0 else 1
                layer = nn.Conv2d(width, wide, 3, padding=1, groups=groups, bias=bias)
            norm = [nn.Identity(), nn.BatchNorm2d(wide), nn.BatchNorm2d(wide, affine=False)][
                choices.integers(3)
            ]
            after = [
                nn.ReLU(inplace=True), nn.LeakyReLU(0.1), nn.PReLU(wide), nn.Hardtanh(0, 6), nn.Tanh(), nn.AvgPool2d(3, 1, 1), nn.ReLU(),
                nn.MaxPool2d(3, 1, 1), nn.Dropout(), nn.ZeroPad2d(1),
            ][choices.integers(10)]  # fmt: skip
            joined = (
                choices.choice(["", "", "", "add", "concat"]) if not isinstance(after, nn.ZeroPad2d) else ""
            )
            self.parts.append(
                Joined(nn.Sequential(layer, norm, after), joined if width == wide or joined != "add" else "")
            )
            width = wide + width if joined == "concat" else wide
        self.last = nn.Linear(width, 3)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return self.last(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Joined(nn.Module):
    def __init__(self, inner, how):
        super().__init__()
        self.inner, self.how = inner, how

    def forward(self, x):
        y = self.inner(x)
        if self.how == "concat":
            return torch.cat([x, y], 1)
        return x + y if self.how == "add" else y


def random_chain(seed):
    torch.manual_seed(seed)
    net, example = RandomChain(np.random.default_rng(seed)), torch.randn(1, 3, 6, 6)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.normal_(part.weight)
                nn.init.normal_(part.bias)
    return net, example


for _seed in range(6):
    globals()[f"random_{_seed}"] = lambda seed=_seed: random_chain(seed)


def transposed_norm():
    """The normalisation is over positions, as many as there are channels."""
    net = nn.Sequential(
        nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)
    )
    return settle(net, 1, 5, 4)
