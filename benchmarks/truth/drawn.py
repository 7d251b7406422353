"""Draws text: lines and pages for the models that find and read text."""

from __future__ import annotations

from typing import Any

import numpy as np

_WORDS = [
    "board",
    "model",
    "kernel",
    "channel",
    "tensor",
    "release",
    "weight",
    "answer",
    "camera",
    "street",
    "signal",
    "harbour",
    "winter",
    "bridge",
    "garden",
    "museum",
    "12:45",
    "3.14",
    "No.7",
    "2026",
    "A4",
    "EXIT",
    "OPEN",
    "Room-12",
    "+49",
    "100%",
    "Total",
    "18.90",
    "left",
    "right",
    "north",
    "platform",
    "ticket",
    "price",
]
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def lines(count: int, height: int, width: int, *, turned: bool = True) -> tuple[Any, Any]:
    """(pictures of a line each, (count, 1, 3, height, width) in -1..1; 1 where it stands on its head, else 0)."""
    from PIL import Image, ImageDraw

    random = np.random.default_rng(11)
    pictures, angles = [], []
    for _ in range(count):
        paper, ink = _colours(random)
        picture = Image.new("RGB", (width, height), paper)
        words = " ".join(random.choice(_WORDS, int(random.integers(1, 4))))
        size = int(random.integers(height // 2, height - 12))
        place = (int(random.integers(2, 10)), int(random.integers(0, height - size - 4)))
        ImageDraw.Draw(picture).text(place, words, ink, _font(size))
        angle = bool(turned and random.random() < 0.5)
        angles.append(int(angle))
        pictures.append(_planes(picture.rotate(180) if angle else picture, random) * 2 - 1)
    return np.stack(pictures), np.array(angles)


def pages(count: int, size: int) -> Any:
    """Pictures with some words each, (count, 1, 3, size, size), normalised as the detector wants them."""
    from PIL import Image, ImageDraw

    random = np.random.default_rng(12)
    pictures = []
    for _ in range(count):
        paper, ink = _colours(random)
        picture = Image.new("RGB", (size, size), paper)
        draw = ImageDraw.Draw(picture)
        for row in range(int(random.integers(1, 5))):
            place = (int(random.integers(4, size // 3)), 6 + row * size // 5 + int(random.integers(0, 8)))
            draw.text(place, str(random.choice(_WORDS)), ink, _font(int(random.integers(14, 28))))
        mean, deviation = (np.array(one, np.float32)[:, None, None] for one in (_MEAN, _DEVIATION))
        pictures.append((_planes(picture, random) - mean) / deviation)
    return np.stack(pictures)


def _planes(picture: Any, random: np.random.Generator) -> Any:
    pixels = np.asarray(picture, np.float32) / 255 + random.normal(0, 0.02, (*picture.size[::-1], 3))
    return np.clip(pixels, 0, 1).astype(np.float32).transpose(2, 0, 1)[None]


def _colours(random: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    paper, ink = random.integers(170, 256, 3), random.integers(0, 90, 3)
    pair = [tuple(int(value) for value in one) for one in (paper, ink)]
    return (pair[0], pair[1]) if random.random() < 0.7 else (pair[1], pair[0])


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
