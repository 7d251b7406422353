"""Writes a compressed network where the user wants it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from edgewright.compile.inspection import calibration_member, lineage_file
from edgewright.compress import onnx_output
from edgewright.compress.request import Compressed
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import DataError
from edgewright.files import write_atomic


def samples_beside(output: Path) -> Path:
    """Where the calibration samples of an ONNX file go, which has no place for them."""
    return output.with_suffix(".calibration.npz")


def write(found: Compressed, output: Path, step: int = -1, file: Path | None = None) -> None:
    """Copies a network with its lineage to the output, completely or not at all. The same network gives the same bytes.

    Samples that int8 is calibrated with go into the file, or beside an ONNX file.

    Args:
        step: after which step, as an index of `networks`.
        file: the network in another format than its own.

    Raises:
        DataError: it cannot be written.
    """
    network, count = found.networks[step], len(found.networks)
    undone = count - 1 - step % count
    steps = found.lineage.steps[: len(found.lineage.steps) - undone]
    descriptor, name = tempfile.mkstemp(
        dir=output.absolute().parent, prefix=f".{output.name[:100]}.", suffix=f".part{output.suffix}"
    )
    os.close(descriptor)
    part = Path(name)
    try:
        shutil.copyfile(file or network.file, part)
        lineage_file.add(part, msgspec.structs.replace(found.lineage, steps=steps))
        if network.calibration is not None and output.suffix != onnx_output.SUFFIX:
            calibration_member.add(part, network.calibration, found.inputs)
        elif network.calibration is not None:
            beside = samples_beside(output)
            write_atomic(beside, calibration_member.packed(network.calibration, found.inputs))
            beside.chmod(0o644)
        part.chmod(0o644)
        part.replace(output)
    except OSError as error:
        raise DataError(
            f"cannot write {output}: {error.strerror}", hint="free some space, or name another file"
        ) from error
    except BAD_ZIP as error:
        raise DataError(
            f"cannot write {output}: a worker wrote a damaged file", hint="run it again with --no-cache"
        ) from error
    finally:
        part.unlink(missing_ok=True)
