"""PyTorch sources: torch.export programs and `module.py:function`, opened in the torch worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model, plan
from edgewright.compile.recognition import recognise
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError, EdgewrightError, ModelError

pytestmark = pytest.mark.slow
Made = Callable[[str], Path]

NET = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(12, 4), nn.Linear(7, 3)
    def forward(self, ids, extra=None, *, mask):
        x = self.table(ids).mean(1)
        y = torch.cat([x, extra["a"], mask.float()], 1)
        return {"scores": self.last(y), "pair": (x, mask), "none": None}
def nested():
    return Net(), ((torch.zeros(1, 5, dtype=torch.int32), {"a": torch.zeros(1, 1)}))
class Keyword(Net):
    def forward(self, ids, mask):
        return super().forward(ids, {"a": mask[:, :1].float()}, mask=mask)
def keywords():
    return Keyword(), {"mask": torch.zeros(1, 2, dtype=torch.bool), "ids": torch.zeros(1, 5, dtype=torch.int64)}
def named():
    import numpy
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.9))
    return net, numpy.zeros((1, 3), "float32"), {"inputs": ["features"], "outputs": ["risk"]}
def tensor():
    return nn.Linear(3, 2), torch.zeros(1, 3)
def weights():
    net = nn.Linear(3, 2)
    net.load_state_dict(torch.load("WEIGHTS"))
    return net, torch.zeros(1, 3)
def noisy():
    return nn.Sequential(nn.Linear(3, 2), Noise()), torch.zeros(1, 3)
class Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)
class Branch(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x - 1
def branching():
    return Branch(), torch.ones(1, 3)
class Number(nn.Module):
    def forward(self, x):
        return 3
def number():
    return Number(), torch.ones(1, 3)
class Sparse(nn.Module):
    def forward(self, x):
        return {"rows": x.to_sparse()}
def sparse():
    return Sparse(), torch.ones(1, 3)
class Several(nn.Linear):
    def forward(self, x):
        return {"y": [super().forward(x), x * 2], "state": None, "count": 3}
def several():
    return Several(3, 2), torch.ones(1, 3)
class Varies(nn.Linear):
    def forward(self, x):
        return super().forward(x), x[x > 0]
def varies():
    return Varies(3, 2), torch.ones(1, 3)
def wrong_shape():
    return nn.Linear(3, 2), torch.zeros(1, 4)
def nothing():
    return None
def lone():
    return nn.Linear(3, 2)
def failing():
    raise RuntimeError("no such experiment")
def needy(argument):
    return None
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with many functions, and weights beside it."""
    folder = tmp_path_factory.mktemp("net")
    weights = folder / "weights.pth"
    (folder / "net.py").write_text(NET.replace("WEIGHTS", str(weights)))
    write_weights(weights, 1)
    return folder / "net.py"


def write_weights(path: Path, seed: int) -> None:
    code = f"import torch; torch.manual_seed({seed}); torch.save(torch.nn.Linear(3, 2).state_dict(), {str(path)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


@pytest.mark.parametrize("kind", ["pt2", "function"])
@pytest.mark.parametrize(
    ("name", "inputs", "outputs"),
    [
        ("cnn", [("image", (1, 3, 16, 16), "float32")], [("output", (1, 5))]),
        (
            "two_in_two_out",
            [("right", (1, 4), "float32"), ("left", (1, 4), "float32")],
            [("total", (1, 3)), ("gap", (1, 3))],
        ),
        ("tokens", [("tokens", (1, 12), "int64")], [("output", (1, 4))]),
        ("lstm", [("series", (1, 10, 6), "float32")], [("output", (1, 4))]),
        ("gru", [("series", (1, 10, 6), "float32")], [("output", (1, 4))]),
        ("attention", [("series", (1, 8, 16), "float32")], [("output", (1, 4))]),
    ],
)
def test_small_models_open(
    small_models: Made, read: Callable[..., object], kind: str, name: str, inputs: object, outputs: object
) -> None:
    folder = small_models("torch")
    source = folder / f"{name}.pt2" if kind == "pt2" else Path(f"{folder / 'torch_models.py'}:{name}")
    found, answers = read(source)  # type: ignore[misc]
    assert [(spec.name, spec.shape, spec.dtype) for spec in found] == inputs
    assert [(spec.name, spec.shape) for spec in answers] == outputs


def test_open_axes_are_given(small_models: Made, read: Callable[..., object]) -> None:
    program = small_models("torch") / "dynamic.pt2"
    with pytest.raises(ModelError, match=r"input has open axes: image \(1, 3, \?, \?\)") as caught:
        read(program)
    assert caught.value.hint == (
        "give the sizes: --input-shape image=1,3,HEIGHT,WIDTH (such as image=1,3,224,224)"
    )
    inputs, _ = read(program, {"image": (1, 3, 12, 14)})  # type: ignore[misc]
    assert inputs[0].shape == (1, 3, 12, 14)
    with pytest.raises(ModelError, match="model does not run"):
        read(program, {"image": (1, 3, 2, 2)})  # smaller than the kernel
    function = Path(f"{program.parent / 'torch_models.py'}:dynamic")
    assert read(function)[0][0].shape == (1, 3, 12, 14)  # type: ignore[index]
    assert read(function, {"image": (1, 3, 20, 30)})[0][0].shape == (1, 3, 20, 30)  # type: ignore[index]


def test_nested_arguments_and_answers_are_flattened(net: Path, read: Callable[..., object]) -> None:
    inputs, outputs = read(Path(f"{net}:keywords"))  # type: ignore[misc]
    assert [(spec.name, spec.dtype) for spec in inputs] == [("mask", "bool"), ("ids", "int64")]
    assert [(spec.name, spec.shape) for spec in outputs] == [
        ("scores", (1, 3)),
        ("pair_0", (1, 4)),
        ("pair_1", (1, 2)),
    ]
    inputs, outputs = read(Path(f"{net}:named"))  # type: ignore[misc]
    assert (inputs[0].name, outputs[0].name) == ("features", "risk")
    assert read(Path(f"{net}:tensor"))[0][0].name == "input"  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "does not return (module, example inputs): NoneType"),
        ("lone", "does not return (module, example inputs): Linear"),
        ("failing", "net.py:failing fails: RuntimeError: no such experiment"),
        ("needy", "net.py:needy fails: TypeError"),
        ("wrong_shape", "model does not run: RuntimeError"),
        ("noisy", "net.py:noisy draws random numbers: rand_like"),
        ("number", "model returns 0 tensors where some were expected but int"),
        ("sparse", "output rows is a sparse tensor"),
        ("nested", "model does not run: TypeError"),
    ],
)
def test_functions_that_give_no_model(
    net: Path, read: Callable[..., object], name: str, message: str
) -> None:
    with pytest.raises(EdgewrightError) as caught:
        read(Path(f"{net}:{name}"))
    assert message in caught.value.message
    assert caught.value.hint


def test_what_is_no_tensor_is_left_out_with_a_note(net: Path, workers: Workers) -> None:
    request = compile_request(source=Path(f"{net}:several"), target="onnxruntime")
    manifest = compile_model(request, workers=workers).manifest
    assert [spec.shape for spec in manifest.outputs] == [(1, 2), (1, 3)]
    assert manifest.notes == ("left out, as they are not tensors: state (NoneType), count (int)",)


def test_an_output_whose_shape_varies(net: Path, workers: Workers) -> None:
    with pytest.raises(
        ModelError, match=r"output output_1 of net\.py:varies (changes its shape|holds no values)"
    ) as caught:
        compile_model(compile_request(source=Path(f"{net}:varies"), target="onnxruntime"), workers=workers)
    assert "a fixed number of rows" in caught.value.hint


def test_a_branch_on_values_cannot_be_traced(net: Path, workers: Workers) -> None:
    request = compile_request(source=Path(f"{net}:branching"), target="onnxruntime", precision="fp32")
    with pytest.raises(ConversionError):
        compile_model(request, workers=workers)


def test_new_weights_are_a_new_model(net: Path, workers: Workers) -> None:
    """The file is named in the module, so it is part of the source: no old artifact is taken for a new model."""
    request = compile_request(source=Path(f"{net}:weights"), target="onnxruntime", precision="fp32")
    first = compile_model(request, workers=workers)
    assert compile_model(request, workers=workers).id == first.id
    write_weights(net.parent / "weights.pth", 2)
    second = compile_model(request, workers=workers)
    assert second.manifest.source.sha256 != first.manifest.source.sha256
    assert second.manifest.parity.sqnr_db > 100
    assert answers(first.folder).tolist() != answers(second.folder).tolist()
    write_weights(net.parent / "weights.pth", 1)
    assert compile_model(request, workers=workers).id == first.id


def test_a_file_that_is_read_but_not_named_is_refused(
    net: Path, tmp_path: Path, read: Callable[..., object]
) -> None:
    weights = net.parent / "weights.pth"
    code = (
        "import torch\nWHERE = ('wei', 'ghts.pth')\n"
        f"def make():\n    net = torch.nn.Linear(3, 2)\n    folder = {str(weights.parent)!r}\n"
        "    net.load_state_dict(torch.load(folder + '/' + ''.join(WHERE)))\n    return net, torch.zeros(1, 3)\n"
    )
    module = tmp_path / "net.py"
    module.write_text(code)
    with pytest.raises(
        ModelError, match=r"net\.py reads a file that edgewright would not see change"
    ) as caught:
        read(Path(f"{module}:make"))
    assert caught.value.hint == f'name it in net.py: FILES = ["{weights}"]'
    module.write_text(f"FILES = [{str(weights)!r}]\n{code}")
    assert read(Path(f"{module}:make"))[0][0].shape == (1, 3)  # type: ignore[index]


def answers(folder: Path):  # type: ignore[no-untyped-def]
    import numpy as np

    with np.load(folder / "goldens.npz") as found:
        return found["output_0"]


def test_two_modules_of_one_name_stay_apart(tmp_path: Path, read: Callable[..., object]) -> None:
    """A module beside the function is taken from there, not from the folder of the model before."""
    for wide in (3, 4):
        folder = tmp_path / str(wide)
        folder.mkdir()
        (folder / "sizes.py").write_text(f"WIDE = {wide}\n")
        (folder / "net.py").write_text(
            "import sizes\nimport torch\n"
            "def make():\n    return torch.nn.Linear(sizes.WIDE, 2), torch.zeros(1, sizes.WIDE)\n"
        )
        assert read(Path(f"{folder / 'net.py'}:make"))[0][0].shape == (1, wide)  # type: ignore[index]
    (tmp_path / "4" / "sizes.py").write_text("WIDE = 5\n")
    assert read(Path(f"{tmp_path / '4' / 'net.py'}:make"))[0][0].shape == (1, 5)  # type: ignore[index]
    assert not list(tmp_path.rglob("__pycache__"))


def test_training_mode_is_refused(tmp_path: Path, read: Callable[..., object]) -> None:
    code = (
        "import sys, torch\n"
        "net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.5))\n"
        "torch.export.save(torch.export.export(net.train(), (torch.zeros(2, 3, 8, 8),)), sys.argv[1])\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "net.pt2"], check=True, timeout=200
    )
    with pytest.raises(ModelError, match=r"net\.pt2 was exported in training mode") as caught:
        read(tmp_path / "net.pt2")
    assert "module.eval()" in caught.value.hint


def test_a_program_runs_no_code_when_it_is_opened(
    tmp_path: Path, small_models: Made, read: Callable[..., object]
) -> None:
    """Weights that are pickled are read as tensors or not at all."""
    import json
    import pickle
    import zipfile

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return open, (str(tmp_path / "burst"), "w")

    source = small_models("torch") / "tokens.pt2"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / "net.pt2", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("model_weights_config.json"):
                config = json.loads(data)
                for entry in config["config"].values():
                    entry["use_pickle"] = True
                data = json.dumps(config).encode()
            elif "/weights/weight_" in name or name.endswith("sample_inputs/model.pt"):
                data = pickle.dumps(Bomb())
            new.writestr(name, data)
    with pytest.raises(ModelError, match=r"PyTorch cannot load net\.pt2"):
        read(tmp_path / "net.pt2")
    assert not (tmp_path / "burst").exists()


def test_a_quantised_program_is_not_quantised_again(tmp_path: Path) -> None:
    code = (
        "import sys, torch\nimport torch.ao.quantization.fx._decomposed\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        small = torch.ops.quantized_decomposed.quantize_per_tensor(x, 0.1, 0, -128, 127, torch.int8)\n"
        "        return torch.ops.quantized_decomposed.dequantize_per_tensor(small, 0.1, 0, -128, 127, torch.int8)\n"
        "torch.export.save(torch.export.export(Net(), (torch.zeros(1, 3),)), sys.argv[1])\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "net.pt2"], check=True, timeout=200
    )
    assert recognise(tmp_path / "net.pt2").quantised
    for precision in (None, "fp16"):
        with pytest.raises(ConversionError, match="quantised already") as caught:
            plan(compile_request(source=tmp_path / "net.pt2", target="onnxruntime", precision=precision))
        assert "start from the model it was made from" in caught.value.hint
