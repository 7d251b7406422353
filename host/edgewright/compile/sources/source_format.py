"""SourceFormat: everything that the host knows of one format of models, in one record."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edgewright.compile.sources.shapes import Axes
from edgewright.errors import Code, ModelError
from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Ends
from edgewright.nouns.target import Route

Shapes = dict[str, tuple[int, ...]]


class Look(NamedTuple):
    """What a look at a model's bytes shows.

    Attributes:
        files: all that it consists of.
        quantised: it holds integer arithmetic already, so it must not be quantised again.
    """

    files: list[Path]
    quantised: bool = False


class OpenAxes(NamedTuple):
    """The inputs of a model as its files have them.

    Attributes:
        inputs: axes by name.
        not_batch: inputs whose first axis is no batch.
        names: what else the inputs may be called, in their order.
    """

    inputs: dict[str, Axes]
    not_batch: set[str] = set()
    notes: tuple[str, ...] = ()
    names: list[str] | None = None


class SourceFormat(Noun, frozen=True, kw_only=True):
    """One format. Its functions import frameworks when they are called, never their module.

    Attributes:
        title: with an article, such as `an ONNX file (.onnx)`.
        known_as: what a list of formats calls it, such as `.onnx`.
        framework: name of the worker process that opens it.
        tools: distributions that open and run it; the goldens are from the first one.
        look: `look(path, head)` at the bytes, without a framework; None where it is another format. `head` are the
            first 64 bytes of a file. Raises ModelError where it is this format, and damaged or unsafe.
        open: `open(path, shapes, ends)` gives the model, in the worker: `inputs` (TensorSpecs with static shapes),
            `output_names`, `notes`, `loose` (outputs without a fixed shape), `run(sample)`, and what else its routes need.
        takes: what a user gives: a file, a folder, or `module.py:function`.
        suffixes: of its files, with the dot.
        magic: (offset, bytes) by which its files are known. Without, it is asked about every file that no magic fits.
        damaged: `damaged(path, head)`: why a file with a suffix of it is of no format; None: nothing is known.
        also_named: suffixes of other formats that it may have.
        marker: file of a folder by which a user may name the folder.
        signatures, ends: a user may choose among signatures; name inputs and outputs.
        exports_onnx: exporters write ONNX from it.
        open_axes: `open_axes(path, signature)`, for `--dry-run`: read without a framework.
        narrow: `narrow(path, signature, folder)` gives a copy with that function alone and notes; None: it is fine as it is.
        describe: `describe(model, path)`: rows of `operations.Operation`, for `--explain`. In the worker.
        layers: `layers(model)`: names of the layers and rows of the graph, for formats with layer names. In the worker.
        routes: target -> the way there, beside those that targets have for it themselves.
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

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins so has its magic."""
        return any(head[at : at + len(sign)] == sign for at, sign in self.magic)


def truncated(path: Path, title: str) -> ModelError:
    """The error for a file that begins as it should and does not go on so."""
    return ModelError(
        f"model is cut short or damaged: {path}",
        hint=f"it begins like {title}; copy or export it again",
        code=Code.MODEL_TRUNCATED,
    )


def described_by(module: str) -> Callable[[Any, Path], list[dict[str, Any]]]:
    """A `describe` that is the `of_source` of a module, imported when it is called."""

    def describe(model: Any, path: Path) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = importlib.import_module(module).of_source(model, path)
        return found

    return describe
