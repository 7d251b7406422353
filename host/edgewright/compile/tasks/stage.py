"""The input and result of a conversion stage: the one contract between edgewright and a target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from edgewright.compile import machine_code
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.precision import Precision
from edgewright.precisions import PRECISIONS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]
    from edgewright.compile.tasks.source import Order


class Samples(Protocol):
    """Returns a fresh stream of calibration samples, each a list of arrays in the order of the model's inputs."""

    def __call__(self, limit: int = ..., /) -> Iterator[list[Array]]: ...


class StageContext:
    """The argument of a stage's `convert`.

    Attributes:
        source: the opened source model if the stage runs in the source's own worker, else None.
        samples: returns a fresh stream of calibration samples; `samples(4)` yields at most four. Code that runs the model
            takes its inputs from here.
        path: the source; for a later stage, the previous stage's entry file, or else its folder.
        folder: an empty folder for this stage's files; the last stage's files become the artifact.
        entry: name of the target's entry file.
        precision: name of the precision, one that the target makes.
        traits: the precision's record.
        inputs, outputs: the source's, with static shapes.
        opset, max_opset: the ONNX opset to export, and the newest that the target's runtime reads.
        count: number of calibration samples.
        synthetic: the samples are random numbers, not data.
        float64: the target computes in float64 wherever the model does.
        keep_float: names of the layers that stay in floats.
        calibration_method: one of the target's `calibration_methods`.
        integer_io: inputs and outputs have to be integers.
        accelerator: the accelerator that the model has to run on; empty for any.
        toolchains: name -> its Python, for those that the route names.
        cpu: the CPU to compile for, for a target that `compiles_for` one; else None.
        twin: this machine's CPU if it cannot run code for `cpu`, else None. The last stage then compiles the model for it too, with the
            same options, into `twin_folder`, so that the outputs can be compared here.
        host_folder: a folder for files that are needed on this machine only; boards do not get them. The stage creates it.
    """

    def __init__(self, source: Any, samples: Samples, order: Order) -> None:
        conversion: Conversion = order.conversion
        self.source, self.samples = source, samples
        self.path: Path = order.path
        self.folder: Path = order.folder
        self.entry: str = order.entry
        self.precision: str = order.precision
        self.traits: Precision = PRECISIONS[order.precision]
        self.inputs: tuple[TensorSpec, ...] = order.inputs
        self.outputs: tuple[TensorSpec, ...] = order.outputs
        self.opset: int = order.opset
        self.max_opset: int | None = order.max_opset
        self.count: int = order.count
        self.synthetic: bool = order.synthetic
        self.float64: bool = order.float64
        self.keep_float: tuple[str, ...] = conversion.keep_float
        self.calibration_method: str = conversion.calibration_method
        self.integer_io: bool = conversion.integer_io
        self.accelerator: str = conversion.accelerator
        self.toolchains: dict[str, Path] = order.toolchains
        self.cpu: Cpu | None = order.cpu
        self.twin: Cpu | None = order.twin
        self.host_folder: Path = order.folder / machine_code.HOST

    @property
    def twin_folder(self) -> Path:
        """The folder for the artifact's files as compiled for `twin`. The stage creates it."""
        assert self.twin is not None  # noqa: S101 - for the type
        return machine_code.folder_of(self.folder, self.twin)


class TensorReport(TypedDict, total=False):
    """An input or output of the file that a stage made. `name` and `dtype` are always set; `scale` and `zero_point` only for integers.

    `tensor` is the name in the file, if it differs from the source's.
    """

    name: str
    tensor: str
    dtype: str
    scale: float | None
    zero_point: int | None


class StageResult(TypedDict, total=False):
    """What a stage's `convert` returns. A stage that is not a route's last may return None, or `notes` alone.

    Attributes:
        inputs, outputs: the file's, in the source's order.
        requires: the versions that a runtime must be able to read, such as `{"opset": 13}`: the manifest's `requires`.
        causes: why a runtime or an accelerator may refuse it, by a key of `requires` or the accelerator's name; see `Manifest`.
        method: the calibration method; empty without calibration.
        kept_float: names of the layers that stayed in floats.
        notes: for the user: sentences without a full stop.
        nondeterministic: tools that may produce different bytes next time.
        operations: rows of `Operation`, from a stage that lists the layers that can be kept in floats.
    """

    inputs: list[TensorReport]
    outputs: list[TensorReport]
    requires: dict[str, int]
    causes: dict[str, str]
    method: str
    kept_float: list[str]
    notes: list[str]
    nondeterministic: list[str]
    operations: list[dict[str, Any]]
