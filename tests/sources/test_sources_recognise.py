"""What a source is, recognised by its bytes; what cannot be one is refused with a way out, and never opened."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.compile.recognition import recognise
from edgewright.errors import ModelError

Made = Callable[[str], Path]


def refused(path: Path, code: str = "model-refused") -> ModelError:
    with pytest.raises(ModelError) as caught:
        recognise(path)
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


class Bomb:
    """Unpickling it writes a file, or makes a folder."""

    def __init__(self, path: Path, *, folder: bool = False) -> None:
        self.path, self.folder = path, folder

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),)) if self.folder else (open, (str(self.path), "w"))


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
    for name in ("opaque_obj_0", "Opaque_obj_0", "CUSTOM_OBJ_0"):  # torch finds members whatever their case
        with zipfile.ZipFile(tmp_path / "objects.pt2", "w") as archive:
            archive.writestr("net/archive_format", "pt2")
            archive.writestr("net/models/model.json", "{}")
            archive.writestr(f"net/data/constants/{name}", pickle.dumps(Bomb(tmp_path / "burst")))
        assert "pickled objects" in refused(tmp_path / "objects.pt2").message
    (tmp_path / "net.pte").write_bytes(bytes(4) + b"ET12" + bytes(64))
    assert "ExecuTorch" in refused(tmp_path / "net.pte").message
    assert not (tmp_path / "burst").exists()


def pt2(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


PROGRAM = {"net/archive_format": "pt2", "net/models/model.json": "{}", "net/data/weights/weight_0": bytes(4)}
OLD = {"version": "8.8", "serialized_exported_program.json": "{}", "serialized_state_dict.pt": b"1"}


@pytest.mark.parametrize(
    "more",
    [
        {"net/data/weights/Weight_0": b"1"},  # the same member to torch, not to zipfile
        {"net/data/weights/other": b"1"},
        {"net/models/model.so": b"1"},
        {"more/models/model.json": "{}"},
        {"serialized_exported_program.json": "{}"},  # two forms in one
        {"net/data/constants/m_constants_config.json": '{"config": {"a": {"path_name": "opaque_obj_0"}}}'},
        {
            "net/data/constants/m_constants_config.json": '{"config": {"a": {"path_name": "../weights/weight_0"}}}'
        },
        {"net/models/more.json": "{"},
        {"net/models/more.json": '["' * 3000},
    ],
)
def test_a_program_has_only_members_that_torch_writes(tmp_path: Path, more: dict[str, bytes | str]) -> None:
    assert recognise(pt2(tmp_path / "net.pt2", PROGRAM)).source.format == "pt2"
    assert "torch.export does not write" in refused(pt2(tmp_path / "net.pt2", PROGRAM | more)).message
    assert "torch.export does not write" in refused(pt2(tmp_path / "net.pt2", more | PROGRAM)).message


def test_a_program_of_older_torch(tmp_path: Path) -> None:
    assert recognise(pt2(tmp_path / "net.pt2", OLD)).source.format == "pt2"
    for more in (
        {"net/x": b"1"},
        {"Version": "1"},
        {"serialized_exported_program.json": '{"guards_code": ["f()"]}'},
    ):
        assert "torch.export does not write" in refused(pt2(tmp_path / "net.pt2", OLD | more)).message


@pytest.mark.parametrize(
    ("program", "fine"),
    [
        ({"expr_str": "FloorDiv(Symbol('s0', positive=True, integer=True), Integer(2))"}, True),
        ({"expr_str": "eval('1')"}, False),
        ({"expr_str": "Max('f()')"}, False),
        ({"expr_str": "Symbol.mro()"}, False),
        ({"expr_str": "(lambda x=1, Symbol=2, positive=3)"}, False),
        ({"guards_code": ["(L['x'].size()[3] * max(1, L['x'].size()[2] // 2)) != 1"]}, True),
        ({"guards_code": ["open('f', 'w')"]}, False),
        ({"guards_code": ["L['x'].__class__ == 1"]}, False),
        ({"tensor_values": {"metadata": {"sizes": [{"as_expr": {"expr_str": "f()"}}]}}}, False),
        ({"metadata": {"expr_str": "f() is only a text here"}, "as_string": "'\n"}, True),
        ({"nodes": [{"target": "torch.ops.aten.__and__.Tensor"}, {"target": "_operator.getitem"}]}, True),
        ({"nodes": [{"target": "torch.serialization.os.system"}]}, False),
        ({"nodes": [{"target": "torch.ops.load_library"}]}, False),
        ({"nodes": [{"target": "torch.ops.aten.from_file.default"}]}, False),
        ({"nodes": [{"target": "_operator.methodcaller"}]}, False),
        ({"as_operator": "torch.ops.aten.__init__.__globals__"}, False),
        ({"inputs": [{"as_tensor": {"name": "x = f()"}}]}, False),
        ({"forward_arg_names": ["x", "y=f()"]}, False),
        ({"parameter_name": "blocks.conv 1.a/b-c.weight"}, True),
        ({"parameter_name": 'w"), f(), ("'}, False),
        ({"in_spec": '[1, {"type": "builtins.dict", "context": "[\\"a b\\"]", "children_spec": []}]'}, True),
        ({"in_spec": '[1, {"context": "{\\"__enum__\\": true, \\"fqn\\": \\"this:s\\"}"}]'}, False),
        ({"in_spec": '[1, {"context": {"default_factory_module": "os"}}]'}, False),
    ],
)
def test_texts_that_torch_would_run(tmp_path: Path, program: dict[str, object], fine: bool) -> None:
    path = pt2(tmp_path / "net.pt2", PROGRAM | {"net/models/model.json": json.dumps(program)})
    if fine:
        assert recognise(path).source.format == "pt2"
    else:
        assert "torch.export does not write" in refused(path).message


def test_a_keras_file_is_read_as_what_it_begins_with(tmp_path: Path) -> None:
    """A zip archive at its end, or a configuration that cannot be read, hides no lambda layer."""
    import h5py

    from edgewright.compile.sources.keras_file import open_file

    path, layer = tmp_path / "net.h5", {"class_name": "Lambda", "config": {"function": ["4wEA", None, None]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(ModelError, match="holds Python code, a lambda layer"):
        open_file(path, {})
    for text in ("{", "[" * 100000):
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=text)
            file.attrs["model_config"] = text if len(text) < 60000 else h5py.Empty("S1")
        with pytest.raises(ModelError, match=r"configuration in the Keras file net\.h5 cannot be read"):
            open_file(path, {})


@pytest.mark.parametrize("how", ["link", "storage", "virtual"])
def test_a_keras_file_has_all_of_its_weights(tmp_path: Path, how: str) -> None:
    import h5py

    from edgewright.compile.sources.keras_file import open_file

    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = [1.0, 2.0]
    with h5py.File(tmp_path / "net.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
        group = file.create_group("model_weights/dense")
        if how == "link":
            group["kernel"] = h5py.ExternalLink("secret.h5", "/kernel")
        elif how == "storage":
            group.create_dataset("kernel", (2,), "f4", external=[(str(tmp_path / "secret.h5"), 0, 8)])
        else:
            layout = h5py.VirtualLayout((2,), "f8")
            layout[:] = h5py.VirtualSource("secret.h5", "kernel", (2,))
            group.create_virtual_dataset("kernel", layout)
    with pytest.raises(ModelError, match=r"weights in another file: net\.h5: model_weights/dense/kernel"):
        open_file(tmp_path / "net.h5", {})


@pytest.mark.parametrize("reads", ["weights elsewhere", "a vocabulary"])
def test_a_keras_3_file_reads_no_other_file(tmp_path: Path, reads: str) -> None:
    import h5py

    from edgewright.compile.sources.keras_file import open_file

    path, layers = tmp_path / "net.keras", []
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        if reads == "weights elsewhere":
            file["kernel"] = h5py.ExternalLink("/etc/secret.h5", "/kernel")
    if reads == "a vocabulary":
        layers = [{"class_name": "StringLookup", "config": {"name": "words", "vocabulary": "/etc/passwd"}}]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "config.json", json.dumps({"class_name": "Sequential", "config": {"layers": layers}})
        )
        archive.writestr("model.weights.h5", (tmp_path / "weights.h5").read_bytes())
    message = {
        "weights elsewhere": "has weights in another file: net.keras: kernel",
        "a vocabulary": "has layers that read other files: net.keras: words",
    }[reads]
    with pytest.raises(ModelError, match=message) as caught:
        open_file(path, {})
    assert "--trust-model" in caught.value.hint


@pytest.mark.slow
def test_programs_with_code_are_not_opened(tmp_path: Path) -> None:
    """Attacks on a file that torch wrote: they run code when torch alone opens them, and the worker does not open them."""
    import torch

    from edgewright.compile.sources.torch import open_program

    burst, source = tmp_path / "burst", tmp_path / "net.pt2"
    dimensions = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(
        torch.nn.Linear(3, 2).eval(), (torch.zeros(4, 3),), dynamic_shapes=dimensions
    )
    torch.export.save(program, source)
    assert open_program(source, {}).output_names == ("output",)
    with zipfile.ZipFile(source) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    graph, constants = "net/models/model.json", "net/data/constants/model_constants_config.json"
    call = f"__import__('os').mkdir('{burst}')"
    hidden = json.dumps(
        f"eval('__import__(\"os\").mkdir(bytes({list(str(burst).encode())})) or Integer(4)')"
    )[1:-1]
    guarded = json.loads(members[graph]) | {"guards_code": [call]}
    size = re.compile(r"Symbol\('s\d+', positive=True, integer=True\)")
    sized = size.sub(lambda _: hidden, bytes(members[graph]).decode())  # type: ignore[arg-type]
    pickled = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    attacks: list[dict[str, bytes | str]] = [
        {graph: json.dumps(guarded)},
        {graph: sized},
        {
            constants: json.dumps({"config": {"zz": pickled}}),
            "net/data/constants/Opaque_obj_0": pickle.dumps(Bomb(burst, folder=True)),
        },
    ]
    for attack in attacks:
        path = pt2(tmp_path / "attack.pt2", members | attack)
        refused(path)
        with pytest.raises(ModelError):
            open_program(path, {})
        assert not burst.exists()
        with contextlib.suppress(Exception):
            torch.export.load(path).module()(torch.zeros(4, 3))
        assert burst.exists()  # so the attack is a real one
        burst.rmdir()


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
    pool = torch.nn.MaxPool2d(2)  # its open axes have guards
    axes = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    torch.export.save(
        torch.export.export(pool, (torch.zeros(1, 3, 8, 10),), dynamic_shapes=(axes,)), tmp_path / "pool.pt2"
    )
    with zipfile.ZipFile(tmp_path / "pool.pt2") as archive:
        assert json.loads(archive.read("pool/models/model.json"))["guards_code"]
    assert recognise(tmp_path / "pool.pt2").source.format == "pt2"
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
