"""Ships the .tflite source itself."""

import shutil

from edgewright_targets.tflite.described import described


def convert(work):
    """Copies it and reads what it is."""
    shutil.copyfile(work.path, work.folder / work.entry)
    return described(work, "")
