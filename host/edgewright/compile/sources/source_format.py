"""SourceFormat: everything that the host knows about one model format, in one record."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edgewright.compile.sources.shapes import Axes
from edgewright.compile.workers.pool import as_user
from edgewright.errors import Code, ModelError
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Ends
from edgewright.nouns.target import Route

Shapes = dict[str, tuple[int, ...]]


class Look(NamedTuple):
    """The result of inspecting a model's bytes.

    Attributes:
        files: all files of the model.
        quantised: it already has integer arithmetic, so it must not be quantised again.
    """

    files: list[Path]
    quantised: bool = False


class OpenAxes(NamedTuple):
    """The inputs of a model as read from its files.

    Attributes:
        inputs: axes by name.
        not_batch: inputs whose first axis is not a batch.
        names: other names of the inputs, in the same order.
    """

    inputs: dict[str, Axes]
    not_batch: set[str] = set()
    notes: tuple[str, ...] = ()
    names: list[str] | None = None


class SourceFormat(Noun, frozen=True, kw_only=True):
    """A source format. Its functions import frameworks when called; its module never does.

    Attributes:
        title: with an article, such as `an ONNX file (.onnx)`.
        known_as: the name in lists of formats, such as `.onnx`.
        framework: what opens it; the worker process has this name.
        tools: distributions that open and run it; the first one computes the goldens.
        look: `look(path, head)` inspects the bytes without a framework; returns None for another format. `head` holds the
            first 64 bytes of a file. Raises ModelError if it is this format but damaged or unsafe.
        open: `open(path, shapes, ends)` returns the model, in the worker: `inputs` (TensorSpecs with static shapes),
            `output_names`, `notes`, `loose` (outputs without a fixed shape), `run(sample)`, and whatever its routes need.
        takes: what a user gives: a file, a folder, or `module.py:function`.
        suffixes: of its files, with the dot.
        magic: (offset, bytes) that identify its files. A format without magic is asked about every file that matches no magic.
        damaged: `damaged(path, head)`: the error for an unrecognised file with one of its suffixes; None if unknown.
        also_named: suffixes of other formats that its files may have.
        marker: file within a folder by which a user may name the folder.
        signatures, ends: whether a user may choose a signature, or name inputs and outputs.
        exports_onnx: exporters write ONNX from it.
        open_axes: `open_axes(path, signature)`, for `--dry-run`: read without a framework.
        narrow: `narrow(path, signature, folder)` returns a copy with only that function, and notes; None if no copy is needed.
        describe: `describe(model, path)`: rows of `operations.Operation`, for `--explain`. Runs in the worker.
        layers: `layers(model)`: names of the layers and rows of the graph, for formats with layer names. Runs in the worker.
        routes: target -> the route to it, in addition to the routes that targets declare themselves.
    """

    name: str
    title: str
    known_as: str
    framework: str
    tools: tuple[str, ...]
    look: Callable[[Path, bytes], Look | None]
    open: Callable[[Path, Shapes, Ends], Any]
    takes: Literal["file", "folder", "function"] = "file"
    suffixes: tuple[str, ...] = ()
    magic: tuple[tuple[int, bytes], ...] = ()
    damaged: Callable[[Path, bytes], ModelError | None] | None = None
    also_named: tuple[str, ...] = ()
    marker: str = ""
    signatures: bool = False
    ends: bool = False
    exports_onnx: bool = False
    open_axes: Callable[[Path, str], OpenAxes] | None = None
    narrow: Callable[[Path, str, Path], tuple[Path, tuple[str, ...]] | None] | None = None
    describe: Callable[[Any, Path], list[dict[str, Any]]] | None = None
    layers: Callable[[Any], tuple[list[str], list[dict[str, Any]]]] | None = None
    routes: dict[str, Route] = {}

    @property
    def worker(self) -> str:
        """The worker that opens such a model: that of its framework, unless the model is the user's own code."""
        return as_user(self.framework) if self.takes == "function" else self.framework

    def worker_of(self, framework: str) -> str:
        """The worker of a conversion's stage: where the source's own framework runs it, the source stays open."""
        return self.worker if framework == self.framework else framework

    def begins(self, head: bytes) -> bool:
        """Whether the first bytes of a file match its magic."""
        return any(head[at : at + len(sign)] == sign for at, sign in self.magic)


def truncated(path: Path, title: str) -> ModelError:
    """The error for a file that starts correctly but is truncated."""
    return ModelError(
        f"model is cut short or damaged: {path}",
        hint=f"it begins like {title}; copy or export it again",
        code=Code.MODEL_TRUNCATED,
    )


def described_by(module: str) -> Callable[[Any, Path], list[dict[str, Any]]]:
    """A `describe` that calls a module's `of_source`; the module is imported on the first call."""

    def describe(model: Any, path: Path) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = importlib.import_module(module).of_source(model, path)
        return found

    return describe
