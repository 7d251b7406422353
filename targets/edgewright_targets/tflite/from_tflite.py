"""Passes a float .tflite source on to the stage that quantises it."""

import shutil


def convert(work):
    """Copies it."""
    shutil.copyfile(work.path, work.folder / work.entry)
