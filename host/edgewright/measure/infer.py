"""infer: one input through a model on a board."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile import ranges
from edgewright.config import home
from edgewright.connect.session import Session
from edgewright.errors import ArtifactError, DataError, ProtocolError
from edgewright.store.artifacts import ArtifactStore

if TYPE_CHECKING:
    import numpy as np

MAX_INPUT = 1024**3  # bytes of the input file


class Inference:
    """The outputs of one inference: name -> array with the samples along axis 0; milliseconds of the median sample."""

    def __init__(
        self,
        outputs: dict[str, np.ndarray[Any, Any]],
        ms: float,
        release: str,
        runtime: str,
        accelerator: str,
        simulated: tuple[str, ...],
        warnings: Sequence[str] = (),
    ) -> None:
        self.outputs = outputs
        self.ms = ms
        self.release = release
        self.runtime = runtime
        self.accelerator = accelerator
        self.simulated = simulated
        self.warnings = tuple(warnings)

    def save(self, path: Path) -> None:
        """Writes the outputs as `.npz`."""
        import numpy as np

        with path.open("wb") as file:
            np.savez(file, **self.outputs)  # type: ignore[arg-type]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "outputs": {name: array.tolist() for name, array in self.outputs.items()},
            "ms": self.ms, "release": self.release, "runtime": self.runtime, "accelerator": self.accelerator,
            "simulated": self.simulated, "warnings": self.warnings,
        }  # fmt: skip


def run_on(
    session: Session,
    model: str,
    release: str | None,
    inputs: bytes,
    *,
    threads: int = 1,
    accelerator: str | None = None,
) -> Inference:
    """Sends the inputs (as `packed` gives them), runs them there, brings the outputs back."""
    import numpy as np

    digest = session.put(inputs, label="input")
    answer = session.call(
        "infer", model=model, release=release, inputs=digest, threads=threads, accelerator=accelerator
    )
    try:
        with np.load(io.BytesIO(bytes(session.get(answer["outputs"]))), allow_pickle=False) as archive:
            outputs = {name: archive[name] for name in archive.files}
        times = sorted(float(value) for value in answer["ms"])
        found = Inference(
            outputs,
            times[len(times) // 2],
            str(answer["release"]),
            str(answer["runtime"]),
            str(answer["accelerator"]),
            session.facts().simulated,
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ProtocolError(f"the board's outputs are not understood: {error}") from error
    found.warnings = tuple(outside(found.release, inputs))
    return found


def outside(release: str, inputs: bytes) -> list[str]:
    """One line an input that leaves the range of the release's calibration data; none where its artifact is not on this machine.

    Args:
        release: its name on the board, which ends in the beginning of the artifact's id.
        inputs: as `packed` gives them.
    """
    import numpy as np

    try:
        manifest = ArtifactStore(home.folder("artifacts")).get(release.rpartition("-")[2]).manifest
    except ArtifactError:
        return []
    known = manifest.calibration.ranges
    with np.load(io.BytesIO(inputs), allow_pickle=False) as archive:
        names = in_order(archive.files)
        if len(names) != len(manifest.inputs) or not known:
            return []
        seen = ranges.Ranges(manifest.inputs).see([archive[name] for name in names])
    return ranges.outside(manifest.inputs, known, seen)


def packed(source: Path) -> bytes:
    """The input file as the `.npz` that the agent reads: members `input_<i>`.

    Args:
        source: `.npy` (input 0) or `.npz` (a member an input, in the model's order, or named `input_<i>`);
            the leading axis is the sample's.

    Raises:
        DataError: missing, too large, or neither `.npy` nor `.npz`.
    """
    from zipfile import BadZipFile

    import numpy as np

    try:
        if source.stat().st_size > MAX_INPUT:
            raise DataError(f"the input is larger than 1 GiB: {source}")
        with source.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                arrays = [loaded]
            else:
                arrays = [loaded[name] for name in in_order(loaded.files)]
    except FileNotFoundError:
        raise DataError(f"no such input: {source}", hint="a .npy or .npz file") from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"not a .npy or .npz file: {source}", hint=unpickled(error)) from None
    buffer = io.BytesIO()
    np.savez(buffer, **{f"input_{index}": array for index, array in enumerate(arrays)})  # type: ignore[arg-type]
    return buffer.getvalue()


def unpickled(error: Exception) -> str:
    """What is wrong with a file; numpy takes what it does not know for a pickle and offers to load it."""
    return "write it with numpy.save or numpy.savez" if "pickle" in str(error) else str(error)


def in_order(names: list[str]) -> list[str]:
    """Members named `input_<i>` by their number, others in the file's order."""
    numbered = [name for name in names if name.startswith("input_") and name[6:].isdecimal()]
    return sorted(numbered, key=lambda name: int(name[6:])) if len(numbered) == len(names) else names
