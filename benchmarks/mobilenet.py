"""MobileNetV2 with seeded random weights: `python mobilenet.py FILE.keras`.

The weights are He-normal with each layer's own fan-in: with Keras' default initialisation the
activations decay until every class is 0.001 for every input, and a benchmark would run on denormal numbers.
The batch normalisations stay at identity; every converter folds them.
"""

from __future__ import annotations

import sys
from typing import Any

SEED = 7
SIZE = 224
LEAST_SPREAD = 1e-3  # least difference between the outputs of two inputs


def build() -> Any:
    """The Keras model, input (None, 224, 224, 3), output (None, 1000).

    Raises:
        SystemExit: its outputs do not differ between inputs.
    """
    import keras
    import numpy as np

    model = keras.applications.MobileNetV2(weights=None, input_shape=(SIZE, SIZE, 3))
    random = np.random.default_rng(SEED)
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D | keras.layers.Dense):
            kernel, *rest = layer.get_weights()
            shape = kernel.shape
            alone = isinstance(layer, keras.layers.DepthwiseConv2D)
            fan_in = np.prod(shape[:2]) if alone else np.prod(shape[:-1])
            values = random.normal(scale=np.sqrt(2.0 / fan_in), size=shape)
            layer.set_weights([values.astype(np.float32), *(np.zeros_like(one) for one in rest)])
    check(np.asarray(model(random.normal(size=(2, SIZE, SIZE, 3)).astype(np.float32))))
    return model


def check(outputs: Any) -> None:
    """Refuses a model whose outputs are not finite, or are the same for two inputs."""
    spread = float(abs(outputs[0] - outputs[1]).max())
    if not spread > LEAST_SPREAD:
        raise SystemExit(f"the outputs do not differ between inputs: {spread:.2g}")
    print(
        f"outputs of two inputs differ by {spread:.3g}, largest {float(outputs.max()):.3g}", file=sys.stderr
    )


if __name__ == "__main__":
    build().save(sys.argv[1])
