"""Opens Keras files, SavedModels and frozen graphs. Runs in the `tensorflow` worker."""

from __future__ import annotations

from pathlib import Path

from edgewright.compile.sources import graph, keras_file, saved_model
from edgewright.compile.sources.tensorflow_model import TensorflowModel
from edgewright.nouns.conversion import Ends


def open_model(path: Path, kind: str, shapes: dict[str, tuple[int, ...]], ends: Ends) -> TensorflowModel:
    """Opens a `keras`, `h5`, `savedmodel` or `frozen` source.

    Raises:
        ModelError: it cannot be loaded, has dynamic axes beyond the batch, or lacks an end that was named.
    """
    if kind == "savedmodel":
        return saved_model.open_folder(path, shapes, ends)
    if kind == "frozen":
        return graph.open_file(path, shapes, ends)
    return keras_file.open_file(path, shapes)
