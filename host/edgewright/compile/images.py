"""Images as model inputs, by the project's preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")


def found(folder: Path) -> list[Path]:
    """The images below a folder, sorted by path.

    Raises:
        DataError: there are none.
    """
    files = sorted(item for item in folder.rglob("*") if item.suffix.lower() in SUFFIXES and item.is_file())
    if not files:
        raise DataError(f"folder holds no images: {folder}", hint=f"known are {', '.join(SUFFIXES)}")
    return files


def read(file: Path, preprocessing: Preprocessing, spec: TensorSpec) -> Array:
    """One image as an input of shape `spec.shape[1:]` and the spec's dtype.

    Resized bilinearly to `size` (or to the model's), channels chosen, `value * scale`, then
    `(value - mean) / std` per channel, then laid out.

    Raises:
        DataError: the file is no image, or the preprocessing does not fit the input.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    height, width = preprocessing.size or _size(preprocessing, spec)
    mode = "L" if preprocessing.channels == "gray" else "RGB"
    try:
        with Image.open(file) as image:
            sized = image.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"image cannot be read: {file}", hint="remove or replace it") from error
    array: Array = np.asarray(sized, dtype=np.float32).reshape(height, width, -1)
    if preprocessing.channels == "bgr":
        array = array[:, :, ::-1]
    array = array * np.float32(preprocessing.scale)
    for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        if len(values) not in (0, 1, array.shape[2]):
            raise DataError(f"preprocessing {name} has {len(values)} values for {array.shape[2]} channels")
    if preprocessing.mean:
        array = array - np.asarray(preprocessing.mean, np.float32)
    if preprocessing.std:
        array = array / np.asarray(preprocessing.std, np.float32)
    if preprocessing.layout == "nchw":
        array = array.transpose(2, 0, 1)
    if np.dtype(spec.dtype).kind in "iu":
        limits = np.iinfo(spec.dtype)
        array = np.clip(np.rint(array), limits.min, limits.max)
    return np.ascontiguousarray(array).astype(spec.dtype)


def _size(preprocessing: Preprocessing, spec: TensorSpec) -> tuple[int, int]:
    if len(spec.shape) != 4:
        raise DataError(
            f"input {spec.name} takes no images, its shape is {spec.shape}", hint="give an .npz instead"
        )
    first = 2 if preprocessing.layout == "nchw" else 1
    return spec.shape[first], spec.shape[first + 1]
