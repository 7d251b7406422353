"""A lab of one board with two deployed releases of two models, its files are restored before each damage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Ran, command_line

BOARD = "d-1"


def network(scale: float) -> bytes:
    """A small network, whose weights depend on a number."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(1).normal(0, 1, (8, 4)).astype(np.float32) * np.float32(scale)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


class DamagedBoard:
    """A board in the lab as a person uses it: by the command line, and by a shell in its root folder.

    Attributes:
        root: its root folder, on this machine. seen: the same folder as the board's login sees it.
    """

    def __init__(self, home: Path, models: Path) -> None:
        self.models, self.board = models, BOARD
        self.root = home / "lab" / "d" / BOARD / "home" / ".edgewright"
        self.kept = home / "kept"

    def run(self, *arguments: object) -> Ran:
        """Runs `edgewright ARGUMENTS`."""
        return command_line(*arguments)

    def deploy(self, file: str, *more: object, model: str = "tiny") -> Ran:
        """Deploys one of the models, without an evaluation set."""
        options = ("--to", BOARD, "--name", model, "--target", "onnxruntime", "--precision", "fp32")
        return self.run("deploy", self.models / file, *options, *more)

    def keep(self) -> None:
        """Copies the files as they are now, without the many files of the runtime."""
        (self.runtime,) = (self.root / "runtimes").iterdir()
        self.inside = {path.name for path in self.runtime.iterdir()}
        shutil.copytree(self.root, self.kept, symlinks=True, ignore=self._without_the_runtime)
        shutil.copy(self.runtime / "RUNTIME.json", self.kept)
        self.owner = self.root.stat()

    def _without_the_runtime(self, folder: str, names: list[str]) -> list[str]:
        return names if folder.endswith("/runtimes") else []

    def restore(self) -> None:
        """Puts the files back."""
        for path in self.root.iterdir():
            if path.name != "runtimes":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(self.kept, self.root, symlinks=True, dirs_exist_ok=True)
        (self.root / "RUNTIME.json").replace(self.runtime / "RUNTIME.json")
        for path in self.runtime.iterdir():
            if path.name not in self.inside:
                path.unlink()
        self.give(self.root, self.owner.st_uid)
        self.root.chmod(0o700)

    def give(self, path: Path, uid: int) -> None:
        """`chown -R`, as root."""
        for one in [path, *path.rglob("*")]:
            os.chown(one, uid, uid, follow_symlinks=False)

    def current(self, model: str = "tiny") -> Path:
        """The link that an application reads."""
        return self.root / "models" / model / "current"


@pytest.fixture(scope="module")
def board(module_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DamagedBoard]:
    """The board with releases 1 and 2 of `tiny`, and 1 of `other`."""
    models = tmp_path_factory.mktemp("models")
    for number in (1, 2, 3):
        (models / f"{number}.onnx").write_bytes(network(number))
    made = command_line("lab", "up", "--boards", 1, "--profile", "generic-x86_64", "--name", "d", "--json")
    assert made.code == 0, made.err
    one = DamagedBoard(module_home, models)
    for file, model in (("1.onnx", "tiny"), ("2.onnx", "tiny"), ("3.onnx", "other")):
        ran = one.deploy(file, model=model)
        assert ran.code == 0, ran.out + ran.err
    one.keep()
    yield one
    assert command_line("lab", "down", "--json").code == 0


@pytest.fixture
def fresh(board: DamagedBoard) -> DamagedBoard:
    """The board as it was deployed."""
    board.restore()
    return board


Damage = Callable[[DamagedBoard], None]
