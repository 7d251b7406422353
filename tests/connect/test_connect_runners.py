"""How the host packs runners, and which board gets which."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from command_line import result_of

from edgewright import targets
from edgewright.cli.main import main
from edgewright.connect import runners
from edgewright.connect.agent import bootstrap, package, runner_package
from edgewright.connect.session import Session, open_session
from edgewright.errors import UsageError
from edgewright.nouns.board import Board, Fleet
from edgewright.wire import commands
from edgewright_agent import protocol
from edgewright_agent.storage import state as states

ONNX = "onnxruntime"
IMPORT = """
import json, sys
exec(sys.argv[1])
install(open(sys.argv[2], "rb").read())
from edgewright_agent.installed import runners
sources = json.loads(sys.stdin.read())
print(runners.load(sources, sys.argv[3]).__name__)
for name in sorted(sources):
    if name.endswith("/runner.py"):
        __import__(name[:-3].replace("/", "."))
"""


@pytest.mark.parametrize("target", targets.names())
def test_a_runner_brings_all_that_it_imports_of_ours(target):
    package = runner_package.package(target)
    found = json.loads(package.data)
    assert package.sha256 == hashlib.sha256(package.data).hexdigest()
    assert len(package.data) < protocol.MAX_RUNNER / 8
    assert f"edgewright_targets/{target}/runner.py" in found
    for text in found.values():
        for node in ast.walk(ast.parse(text)):
            modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level
                modules = [f"{node.module}.{one.name}" for one in node.names]
            for module in modules:
                if module.startswith("edgewright"):
                    assert f"{module.replace('.', '/')}.py" in found


def test_a_runner_does_not_depend_on_where_it_lies_nor_on_line_ends(tmp_path):
    folder = tmp_path / "elsewhere"
    for name in runner_package.sources(package.source_folder("edgewright_targets"), ONNX):
        source = package.source_folder("edgewright_targets") / name
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(source.read_bytes().replace(b"\n", b"\r\n"))
    assert runner_package.build(folder, ONNX) == runner_package.package(ONNX)


def test_a_plugins_runner_brings_modules_of_its_own_package(tmp_path):
    own = runner_package.Own("acme.board", tmp_path)
    (tmp_path / "runner.py").write_text("from acme.board import tables\nfrom acme.boards import other\n")
    (tmp_path / "tables.py").write_text("")
    targets_folder = package.source_folder("edgewright_targets")
    assert runner_package.sources(targets_folder, "acme", own) == {
        "acme/runner.py": "from edgewright_targets.acme import tables\nfrom acme.boards import other\n",
        "acme/tables.py": "",
    }
    (tmp_path / "runner.py").write_text("from acme.board.tables import ROWS\n")
    with pytest.raises(UsageError, match=r"imports what is no module: acme/tables/ROWS\.py"):
        runner_package.sources(targets_folder, "acme", own)


@pytest.mark.parametrize(
    "line",
    [
        "from acme.board import tables, rows",
        "from acme import board",
        "from . import tables",
        "import acme.board.tables",
        "import edgewright_targets._cuda.device",
        "from edgewright_targets._cuda import device, other",
    ],
)
def test_an_import_that_would_be_packed_by_half_is_refused(tmp_path, line):
    own = runner_package.Own("acme.board", tmp_path)
    for name in ("runner", "tables", "rows"):
        (tmp_path / f"{name}.py").write_text(f"import os\n{line}\n" if name == "runner" else "")
    with pytest.raises(
        UsageError, match=r"in a way that cannot be packed: acme/runner\.py, line 2"
    ) as refused:
        runner_package.sources(package.source_folder("edgewright_targets"), "acme", own)
    assert refused.value.code == "runner-imports"


@pytest.mark.parametrize("version", ["3.6", "3.13"])
@pytest.mark.parametrize("target", targets.names())
def test_a_runner_is_imported_from_memory_by_old_pythons(target, version, tmp_path):
    (tmp_path / "agent.pyz").write_bytes(package.package().data)
    loader, python = package.package().loader, needs.python(version)
    command = [python, "-I", "-S", "-B", "-c", IMPORT, loader, tmp_path / "agent.pyz", target]
    done = subprocess.run(
        command, input=runner_package.package(target).data, capture_output=True, timeout=30, check=True
    )
    assert done.stdout.decode().strip() == f"edgewright_targets.{target}.runner"


@pytest.fixture
def here(tmp_path: Path) -> Board:
    """This machine as a board, whose own ONNX Runtime runs the model."""
    return Board(name="here", address="local:", root=str(tmp_path / "root"), python=sys.executable)


@pytest.fixture
def fleet(here: Board, tmp_path: Path) -> Fleet:
    return Fleet(name="f", path=tmp_path / "f.toml", boards={"here": here})


def artifact() -> tuple[bytes, dict[str, bytes]]:
    """(manifest, files) of a model that doubles its input."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "tiny", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    goldens, x = io.BytesIO(), np.random.default_rng(1).normal(size=(4, 1, 4)).astype("float32")
    np.savez(goldens, input_0=x, output_0=2 * x)
    files = {"model.onnx": model.SerializeToString(), "goldens.npz": goldens.getvalue()}
    rows = [
        {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for path, data in sorted(files.items())
    ]
    spec = {"shape": [1, 4], "dtype": "float32", "scale": None, "zero_point": None}
    manifest = {
        "schema": 1, "target": ONNX, "precision": "fp32", "entry": "model.onnx", "files": rows,
        "inputs": [{"name": "x", **spec}], "outputs": [{"name": "y", **spec}],
        "goldens": {"file": "goldens.npz", "count": 4, "tolerance": {"sqnr_db": 60.0, "relative": 1e-3}},
    }  # fmt: skip
    return json.dumps(manifest).encode(), files


def installed(session: Session, runner: str | None = None) -> dict[str, Any]:
    """Installs a release under a new lease; returns the arguments of its `verify`."""
    manifest, files = artifact()
    *_, sha256 = session.put_all([(data, "") for data in [*files.values(), manifest]])
    ask = {"model": "m", "txn": uuid.uuid4().hex}
    session.call(commands.Begin(host="test", ttl_s=60, **ask))
    answer = session.call(
        commands.Install(version="1", manifest=sha256, runtime=f"system:{ONNX}", runner=runner, **ask)
    )
    return {"release": answer.release, **ask}


def test_a_runner_is_sent_once_and_named_from_then_on(here, fleet, tmp_path):
    runner = runner_package.package(ONNX)
    for sent in (len(runner.data), 0):
        with open_session(here, fleet) as session:
            assert runners.named(session, ONNX) == runner.sha256
            assert runners.named(session, ONNX) == runner.sha256 and session.sent_bytes == sent
    (file,) = (tmp_path / "root" / "runners").iterdir()
    assert file.read_bytes() == runner.data


@pytest.mark.parametrize("lost", ["never had one", "changed"])
def test_a_release_without_its_runner_gets_this_edgewrights_while_a_command_needs_it(
    here, fleet, tmp_path, lost
):
    root = tmp_path / "root"
    with open_session(here, fleet) as session:
        installed(session, runners.named(session, ONNX))
    (file,) = (root / "runners").iterdir()
    if lost == "changed":
        file.write_bytes(file.read_bytes().replace(b"1", b"2", 1))
    else:  # what an edgewright left whose agent carried its runners
        file.unlink()
        for slot in (root / name for name in states.SLOTS):
            state = states.decode(slot.read_bytes())
            for about in state["models"].get("m", {"releases": {}})["releases"].values():
                del about["runner"]
            slot.write_bytes(states.encode(state))
    with open_session(here, fleet) as session:
        ask = {"model": "m", "txn": uuid.uuid4().hex}
        session.call(commands.Begin(host="test", ttl_s=60, **ask))
        (release,) = session.call(commands.Status()).models["m"].releases
        assert session.call(commands.Verify(release=release, **ask)).ok
        shown = session.call(commands.Status()).models["m"].releases[release].runner
        assert shown == runner_package.package(ONNX).sha256


def test_behind_a_forced_command_the_administrators_runner_is_used(here, fleet, tmp_path, monkeypatch):
    program = tmp_path / "agent.pyz"
    assert main(["fleet", "agent", str(program), "--target", ONNX]) == 0
    command = f"{sys.executable} -I -S -B {program} serve --root {here.root}"
    monkeypatch.setattr(bootstrap, "command", lambda _: command)
    with open_session(here, fleet) as session:
        assert session.greeting.forced and runners.named(session, ONNX) is None
        ask = installed(session)
        assert session.call(commands.Verify(**ask)).ok
        shown = session.call(commands.Status()).models["m"].releases[ask["release"]].runner
        assert shown == runner_package.package(ONNX).sha256
    assert not list((tmp_path / "root" / "runners").iterdir())


def test_fleet_agent_names_what_it_wrote(tmp_path, capsys):
    program = tmp_path / "agent.pyz"
    assert main(["fleet", "agent", str(program), "--target", "tflite", "--json"]) == 0
    told = result_of(capsys.readouterr().out)
    assert told["sha256"] == hashlib.sha256(program.read_bytes()).hexdigest()
    assert told["runners"] == {"tflite": runner_package.package("tflite").sha256}
    assert main(["fleet", "agent", str(tmp_path / "none" / "agent.pyz")]) == 1
    assert main(["fleet", "agent", str(program), "--target", "tflit"]) == 64
