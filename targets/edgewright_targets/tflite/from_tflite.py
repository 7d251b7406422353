"""A float .tflite source, as it is: the next stage quantises it."""

import shutil


def convert(work):
    """Copies it."""
    shutil.copyfile(work.path, work.folder / work.entry)
