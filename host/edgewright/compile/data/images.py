"""Turns images into model inputs, by the project's preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SIXTEEN_BITS = (
    "PNG",
    "PPM",
)  # formats with 16-bit values that Pillow opens in a 32-bit mode, as it lacks a 16-bit one
_METADATA_FILES = ("thumbs.db", "desktop.ini")
_UNKNOWN_RANGE = {"I": "32-bit whole numbers", "F": "floats"}
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")


def found(folder: Path) -> list[Path]:
    """The images below a folder, sorted by path; hidden files and folders are skipped.

    Raises:
        DataError: there are none.
    """
    files = sorted(
        item
        for item in folder.rglob("*")
        if item.suffix.lower() in SUFFIXES and not hidden(item.relative_to(folder)) and item.is_file()
    )
    if not files:
        raise DataError(f"folder holds no images: {folder}", hint=f"known are {', '.join(SUFFIXES)}")
    return files


def hidden(path: Path) -> bool:
    """Whether a path is a file manager's metadata, such as `.DS_Store`, `._x.jpg` and `Thumbs.db`."""
    return path.name.lower() in _METADATA_FILES or any(
        part.startswith(".") or part == "__MACOSX" for part in path.parts
    )


def read(file: Path, preprocessing: Preprocessing, spec: TensorSpec) -> Array:
    """One image as an input of shape `spec.shape[1:]` and the spec's dtype.

    Steps: rotate by the EXIF orientation if requested, map values to 0..255, resize bilinearly to `size` (or to the
    model's), select channels, `value * scale`, then `(value - mean) / std` per channel, then apply the layout.

    Raises:
        DataError: the file is not an image, its values have no known range, or the preprocessing does not fit the input.
    """
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    height, width = preprocessing.size or _size(preprocessing, spec)
    gray = preprocessing.channels == "gray"
    try:
        with Image.open(file) as image:
            turned = ImageOps.exif_transpose(image) if preprocessing.exif_orientation is True else image
            ranged = _mapped_to_255(turned, image.format or "", "L" if gray else "RGB", file)
            sized = ranged.resize((width, height), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"image cannot be read: {file}", hint="remove or replace it") from error
    array: Array = np.asarray(sized, dtype=np.float32).reshape(height, width, -1)
    if not gray and array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
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


def _mapped_to_255(image: Any, kind: str, mode: str, file: Path) -> Any:
    """The image with values mapped to 0..255. Pillow's own conversion clips instead: nearly everything would become white.

    A 16-bit image becomes a greyscale image of floats, so that nothing is rounded.

    Raises:
        DataError: the range of its values is unknown.
    """
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and kind in _SIXTEEN_BITS):
        return Image.fromarray(np.asarray(image).astype(np.float32) / np.float32(257))
    if image.mode in _UNKNOWN_RANGE:
        raise DataError(
            f"image holds {_UNKNOWN_RANGE[image.mode]}, whose range is not known: {file}",
            hint="save it with 8 or 16 bits a channel, or give an .npz of what the model takes",
        )
    return image.convert(mode)


def _size(preprocessing: Preprocessing, spec: TensorSpec) -> tuple[int, int]:
    if len(spec.shape) != 4:
        raise DataError(
            f"input {spec.name} takes no images, its shape is {spec.shape}", hint="give an .npz instead"
        )
    first = 2 if preprocessing.layout == "nchw" else 1
    return spec.shape[first], spec.shape[first + 1]
