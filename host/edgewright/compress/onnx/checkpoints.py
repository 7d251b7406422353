"""Checkpoints of an ONNX network: the model, the masks and the samples of a simulation, in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compress import calibration_samples

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MODEL, _MASKS = "network.onnx", "masks.npz"


def write(folder: Path, model: Any, masks: Mapping[str, Array], samples: list[Array] | None) -> None:
    """Makes the folder, which must not exist."""
    import numpy as np

    folder.mkdir(parents=True)
    (folder / _MODEL).write_bytes(model.SerializeToString())
    np.savez(
        folder / _MASKS, *masks.values(), names=np.array(list(masks), "U")
    )  # names may hold what a member's may not
    calibration_samples.write(folder, samples)


def read(folder: Path) -> tuple[Any, dict[str, Array], list[Array] | None]:
    """The model, the masks and the samples of a checkpoint."""
    import numpy as np
    import onnx

    model = onnx.load(str(folder / _MODEL), load_external_data=False)
    with np.load(folder / _MASKS, allow_pickle=False) as file:
        masks = {str(name): file[f"arr_{index}"] for index, name in enumerate(file["names"])}
    return model, masks, calibration_samples.read(folder)
