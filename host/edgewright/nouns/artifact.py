"""Artifact and Manifest: compiled files, with their contents and origin."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from edgewright.nouns.base import Noun
from edgewright.nouns.compression import Lineage
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.metric import is_own
from edgewright.nouns.precision import Tolerance
from edgewright.nouns.project import Preprocessing
from edgewright.nouns.verdict import Compared, OutputVerdict


class TensorSpec(Noun, frozen=True, kw_only=True):
    """One input or output: name, static shape, numpy dtype name, and its quantisation if any.

    Attributes:
        name: the source's name.
        tensor: the name in the artifact's file, if different; runners then use it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    tensor: str | UnsetType = UNSET

    @property
    def bound(self) -> str:
        """The name in the artifact's file."""
        return self.name if isinstance(self.tensor, UnsetType) else self.tensor


class FileEntry(Noun, frozen=True, kw_only=True):
    """One file of an artifact: relative POSIX path, sha256, bytes."""

    path: str
    sha256: str
    size: int


class Source(Noun, frozen=True, kw_only=True):
    """The model that an artifact was made from. `format`: the name of a `compile.sources.source_format.SourceFormat`."""

    format: str
    file: str
    sha256: str


class Calibration(Noun, frozen=True, kw_only=True):
    """The data that fixed the ranges of an int8 artifact.

    Attributes:
        kind: `data`, `synthetic` or `none`.
        ranges: (least, greatest real value) of each input over the samples, in the order of the manifest's inputs; empty without data.
            With `kind` `none`, the data fixed nothing: the ranges are then over those that the goldens were chosen from.
    """

    kind: str = "none"
    sha256: str = ""
    samples: int = 0
    method: str = ""
    ranges: tuple[tuple[float, float], ...] = ()


class Goldens(Noun, frozen=True, kw_only=True):
    """Golden inputs and the source framework's outputs, in one `.npz`.

    Attributes:
        file: path in the artifact; members `input_<i>` and `output_<i>`, each of shape (count, *spec.shape),
            in the order of the manifest's `inputs` and `outputs`.
        count: number of distinct inputs.
        origin: `calibration` or `random`.
        framework: the framework that computed the outputs, such as `tensorflow 2.21.0`.
    """

    file: str
    count: int
    origin: str
    framework: str
    tolerance: Tolerance


class Parity(Noun, frozen=True, kw_only=True):
    """Compares the artifact on the host's runtime with the source framework, over all goldens and outputs.

    Attributes:
        max_abs, max_relative: greatest |out - ref|, and that over max|ref|.
        cosine: smallest cosine over the goldens.
        sqnr_db: smallest signal-to-noise ratio over the outputs, dB; 200 means exact.
        top1_agreement: share of goldens with the same argmax of output 0.
    """

    max_abs: float
    max_relative: float
    cosine: float
    sqnr_db: float
    top1_agreement: float
    count: int


def of_output(metric: str, output: int | None, outputs: Sequence[TensorSpec]) -> str:
    """`, of output NAME` for a metric that scores one of several outputs; else empty."""
    if len(outputs) < 2 or (output is None and is_own(metric)):
        return ""
    return f", of output {outputs[output or 0].name}"


class Accuracy(Noun, frozen=True, kw_only=True):
    """A metric on an evaluation set, by the source framework and by the artifact on the host's runtime.

    Attributes:
        metric: name of a metric, or `module.py:function`.
        evaluation_sha256: of the evaluation set's sources.
        drop, low, high, p, method: as in `nouns.comparison.Comparison`.
        answers: sha256 of the source's answers, which are kept on the machine that made the artifact.
        metric_sha256: of the file of a user's metric.
        output: index of the output that was scored. None, which is not written, means the first, or all for a user's metric.
    """

    metric: str
    evaluation_sha256: str
    n: int
    source: float
    artifact: float
    higher_is_better: bool = True
    drop: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    method: str = ""
    answers: str = ""
    metric_sha256: str = ""
    output: int | None = None

    def of(self, outputs: tuple[TensorSpec, ...]) -> str:
        """Which of several outputs was scored, in words; empty if there is only one, or if all were."""
        return of_output(self.metric, self.output, outputs)


class Manifest(Noun, frozen=True, kw_only=True):
    """Describes an artifact. The sha256 of its canonical JSON is the artifact's id; it holds no timestamp.

    Attributes:
        entry: path of the file that the runtime opens.
        files: every file but `manifest.json`.
        route: the stages that made it, in order, as `<worker>:<target>.<module>`.
        kept_float: names of the layers that `int8-mixed` left in floats.
        notes: the converters' remarks, one sentence each.
        nondeterministic: tools that may produce other bytes from the same inputs.
        requires: what the runtime must support, such as `{"opset": 17, "ir": 8}` or `{"CONV_2D": 5}`.
        causes: why some runtimes or an accelerator cannot run it: a key of `requires`, or the name of an accelerator that
            refuses it -> which nodes or layers, and what helps. Not written if there are none.
        tools: versions of the tools that made it.
        verdict: one per output. Empty in schema 1, which is judged by the tolerance of its goldens.
        labels: names of the classes, from the project's labels file. Not written if there are none.
        compare: result of the user's comparison function, which replaces limits on the error. Not written if there is none.
        lineage: how the source was made smaller, if `edgewright compress` made it. Not written if it did not.
        cpu: what its machine code runs on. Not written if it holds none.
    """

    schema: int
    source: Source
    target: str
    precision: str
    entry: str
    files: tuple[FileEntry, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    goldens: Goldens
    parity: Parity
    route: tuple[str, ...] = ()
    kept_float: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    nondeterministic: tuple[str, ...] = ()
    requires: dict[str, int] = {}
    causes: dict[str, str] = {}
    tools: dict[str, str] = {}
    calibration: Calibration = Calibration()
    preprocessing: Preprocessing | None = None
    accuracy: Accuracy | None = None
    verdict: tuple[OutputVerdict, ...] = ()
    compare: Compared | None = None
    labels: tuple[str, ...] = ()
    lineage: Lineage | None = None
    cpu: Cpu | None = None

    def canonical(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII. The bytes of `manifest.json`."""
        content = msgspec.to_builtins(self)
        if self.schema == 1:  # as schema 1 was written, so that the artifact keeps its id
            del content["verdict"], content["calibration"]["ranges"]
        for key in (
            "causes",
            "compare",
            "labels",
            "lineage",
            "cpu",
        ):  # ids of artifacts made before these keys existed depend on it
            if not content[key]:
                del content[key]
        if self.accuracy is not None and self.accuracy.output is None:  # for the same reason
            del content["accuracy"]["output"]
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")

    @property
    def id(self) -> str:
        """Hex sha256 of the canonical JSON."""
        return hashlib.sha256(self.canonical()).hexdigest()

    @property
    def model_bytes(self) -> int:
        """Bytes of the files that the runtime needs; goldens are not included."""
        return sum(entry.size for entry in self.files if entry.path != self.goldens.file)


class Artifact(Noun, frozen=True, kw_only=True):
    """A manifest and the folder that holds its files and `manifest.json`."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        """The manifest's id."""
        return self.manifest.id
