"""Calls a `module.py:function` that returns a PyTorch module and example inputs, which runs user code."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgewright.compile.inspection import python_source
from edgewright.compile.workers import user_function
from edgewright.errors import Code, ModelError

EXAMPLE = (
    "return (module, example inputs): one tensor, a tuple of tensors, or a dict of keyword arguments; "
    'a third item may name them: {"inputs": [...], "outputs": [...]}'
)
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib")
_CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".dylib")

_hooked = False  # an audit hook cannot be removed
_opened: list[str] | None = None  # paths opened while the user's function runs
_folder = ""  # folder of the function that was called last


def call_function(path: Path) -> Any:
    """Calls the function. The result has `module`, `arguments` (tuple), `named` (dict), `input_names` and `output_names`.

    All random generators are seeded first, so that randomly drawn weights are the same each time.

    Raises:
        ModelError: it fails, returns something else, or reads a file that its hash does not cover.
    """
    named = user_function.named(path)
    assert named is not None  # noqa: S101 - recognised as such
    file = named[0].absolute()
    _forget(file.parent)
    _seed()
    with _Watch() as watch:
        try:
            answer = user_function.run(path.name, user_function.load(path))
        except (ModelError, user_function.TooSlow):
            raise
        except (Exception, SystemExit) as error:
            raise ModelError(
                f"{path.name} fails: {user_function.said(error)}",
                hint="it is called without arguments; run it by itself first",
                code=Code.MODEL_UNREADABLE,
            ) from error
    _check_files(file, watch.paths)
    return _checked(path, answer)


def _forget(folder: Path) -> None:
    """Removes imported modules from the previous function's folder and from this one: files may have changed."""
    global _folder
    for place in {_folder, str(folder)} - {""}:
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(place) in Path(file).absolute().parents and not _system(file):
                del sys.modules[name]
    if _folder in sys.path and _folder != str(folder):
        sys.path.remove(_folder)
    _folder = str(folder)
    sys.dont_write_bytecode = True  # a cached module would hide a change within one second


def _seed() -> None:
    import numpy as np
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def _checked(path: Path, answer: Any) -> Any:
    import torch

    items = list(answer) if isinstance(answer, tuple | list) else []
    if len(items) not in (2, 3) or not isinstance(items[0], torch.nn.Module):
        what = ", ".join(type(item).__name__ for item in items) or type(answer).__name__
        raise ModelError(
            f"{path.name} does not return (module, example inputs): {what}",
            hint=EXAMPLE,
            code=Code.MODEL_UNREADABLE,
        )
    module, example = items[0], _tensors(items[1])
    names = items[2] if len(items) > 2 else {}
    if not isinstance(names, dict) or set(names) - {"inputs", "outputs"}:
        raise ModelError(f"names of {path.name} are not understood: {names!r:.80}", hint=EXAMPLE)
    arguments: tuple[Any, ...] = (example,)
    named: dict[str, Any] = {}
    if isinstance(example, dict):
        arguments, named = (), example
    elif isinstance(example, tuple | list):
        arguments = tuple(example)
    return SimpleNamespace(
        module=module,
        arguments=arguments,
        named=named,
        input_names=[str(name) for name in names.get("inputs", ())],
        output_names=[str(name) for name in names.get("outputs", ())],
    )


def _tensors(example: Any) -> Any:
    """The example with numpy arrays converted to tensors."""
    import numpy as np
    import torch

    return torch.utils._pytree.tree_map(
        lambda leaf: torch.from_numpy(leaf.copy()) if isinstance(leaf, np.ndarray) else leaf, example
    )


class _Watch:
    """Records the files that are opened for reading."""

    def __enter__(self) -> _Watch:
        global _hooked, _opened
        if not _hooked:
            sys.addaudithook(_hook)
            _hooked = True
        self.paths: list[str] = []
        _opened = self.paths
        return self

    def __exit__(self, *_: object) -> None:
        global _opened
        _opened = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        path, mode = arguments[0], arguments[1]
        if isinstance(path, str | bytes) and (mode is None or "r" in str(mode)):
            _opened.append(path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else path)


def _check_files(file: Path, opened: list[str]) -> None:
    """Raises ModelError if the model was read from a file that is not hashed: a change to it would go unnoticed."""
    covered = {item.resolve() for item in python_source.files_of(file)}
    folder = file.parent.resolve()
    for text in opened:
        path = Path(text).absolute().resolve()
        if path in covered or not path.is_file() or _system(str(path)):
            continue
        if path.suffix in _CODE and (folder not in path.parents or path.suffix != ".py"):
            continue
        raise ModelError(
            f"{file.name} reads a file that edgewright would not see change: {path}",
            hint=f'name it in {file.name}: FILES = ["{path}"]',
            code=Code.FILE_UNSEEN,
        )


def _system(path: str) -> bool:
    """Whether a file belongs to Python, a library or the system."""
    if {"site-packages", "dist-packages"} & set(Path(path).parts):
        return True
    return path.startswith((*_SYSTEM, f"{sys.prefix}/", f"{sys.base_prefix}/"))
