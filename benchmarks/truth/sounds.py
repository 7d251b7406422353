"""Sound for a model that hears whether somebody speaks: vowels from a pulse and two resonances, noise, silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_RATE, _CHUNK, _BEFORE = 16_000, 512, 64
_VOWELS = ((730, 1090), (270, 2290), (300, 870), (530, 1840), (570, 840))
_RUNS = 8


def heard(model: Path, seconds: int) -> tuple[Any, Any]:
    """(chunks, (n, 1, 576); the model's state before each, (n, 2, 1, 128)), from several sounds."""
    from edgewright.compile.sources import onnx_session

    session = onnx_session.session(model)
    chunks, states = [], []
    for seed in range(_RUNS):
        sound, state = _sound(seconds, np.random.default_rng(seed)), np.zeros((2, 1, 128), np.float32)
        for start in range(_BEFORE, len(sound) - _CHUNK, _CHUNK):
            chunk = sound[None, start - _BEFORE : start + _CHUNK]
            chunks.append(chunk)
            states.append(state)
            state = session.run(None, {"input": chunk, "state": state})[1]
    return np.stack(chunks), np.stack(states)


def _sound(seconds: int, random: np.random.Generator) -> Any:
    parts: list[Any] = []
    while sum(map(len, parts)) < seconds * _RATE:
        length = int(random.integers(_RATE // 8, _RATE // 2))
        parts.append(_vowel(length, random) if random.random() < 0.6 else np.zeros(length))
    sound = np.concatenate(parts)
    return (sound + random.normal(0, 10 ** random.uniform(-4, -1.7), len(sound))).astype(np.float32)


def _vowel(length: int, random: np.random.Generator) -> Any:
    time = np.arange(length) / _RATE
    pitch = random.uniform(90, 240) * (1 + 0.05 * np.sin(2 * np.pi * random.uniform(3, 6) * time))
    harmonics = np.arange(1, 40)[:, None]
    tones = harmonics * pitch
    loud = sum(1 / (1 + ((tones - at) / 120) ** 2) for at in _VOWELS[random.integers(len(_VOWELS))])
    phase = 2 * np.pi * harmonics * np.cumsum(pitch) / _RATE
    made = (loud * np.sin(phase)).sum(axis=0) * np.hanning(length)
    return random.uniform(0.05, 0.4) * made / np.abs(made).max()
