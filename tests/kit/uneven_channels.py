"""A network whose channels differ so much in size that int8 answers some samples wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from int8_files import set_of

from edgewright.compress.frameworks import open_network
from edgewright.compress.network import Network
from edgewright.nouns.compression import Training

NETS = Path(__file__).parents[1] / "compress" / "torch_nets.py"
SPREAD = 3.0  # channels are up to 8 times larger or smaller than they were trained to be
MOBILE = (("stem_norm", "wise"), ("wise_norm", "point"), ("point_norm", "deep"), ("deep_norm", "wide"), ("wide_norm", "last"))  # fmt: skip


def uneven_mobile(digits: Path) -> Network:
    """A network of separable convolutions that knows most digits, with channels that its training did not make uneven enough."""
    import torch

    network = open_network(Path(f"{NETS}:mobile"), "pytorch")
    x, y = set_of(digits, "train.npz")
    for epoch, rate in enumerate((0.01, 0.005)):
        network.train([x], y, Training(loss="cross_entropy", rate=rate), epoch)
    floats = network.predict([x])[0]
    module: Any = network._body.flat.inner  # type: ignore[attr-defined]
    module = getattr(module, "inner", module)
    rng = np.random.default_rng(3)
    with torch.no_grad():
        for norm, reader in MOBILE:
            weight = getattr(module, reader).weight
            scales = torch.from_numpy(2 ** rng.uniform(-SPREAD, SPREAD, len(getattr(module, norm).weight)))
            for vector in (getattr(module, norm).weight, getattr(module, norm).bias):
                vector.div_(scales)
            axis = 0 if weight.shape[1] == 1 else 1
            weight.mul_(scales.reshape([-1 if at == axis else 1 for at in range(weight.ndim)]))
    np.testing.assert_allclose(network.predict([x])[0], floats, atol=1e-3)
    return network
