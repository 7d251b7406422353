"""The host does not send bytes that the board already has, and the board hashes them before it trusts them."""

import json
import os
from pathlib import Path


def part(wire, kit, data):
    return wire.call("part", sha256=kit.sha(data), size=len(data))


def test_an_unchanged_file_of_a_release_is_not_sent_again(connect, kit, root):
    wire = connect()
    built = kit.artifact("a")
    release = kit.deployed(wire, root, "a", "1")
    assert list((root / "incoming").iterdir()) == []
    for data in [*built["files"].values(), built["manifest"]]:
        assert part(wire, kit, data) == {
            "complete": True, "offset": len(data), "prefix_sha256": kit.sha(data),
        }  # fmt: skip
    again = wire.call(
        "install", model="digits", version="2", manifest=built["sha256"], runtime=kit.provision(wire),
        hooks={}, txn=kit.begun(wire),
    )["release"]  # fmt: skip
    one, two = (root / "models/digits/versions" / name / "model.tflite" for name in (release, again))
    assert one.read_bytes() == two.read_bytes() and one.stat().st_ino != two.stat().st_ino


def test_a_file_of_another_model_and_a_hook_are_known_too(connect, kit, root):
    wire, hook = connect(), b"#!/bin/sh\nexit 0\n"
    txn = kit.begun(wire, "other")
    kit.install(wire, kit.artifact("a"), txn, model="other", hooks={"health": hook})
    wire.call("prune", keep=0)
    assert part(wire, kit, kit.artifact("b")["files"]["goldens.npz"])["complete"]
    assert not part(wire, kit, kit.artifact("b")["files"]["model.tflite"])["complete"]
    assert part(wire, kit, hook)["complete"]


def test_a_damaged_file_is_asked_for(connect, kit, root):
    wire = connect()
    kit.deployed(wire, root, "a", "1")
    data = kit.artifact("a")["files"]["model.tflite"]
    path = root / "models/digits/current/model.tflite"
    path.chmod(0o600)
    path.write_bytes(data[:-1] + b"?")
    assert part(wire, kit, data) == {"complete": False, "offset": 0, "prefix_sha256": kit.sha(b"")}
    assert list((root / "incoming").iterdir()) == []
    assert b"a file is damaged" in wire.get(wire.call("logs", lines=5)["log"])


def test_a_part_that_was_sent_is_dropped_when_the_rest_is_there(connect, kit, root):
    wire = connect()
    data = kit.artifact("a")["files"]["goldens.npz"]
    wire.send("put", sha256=kit.sha(data), size=len(data), offset=0)
    wire.send_raw(data[:100])
    wire.close()
    wire = connect()
    kit.deployed(wire, root, "b", "1")
    (root / "incoming" / (kit.sha(data) + ".part")).write_bytes(data[:100])
    assert part(wire, kit, data)["complete"]
    assert [path.name for path in (root / "incoming").iterdir()] == [kit.sha(data)]


def provision(wire, kit, name, wheels):
    rows = [
        {"file": f"{kit.sha(data)[:8]}.whl", "sha256": kit.sha(data), "size": len(data)} for data in wheels
    ]
    for data in wheels:
        if not part(wire, kit, data)["complete"]:
            wire.put(data)
    return wire.call("provision", name=name, target="tflite", version="1", wheels=rows)


def test_a_wheel_that_two_runtimes_share_is_sent_once(connect, kit, root):
    wire = connect()
    shared = kit.wheel({"numpy/__init__.py": b"", "numpy/core.so": os.urandom(5000)})
    one = provision(wire, kit, "one", [shared, kit.wheel({"one.py": b"1"})])
    assert part(wire, kit, shared)["complete"] and list((root / "incoming").iterdir()) == []
    two = provision(wire, kit, "two", [shared, kit.wheel({"two.py": b"2"})])
    about = json.loads((root / two["path"] / "RUNTIME.json").read_bytes())
    assert set(about["files"]) == {"numpy/__init__.py", "numpy/core.so", "two.py"}
    assert Path(one["path"], "numpy/core.so").samefile(Path(two["path"], "numpy/core.so"))
    kit.install(wire, kit.artifact(), kit.begun(wire), runtime=two["ref"])  # its files are verified


def test_a_damaged_wheel_is_sent_again_and_the_rest_borrowed(connect, kit, root):
    wire = connect()
    wheels = [kit.wheel({"numpy/core.so": os.urandom(5000)}), kit.wheel({"one.py": b"1"})]
    one = provision(wire, kit, "one", wheels)
    (root / one["path"] / "one.py").write_bytes(b"2")
    assert [part(wire, kit, data)["complete"] for data in wheels] == [True, False]
    assert provision(wire, kit, "one", wheels) == one
    assert (root / one["path"] / "one.py").read_bytes() == b"1"


def test_a_wheel_whose_files_another_one_replaced_is_not_held(connect, kit, root):
    wire = connect()
    first, second = kit.wheel({"same.py": b"1", "first.py": b"1"}), kit.wheel({"same.py": b"2"})
    provision(wire, kit, "both", [first, second])
    assert [part(wire, kit, data)["complete"] for data in (first, second)] == [False, True]
