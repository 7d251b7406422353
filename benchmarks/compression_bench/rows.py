"""The rows: what is done to a trained net. Every row that trains does so for the same number of epochs in all."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

BASE_EPOCHS = 8  # of nets that are trained here, before any row
EPOCHS = 6  # of every row that trains
BATCH = 32  # in these
ORIGINAL, CONTROL = "original", "control"
_HALF = EPOCHS // 2


class Row(NamedTuple):
    """One way to compress.

    Attributes:
        steps: of the recipe; none: the net as it was trained.
        against: the row that differs in the technique alone, with which it is compared.
        shared: it is tried on the nets of `../shared` too.
    """

    name: str
    title: str
    steps: tuple[dict[str, Any], ...]
    against: str = CONTROL
    shared: bool = False

    @property
    def key(self) -> str:
        """Changes with the steps and how they train, so that results of others are not taken for these."""
        facts = [BASE_EPOCHS, BATCH, self.steps]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def _channels(epochs: int, **options: Any) -> dict[str, Any]:
    return {"use": "prune-channels", "share": 0.5, "epochs": epochs, **options}


def _weights(epochs: int, **options: Any) -> dict[str, Any]:
    return {"use": "prune", "sparsity": 0.5, "epochs": epochs, **options}


def _narrow(epochs: int) -> dict[str, Any]:
    return {"use": "narrow", "share": 0.5, "epochs": epochs}


def _of(use: str, epochs: int, **options: Any) -> dict[str, Any]:
    return {"use": use, "epochs": epochs, **options}


ALL = (
    Row(ORIGINAL, "as it was trained", (), "", shared=True),
    Row(CONTROL, "trained on, nothing else", (_of("finetune", EPOCHS),), ORIGINAL, shared=True),
    Row("channels", "half of the channels", (_channels(EPOCHS),), shared=True),
    Row("channels-random", "half of the channels, drawn at random", (_channels(EPOCHS, importance="random"),), "channels"),
    Row("weights", "half of the weights zero", (_weights(EPOCHS),), shared=True),
    Row("weights-random", "half of the weights zero, drawn at random", (_weights(EPOCHS, importance="random"),), "weights"),
    Row("cluster", "16 values a channel, no training", ({"use": "cluster"},), ORIGINAL),
    Row("label-free", "equalised, biases corrected, no labels", ({"use": "equalise"}, {"use": "correct-bias"}), ORIGINAL),
    Row("qat", "trained for int8", (_of("qat", EPOCHS),), shared=True),
    Row("narrow", "half of the channels, new weights", (_narrow(EPOCHS),)),
    Row("narrow+distil", "half of the channels, new weights, learns from the original", (_narrow(0), _of("distill", EPOCHS)), "narrow"),
    Row("channels+distil", "half of the channels, learns from the original", (_channels(0), _of("distill", EPOCHS)), "channels", shared=True),
    Row("weights+qat", "half of the weights zero, then trained for int8", (_weights(_HALF), _of("qat", _HALF)), "qat"),
    Row("distil+qat", "trained for int8, learns from the original", (_of("qat", EPOCHS, soft=0.5),), "qat"),
    Row("all", "half of the channels, learns from the original, then for int8 too",
        (_channels(0), _of("distill", _HALF), _of("qat", _HALF, soft=0.5)), shared=True),
)  # fmt: skip
BY_NAME = {row.name: row for row in ALL}
