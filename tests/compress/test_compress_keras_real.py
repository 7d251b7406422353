"""MLPerf Tiny's ResNet-8 and visual wake words from `../shared/models`; skipped where they are missing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import command_line

from edgewright.compress.keras.network import KerasNetwork, open_network
from edgewright.nouns.compression import ChannelPruning, Training

SHARED = Path(__file__).parents[3] / "shared"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SHARED.exists(), reason=f"MLPerf Tiny's models are not in {SHARED}"),
]


def halved(name: str, folder: Path) -> tuple[KerasNetwork, KerasNetwork]:
    """The network of a file, and the one that a fresh load of it gives with half of its channels."""
    network = open_network(SHARED / "models" / name)
    report = network.prune_channels(ChannelPruning(share=0.5), {})
    assert set(report.protected) == {"dense"}
    assert all(one.after * 2 == one.before for one in report.layers)
    network.save(folder / "pruned.keras")
    return open_network(SHARED / "models" / name), open_network(folder / "pruned.keras")


def test_half_of_resnet_learns_from_the_whole(tmp_path: Path) -> None:
    """Counts are those of ResNet-8: 12.5 million multiplications, 78,666 parameters."""
    whole, half = halved("pretrainedResnet.h5", tmp_path)
    assert (whole.macs(), whole.parameters()) == (12_501_632, 78_666)
    assert (half.macs(), half.parameters()) == (3_236_160, 20_266)
    pictures = np.random.default_rng(0).uniform(0, 255, (128, 32, 32, 3)).astype("float32")
    training = Training(loss="cross_entropy", soft=1.0)
    losses = [half.train([pictures], np.zeros(0), training, epoch, whole) for epoch in range(2)]
    assert losses[1] < 0.9 * losses[0]


def test_half_of_visual_wake_words_learns_from_pictures(tmp_path: Path) -> None:
    """Keras 3 refuses the file; compression opens it all the same."""
    import tensorflow as tf

    whole, half = halved("vww_96.h5", tmp_path)
    assert (whole.macs(), whole.parameters()) == (7_489_664, 221_794)
    assert (half.macs(), half.parameters()) == (2_196_544, 61_842)
    files = [
        (file, label)
        for label, folder in enumerate(sorted((SHARED / "data" / "vww_800").iterdir()))
        for file in sorted(folder.iterdir())[:80]
    ]
    pixels = [tf.io.decode_jpeg(file.read_bytes(), channels=3).numpy()[..., ::-1] for file, _ in files]
    pictures = np.array(pixels, "float32") / 255
    labels = np.array([label for _, label in files])
    assert (whole.predict([pictures])[0].argmax(axis=1) == labels).mean() > 0.8
    losses = [half.train([pictures], labels, Training(loss="cross_entropy"), epoch) for epoch in range(3)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.exhaustive  # 14 epochs of 600 pictures; in CI the same is done with digits
def test_optimize_brings_it_under_a_budget_that_int8_misses(tmp_path: Path, home: Path, lab_up: Any) -> None:
    """Folders of pictures, a Keras 2 file that Keras 3 refuses, and latency on a board. 200 pictures: the figures prove nothing more."""
    for label in ("0_no_person", "1_person"):
        for index, file in enumerate(sorted((SHARED / "data/vww_800" / label).iterdir())):
            place = tmp_path / ("test" if index % 4 == 0 else "train") / label
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    model = SHARED / "models/vww_96.h5"
    (tmp_path / "edgewright.toml").write_text(
        f'name = "vww"\nmodel = "{model}"\n[preprocessing]\nchannels = "bgr"\nscale = {1 / 255}\n'
    )
    lab_up(1)
    ran = command_line(
        "optimize", "--project", tmp_path / "edgewright.toml", "--data", tmp_path / "train", "--evaluation", tmp_path / "test",
        "--target", "tflite", "--budget", "size=0.25MB,drop=15%,p95=200ms", "--epochs", "6", "--on", "all",
        "--fleet", home / "fleet.toml", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    trials = {trial["move"]["label"]: trial["verdict"] for trial in ran.json["search"]["trials"]}
    assert "size" in trials["tflite int8"]["why"]
    figures = ran.json["search"]["best"]["verdict"]["figures"]
    assert figures["size_mb"] < 0.25e6 / 2**20 and figures["p95_ms"] < 200 and figures["drop"] <= 0.15
