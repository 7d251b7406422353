"""Checkpoints of training: the model, the optimiser's variables and the masks, in a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources import keras_file
from edgewright.compress import calibration_samples
from edgewright.compress.keras.trainer import OptimiserState

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MODEL, _MASKS, _OPTIMISER, _STATE = "network.keras", "masks.npz", "optimiser.npz", "state.json"


@dataclass(frozen=True)
class State:
    """What training needs besides the model.

    Attributes:
        masks: layer -> bool mask of its main weights.
        cut: whether channels were removed, or the weights are new.
        calibration: samples that int8 is simulated with; None if it is not.
    """

    optimiser: OptimiserState
    masks: dict[str, Array]
    cut: bool
    calibration: list[Array] | None = None


def write(folder: Path, model: Any, state: State) -> None:
    """Makes the folder, which must not exist."""
    import numpy as np

    folder.mkdir(parents=True)
    model.save(folder / _MODEL)
    np.savez(folder / _MASKS, **state.masks)  # type: ignore[arg-type]
    np.savez(folder / _OPTIMISER, *state.optimiser.variables)
    calibration_samples.write(folder, state.calibration)
    rest = {"optimiser": state.optimiser.kind, "rate": state.optimiser.rate, "cut": state.cut}
    (folder / _STATE).write_text(json.dumps(rest), encoding="utf-8")


def read(folder: Path) -> tuple[Any, State]:
    """The model and the state of a checkpoint."""
    import numpy as np

    model, _ = keras_file.load(folder / _MODEL)
    with np.load(folder / _MASKS) as file:
        masks = {name: file[name] for name in file.files}
    with np.load(folder / _OPTIMISER) as file:
        variables = [file[f"arr_{at}"] for at in range(len(file.files))]
    rest = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    optimiser = OptimiserState(rest["optimiser"], rest["rate"], variables)
    return model, State(optimiser, masks, rest["cut"], calibration_samples.read(folder))
