"""What a source is, told by its bytes; what cannot be one is refused with a way out, and never opened."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.compile.recognise import recognise
from edgewright.errors import ModelError

Made = Callable[[str], Path]


def refused(path: Path, code: str = "model-refused") -> ModelError:
    with pytest.raises(ModelError) as caught:
        recognise(path)
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def torch_file(path: Path, data: bytes, *more: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", data)
        archive.writestr("net/version", "3\n")
        for name in more:
            archive.writestr(f"net/{name}", "1")
    return path


STATE_DICT = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01X\x06\x00\x00\x00weightq\x02"
    b"ctorch._utils\n_rebuild_tensor_v2\nq\x03s."
)


def test_weights_alone_have_no_graph(tmp_path: Path) -> None:
    error = refused(torch_file(tmp_path / "net.pth", STATE_DICT))
    assert error.message == "net.pth holds weights alone, a PyTorch state dict has no graph"
    assert "torch.export.save" in error.hint
    assert "module.py:function" in error.hint
    header = b'{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    (tmp_path / "net.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    assert "safetensors" in refused(tmp_path / "net.safetensors").message


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_module_is_never_opened(tmp_path: Path, zipped: bool) -> None:
    burst = tmp_path / "burst"
    data = pickle.dumps({"model": Bomb(burst)}, protocol=2)
    path = tmp_path / "net.pt"
    if zipped:
        torch_file(path, data)
    else:  # the form before zip archives: a magic number, a version, sizes, then the object
        first = [
            pickle.dumps(item, protocol=2) for item in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        ]
        path.write_bytes(b"".join(first) + data)
    error = refused(path)
    assert "opening a pickle runs whatever code it names" in error.message
    assert "open" in error.message  # what it would have called
    assert not burst.exists()


def test_other_forms_of_pytorch(tmp_path: Path) -> None:
    script = torch_file(tmp_path / "script.pt", STATE_DICT, "code/__torch__.py", "constants.pkl")
    assert "TorchScript" in refused(script).message
    with zipfile.ZipFile(tmp_path / "machine.pt2", "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/data/aotinductor/model/x.so", b"")
    assert "AOTInductor" in refused(tmp_path / "machine.pt2").message
    with zipfile.ZipFile(tmp_path / "objects.pt2", "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", "{}")
        archive.writestr("net/data/constants/opaque_obj_0", pickle.dumps(Bomb(tmp_path / "burst")))
    assert "pickled objects" in refused(tmp_path / "objects.pt2").message
    (tmp_path / "net.pte").write_bytes(bytes(4) + b"ET12" + bytes(64))
    assert "ExecuTorch" in refused(tmp_path / "net.pte").message
    assert not (tmp_path / "burst").exists()


@pytest.mark.slow
def test_torchs_own_files(tmp_path: Path) -> None:
    """What torch itself writes today."""
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    assert "holds weights alone" in refused(tmp_path / "weights.pth").message
    torch.save(net, tmp_path / "module.pt")
    assert "is a pickled torch.nn.modules.container.Sequential" in refused(tmp_path / "module.pt").message
    torch.save(net, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "is a pickled torch.nn.modules" in refused(tmp_path / "old.pt").message
    program = torch.export.export(net.eval(), (torch.zeros(1, 3),))
    torch.export.save(program, tmp_path / "net.pt2")
    assert recognise(tmp_path / "net.pt2").source.format == "pt2"
    torch.export.save(program, tmp_path / "net.pt")
    assert recognise(tmp_path / "net.pt").source.format == "pt2"  # by its bytes; .pt2 is the usual name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "two_in_two_out", "tokens", "lstm", "gru", "attention", "dynamic"])
def test_ir_is_two_files(small_models: Made, name: str) -> None:
    found = recognise(small_models("ir") / f"{name}.xml")
    assert (found.source.format, found.quantised) == ("ir", False)
    assert found.size > (small_models("ir") / f"{name}.bin").stat().st_size


@pytest.mark.slow
def test_ir_that_is_not_whole(small_models: Made, tmp_path: Path) -> None:
    text = (small_models("ir") / "cnn.xml").read_text()
    weights = (small_models("ir") / "cnn.bin").read_bytes()
    net = tmp_path / "net.xml"
    net.write_text(text)
    assert "weights of net.xml are missing" in refused(net, "model-truncated").message
    (tmp_path / "net.bin").write_bytes(weights[:-1])
    assert "net.bin" in refused(net, "model-truncated").message
    first = recognise_with(net, weights)
    assert recognise_with(net, weights[:-1] + b"!") != first  # the weights are part of the source
    net.write_text(text[: len(text) // 2])
    refused(net, "model-truncated")
    net.write_text("<html><body></body></html>")
    refused(net, "model-unknown")
    net.write_text(text.replace('type="Convolution"', 'type="FakeQuantize"'))
    assert recognise(net).quantised


def recognise_with(net: Path, weights: bytes) -> str:
    net.with_suffix(".bin").write_bytes(weights)
    return recognise(net).source.sha256


def field(number: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


def node(name: str, operator: str) -> bytes:
    return field(1, field(1, name.encode()) + field(2, operator.encode()))


def test_graphs(tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(node("x", "Placeholder") + node("y", "Relu"))
    assert (recognise(path).source.format, recognise(path).quantised) == ("frozen", False)
    path.write_bytes(node("x", "Placeholder") + node("y", "QuantizedConv2D"))
    assert recognise(path).quantised
    path.write_bytes(node("x", "Placeholder") + node("w", "VariableV2"))
    assert "graph is not frozen, it has 1 variables" in refused(path, "model-not-frozen").message
    path.write_bytes(node("x", "Placeholder") + node("y", "Relu")[:-2])
    refused(path, "model-truncated")
    path.write_bytes(b"\x08\x01" + field(2, field(2, b"graph")))  # what lies in a SavedModel's folder
    assert "file is part of a SavedModel" in refused(path, "model-misnamed").message
    path.write_bytes(b"\x0a\x03abc")
    refused(path, "model-truncated")


MODULE = '''"""A model."""
import json
import layers
from parts import heads
from .missing import nothing
CONFIGURATION = "settings.json"
FILES = ["more"]
def make():
    return json.loads(open(CONFIGURATION).read())
make_again = make
'''


def module(folder: Path) -> Path:
    (folder / "parts").mkdir(parents=True)
    (folder / "more").mkdir()
    for name, text in {
        "net.py": MODULE,
        "layers.py": "import deeper",
        "deeper.py": "WIDTH = 3",
        "unused.py": "",
        "parts/__init__.py": "",
        "parts/heads.py": "",
        "settings.json": "{}",
        "more/weights.bin": "1",
    }.items():
        (folder / name).write_text(text)
    return folder / "net.py"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("net.py", True),
        ("layers.py", True),
        ("deeper.py", True),
        ("parts/__init__.py", True),
        ("parts/heads.py", True),
        ("settings.json", True),
        ("more/weights.bin", True),
        ("unused.py", False),
    ],
)
def test_a_functions_hash_covers_what_it_imports_and_names(tmp_path: Path, name: str, counts: bool) -> None:
    net = module(tmp_path / "here")
    before = recognise(Path(f"{net}:make")).source
    assert before.format == "pytorch"
    assert before.file == "net.py:make"
    file = net.parent / name
    file.write_bytes(file.read_bytes() + b"\n")
    assert (recognise(Path(f"{net}:make")).source.sha256 != before.sha256) is counts
    again = module(tmp_path / "there")
    assert recognise(Path(f"{again}:make")).source.sha256 == before.sha256  # wherever it lies


def test_functions_that_are_not_there(tmp_path: Path) -> None:
    net = module(tmp_path / "here")
    assert recognise(Path(f"{net}:make_again")).source.format == "pytorch"
    error = refused(Path(f"{net}:mack"), "no-such-function")
    assert error.hint == "did you mean make?"
    assert "net.py:FUNCTION" in refused(net, "no-such-function").hint
    refused(Path(f"{tmp_path}/absent.py:make"), "model-not-found")
    net.write_text("def make(:\n")
    assert "net.py is not valid Python, line 1" in refused(Path(f"{net}:make"), "model-unreadable").message
    net.write_text('FILES = ["absent.bin"]\ndef make(): pass\n')
    assert "file of FILES is missing: absent.bin" in refused(Path(f"{net}:make"), "model").message
    net.write_text("FILES = names()\ndef make(): pass\n")
    assert "FILES is not a list" in refused(Path(f"{net}:make"), "model").message


@pytest.mark.slow
def test_a_damaged_archive(small_models: Made, tmp_path: Path) -> None:
    data = (small_models("torch") / "cnn.pt2").read_bytes()
    path = tmp_path / "net.pt2"
    for cut in (data[: len(data) // 2], data[:-1], data.replace(b'"signature"', b'"signaturE"', 1)):
        path.write_bytes(cut)
        assert "a torch.export program" in refused(path, "model-truncated").hint
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "no model")
    path.write_bytes(buffer.getvalue())
    refused(path, "model-unknown")
