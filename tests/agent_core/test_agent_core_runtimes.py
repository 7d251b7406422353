import io
import zipfile

import pytest

from edgewright_agent.installed.runtimes import destination
from edgewright_agent.protocol import runtime_id

MEMBERS = {
    "toy/__init__.py": b"VERSION = 1\n",
    "toy/native.so": b"\x7fELF" * 100,
    "toy-1.0.dist-info/METADATA": b"Name: toy\n",
    "toy-1.0.data/purelib/extra.py": b"X = 1\n",
    "toy-1.0.data/platlib/toy/more.py": b"Y = 1\n",
    "toy-1.0.data/scripts/run-toy": b"#!python\n",
    "RUNTIME.json": b"{}",
}


def test_wheels_are_unpacked_where_they_can_be_imported(connect, kit, root):
    wire = connect()
    data = kit.wheel(MEMBERS)
    row = {"file": "toy.whl", "sha256": wire.put(data), "size": len(data)}
    answer = wire.call("provision", name="toy", target="tflite", version="1.0+cpu", wheels=[row])
    assert answer["ref"] == runtime_id([kit.sha(data)])
    folder = root / "runtimes" / f"toy-1.0+cpu-{answer['ref'][:8]}"
    assert answer["path"] == str(folder)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    kept = ["toy/__init__.py", "toy/native.so", "toy/more.py", "toy-1.0.dist-info/METADATA", "extra.py"]
    assert found == {*kept, "RUNTIME.json"}
    listed = [one for one in wire.call("facts")["runtimes"] if not one["system"]]
    assert listed == [
        {"ref": answer["ref"], "name": "toy", "target": "tflite", "version": "1.0+cpu", "system": False}
    ]
    assert [path.name for path in (root / "incoming").iterdir()] == []


@pytest.mark.parametrize("damage", ["change", "add", "remove"])
def test_a_damaged_runtime_is_noticed_and_made_anew(connect, kit, root, damage):
    wire = connect()
    ref = kit.provision(wire)
    (folder,) = (root / "runtimes").iterdir()
    target = folder / "toy" / "__init__.py"
    if damage == "change":
        target.write_bytes(b"VERSION = 2\n")
    elif damage == "add":
        (folder / "numpy.py").touch()
    else:
        target.unlink()
    with pytest.raises(kit.AgentFailureError, match=r"runtime-damaged"):
        kit.install(wire, kit.artifact(), kit.begun(wire), runtime=ref)
    assert kit.provision(wire) == ref
    assert target.read_bytes() == b"VERSION = 1\n" and not (folder / "numpy.py").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "/evil", "a/../../evil", "a\\..\\evil", "a//b", "./a", "x" * 300]
)
def test_wheels_with_unsafe_paths_are_refused(connect, kit, root, name):
    wire = connect()
    with pytest.raises(kit.AgentFailureError, match=r"bad-argument"):
        kit.provision(wire, kit.wheel({"ok.py": b"", name: b"evil"}))
    assert [path.name for path in (root / "runtimes").iterdir()] == []
    assert not [
        one for one in [path.name for path in (root / "incoming").iterdir()] if one.startswith("stage")
    ]


def test_unpacking_stops_at_the_declared_size(connect, kit, root):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.py", b"0" * 1_000_000)
    data = buffer.getvalue().replace((1_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    with pytest.raises(kit.AgentFailureError, match=r"bad-argument"):
        kit.provision(connect(), data)
    assert [path.name for path in (root / "runtimes").iterdir()] == []


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 17])
def test_what_is_no_wheel_is_refused(connect, kit, data):
    with pytest.raises(kit.AgentFailureError, match=r"bad-argument|not a wheel"):
        kit.provision(connect(), data or b" ")


def test_what_a_runtime_does_not_need_is_left_out():
    assert destination("x.data/headers/a.h") is None
    assert destination("x.data/data/share/doc") is None
    assert destination("pkg/data/purelib/a.py") == "pkg/data/purelib/a.py"
