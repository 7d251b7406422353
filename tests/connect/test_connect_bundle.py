"""Bundles: written with an index, installed without one, and refused if they are damaged or mislabelled."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest
from command_line import result_of
from msgspec.structs import replace

from edgewright import targets
from edgewright.api.results import BoardAnswer
from edgewright.cli.commands import provision
from edgewright.cli.main import main
from edgewright.cli.views import bundle
from edgewright.config import profiles
from edgewright.connect.session import open_session
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.runtimes import install, wheel_sets
from edgewright.runtimes.bundle import archive, bundle_format, plan
from edgewright.runtimes.resolve import Offer, Search
from edgewright.runtimes.wheel_tags import WheelHost
from edgewright.store import cache

HERE = f"cp{sys.version_info[0]}{sys.version_info[1]}"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
ARCH = platform.machine()
ONNX = "onnxruntime"


def make_wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any") -> Path:
    """A small real wheel with one module."""
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    members = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in members.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def use_index(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Makes a folder pip's only index."""
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(folder))
    patch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with `index` (an onnxruntime for this machine, and numpy) and `away.bundle`, written from it."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "index").mkdir()
    row = plan.one_of(ONNX, PYTHON, ARCH, "2.31", None).row
    make_wheel(folder / "index", ONNX, row.version, f"{HERE}-{HERE}-manylinux_2_28_{ARCH}")
    make_wheel(folder / "index", "numpy", "2.2.0")
    with pytest.MonkeyPatch.context() as patch:
        use_index(patch, folder / "index")
        patch.setenv("EDGEWRIGHT_HOME", str(folder / "home"))
        archive.write(folder / "away.bundle", *plan.fetch(planned().wanted))
    return folder


def planned() -> plan.Plan:
    """The contents of the bundle."""
    profile = profiles.load(f"generic-{'arm64' if ARCH == 'aarch64' else ARCH}")
    return plan.plan(profile, pythons=[PYTHON], names=[ONNX])


@pytest.fixture
def offline(source, tmp_path, monkeypatch):
    """The bundle, copied to another host without an index."""
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "away"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return Path(shutil.copy(source / "away.bundle", tmp_path))


started: list[list[str]] = []
sys.addaudithook(lambda event, args: started.append(args[1]) if event == "subprocess.Popen" else None)


def pip_runs(since: int) -> list[list[str]]:
    """The pip commands started since then."""
    return [command for command in started[since:] if "pip" in command]


def board(tmp_path: Path, name: str) -> Board:
    """A board on this machine."""
    return Board(name=name, address="local:", root=str(tmp_path / f"root-{name}"), python=sys.executable)


def own(facts: Facts) -> Facts:
    """The facts of a board whose system has no runtimes: a board does not have those of the tests' environment."""
    return replace(facts, runtimes=tuple(one for one in facts.runtimes if not one.system))


def test_the_same_wheels_give_the_same_bytes(source, tmp_path, monkeypatch):
    use_index(monkeypatch, source / "index")
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "another"))
    path = tmp_path / "other.bundle"
    for _ in range(2):  # the second time over itself
        archive.write(path, *plan.fetch(planned().wanted))
        assert path.read_bytes() == (source / "away.bundle").read_bytes()
    assert [one.name for one in tmp_path.glob("*bundle*")] + [one.name for one in tmp_path.glob(".*")] == [
        "other.bundle"
    ]
    contents = bundle_format.read(path)
    assert {file.split("-")[0] for file in contents.wheels} == {ONNX, "numpy"}
    for file, entry in contents.wheels.items():
        assert hashlib.sha256((source / "index" / file).read_bytes()).hexdigest() == entry.sha256


def test_a_host_without_internet_installs_from_it_and_deploys_after_it(offline, tmp_path, fleet):
    since = len(started)
    contents = archive.take_in(offline)
    offer = Offer(title=offline.name, kits=contents.kits)
    with open_session(board(tmp_path, "one"), fleet) as session:
        facts = own(session.facts())
        plan = install.ensure_runtime(session, facts, ONNX, offer=offer, dry_run=True)
        assert plan.installed and not session.sent_bytes
        choice = install.ensure_runtime(session, facts, ONNX, offer=offer)
        assert choice.installed and choice.bytes > 0 and choice.ref == plan.ref
        again = install.ensure_runtime(session, own(session.facts(fresh=True)), ONNX, offer=offer)
        assert again == replace(choice, installed=False, bytes=0)
    with open_session(
        board(tmp_path, "two"), fleet
    ) as session:  # as a deployment does, which knows no bundle
        assert pip_runs(since) == []
        steps = []
        again = install.ensure_runtime(session, own(session.facts()), ONNX, progress=steps.append)
        assert again.ref == choice.ref
        assert [step.detail.endswith("from a bundle") for step in steps if step.stage == "resolve"] == [
            False,
            True,
        ]
    assert len(pip_runs(since)) == 1, "the index comes first"
    with open_session(board(tmp_path, "three"), fleet) as session, pytest.raises(EdgewrightError) as caught:
        install.ensure_runtime(session, own(session.facts()), "openvino")
    assert caught.value.code == "index-unreachable" and "--bundle" in caught.value.hint
    assert len(pip_runs(since)) == 2


def test_an_index_in_reach_wins_over_what_a_bundle_brought(source, offline, tmp_path, fleet, monkeypatch):
    archive.take_in(offline)
    index = tmp_path / "index"
    index.mkdir()
    row = planned().wanted[0].row
    make_wheel(index, ONNX, row.version, f"{HERE}-{HERE}-manylinux_2_28_{ARCH}")
    make_wheel(index, "numpy", "2.2.1")
    use_index(monkeypatch, index)
    with open_session(board(tmp_path, "one"), fleet) as session:
        choice = install.ensure_runtime(session, own(session.facts()), ONNX)
    names = {path.name for path in (tmp_path / "root-one" / "runtimes").rglob("*.dist-info")}
    assert "numpy-2.2.1.dist-info" in names and choice.installed


def state(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_dry_run_keeps_nothing_of_a_bundle_and_looks_at_the_disk(
    offline, tmp_path, fleet, monkeypatch, capsys
):
    wheels = tmp_path / "away" / "wheels"
    (tmp_path / "fleet.toml").write_text(
        f'[boards.one]\naddress = "local:"\nroot = "{tmp_path}/root-one"\npython = "{sys.executable}"\n'
    )
    asked = ["provision", "all", "--bundle", str(offline), "--target", ONNX, "--dry-run"]
    assert main([*asked, "--fleet", str(tmp_path / "fleet.toml")]) == 0, capsys.readouterr().err
    offer = bundle.offer(offline, dry_run=True)
    with open_session(board(tmp_path, "one"), fleet) as session:
        facts = own(session.facts())
        plan = install.ensure_runtime(session, facts, ONNX, offer=offer, dry_run=True)
        assert plan.installed and plan.ref
        with pytest.raises(EdgewrightError) as caught:
            install.ensure_runtime(
                session, replace(facts, disk_free_bytes=1000), ONNX, offer=offer, dry_run=True
            )
        assert caught.value.code == "disk-full" and not session.sent_bytes
    assert state(wheels) == {}


@pytest.mark.parametrize(
    ("dry_run", "size", "shown"),
    [(True, 0, "would be installed - -"), (False, 2**20, "installed 1.0 MiB ab12")],
)
def test_a_dry_run_is_not_shown_as_done(capsys, dry_run, size, shown):
    choice = install.RuntimeChoice(
        ref="" if dry_run else "ab12", name="net", version="1.0", installed=True, bytes=size
    )
    provision.show([BoardAnswer(board="one", result=choice)], dry_run=dry_run)
    assert " ".join(capsys.readouterr().out.split()).endswith(f"one net 1.0 {shown}")


def test_what_a_killed_write_left_goes_at_the_next(tmp_path, source):
    path = Path(shutil.copy(source / "away.bundle", tmp_path))
    left, other = tmp_path / f".{path.name}.abc.part", tmp_path / f".{path.name}.mine"
    busy = tmp_path / f".{path.name}.def.part"
    for one in (left, other, busy):
        one.write_bytes(b"half")
    with busy.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # by a process that still writes
        archive.write(path, [], [])
    assert not left.exists() and other.exists() and busy.exists()


def test_a_bundle_whose_wheels_were_pruned_hides_no_other(offline, tmp_path):
    (kit,) = archive.take_in(offline).kits
    wheel_sets.keep([replace(kit, version="99.0", wheels={file: "1" * 64 for file in kit.wheels})])
    host = WheelHost(python=f"{PYTHON}.1", arch=ARCH, libc="glibc", libc_version="2.41")
    search = Search(targets.load(ONNX), host, None, {})
    found = search.brought(None)
    assert found is not None and found.row.version == kit.version
    notes = tmp_path / "away" / "wheels"
    assert len(list(notes.glob("kit-*.json"))) == 2
    cache.prune(max_bytes=None, dry_run=True)
    assert len(list(notes.glob("kit-*.json"))) == 2
    cache.prune(max_bytes=None)
    assert [one.version for one in wheel_sets.kept()] == [kit.version]


def test_an_older_runtime_of_a_bundle_is_taken_where_the_index_is_away(offline, tmp_path, fleet):
    """The row names a version that is in no bundle; the version of a bundle runs there too."""
    contents = archive.take_in(offline)
    (kit,) = contents.kits
    for note in (tmp_path / "away" / "wheels").glob("kit-*.json"):
        note.unlink()
    wheel_sets.keep([replace(kit, version="1.0.0")])
    with open_session(board(tmp_path, "one"), fleet) as session:
        assert install.ensure_runtime(session, own(session.facts()), ONNX).version == "1.0.0"


def test_a_bundle_for_other_boards_is_refused_by_name(offline, tmp_path, fleet):
    contents = archive.take_in(offline)
    (kit,) = contents.kits
    other = replace(
        kit, python="3.7", wheels={"onnxruntime-1.14.1-cp37-cp37m-manylinux2014_aarch64.whl": "0" * 64}
    )
    with open_session(board(tmp_path, "one"), fleet) as session, pytest.raises(EdgewrightError) as caught:
        install.ensure_runtime(session, own(session.facts()), ONNX, offer=Offer(title="b", kits=(other,)))
    assert caught.value.code == "no-wheel" and "for Python 3.7" in caught.value.hint
    assert not session.sent_bytes


def test_damaged_wheels_of_the_store_are_taken_from_the_bundle_again(offline, tmp_path):
    contents = archive.take_in(offline)
    file, entry = next(iter(contents.wheels.items()))
    place = tmp_path / "away" / "wheels" / entry.sha256 / file
    place.write_bytes(b"damaged")
    archive.take_in(offline)
    assert hashlib.sha256(place.read_bytes()).hexdigest() == entry.sha256


def rebuilt(path: Path, *, change=None, extra=(), packed=False, first=None) -> None:
    """Writes a bundle again with a change."""
    with zipfile.ZipFile(path) as archive:
        rows = [(info.filename, archive.read(info)) for info in archive.infolist()]
    if change is not None:
        rows = [(name, change(json.loads(data)) if name == "bundle.json" else data) for name, data in rows]
    if first is not None:
        rows.sort(key=lambda row: row[0] != first)
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in [*rows, *extra]:
            archive.writestr(name, json.dumps(data) if isinstance(data, dict) else data)


def renamed(document: dict, name: str) -> dict:
    """The index, with its first wheel under another name."""
    file = next(iter(document["wheels"]))
    document["wheels"][name] = document["wheels"].pop(file)
    for kit in document["kits"]:
        kit["wheels"] = {name if one == file else one: sha for one, sha in kit["wheels"].items()}
    return document


def other_hash(document: dict) -> dict:
    """The index, with another hash for every wheel."""
    for entry in document["wheels"].values():
        entry["sha256"] = "0" * 64
    for kit in document["kits"]:
        kit["wheels"] = dict.fromkeys(kit["wheels"], "0" * 64)
    return document


def kit_with(document: dict, **changes: object) -> dict:
    """The index, with a change in its kits."""
    document["kits"] = [{**kit, **changes} for kit in document["kits"]]
    return document


def lying_over_each_other(path: Path) -> None:
    """Makes the last member's directory entry claim the bytes of all before it too."""
    with zipfile.ZipFile(path) as archive:
        last = archive.infolist()[-1]
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    for place in (20, 24):
        data[at + place : at + place + 4] = (last.file_size + len(data)).to_bytes(4, "little")
    path.write_bytes(data)


MANY_TAGS = "a-1-" + "-".join([".".join(f"a{number}" for number in range(130))] * 3) + ".whl"


def flagged(path: Path, flag: int) -> None:
    """Sets a flag of the last member."""
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= flag
    path.write_bytes(data)


def past_any_file(path: Path) -> None:
    """Makes the last member lie at byte 2^63 + 5, by a Zip64 field."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    name, extra = (int.from_bytes(data[at + place : at + place + 2], "little") for place in (28, 30))
    field = b"\x01\x00\x08\x00" + (2**63 + 5).to_bytes(8, "little")
    data[at + 42 : at + 46] = b"\xff" * 4
    data[at + 30 : at + 32] = (extra + len(field)).to_bytes(2, "little")
    data[at + 46 + name + extra : at + 46 + name + extra] = field
    end = data.rindex(b"PK\x05\x06")
    size = int.from_bytes(data[end + 12 : end + 16], "little") + len(field)
    data[end + 12 : end + 16] = size.to_bytes(4, "little")
    path.write_bytes(data)


HOSTILE = {
    "members over each other": lying_over_each_other,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a zip"),
    "another zip": lambda path: make_wheel(path.parent, "x", "1").replace(path),
    "packed": lambda path: rebuilt(path, packed=True),
    "more than it says": lambda path: rebuilt(path, extra=[("wheels/more-1-py3-none-any.whl", b"x")]),
    "a path outside": lambda path: rebuilt(path, extra=[("../../evil", b"x")]),
    "an unsafe name": lambda path: rebuilt(path, change=lambda one: renamed(one, "../x-1-py3-none-any.whl")),
    "a name without a wheel tag": lambda path: rebuilt(path, change=lambda one: renamed(one, "evil.sh")),
    "another hash": lambda path: rebuilt(path, change=other_hash),
    "no hash": lambda path: rebuilt(path, change=lambda one: {**one, "wheels": {k: {"sha256": "x", "size": 1} for k in one["wheels"]}}),
    "an unknown key": lambda path: rebuilt(path, change=lambda one: {**one, "run": "me"}),
    "no schema": lambda path: rebuilt(path, change=lambda one: {**one, "schema": True}),
    "another order": lambda path: rebuilt(path, first="wheels/numpy-2.2.0-py3-none-any.whl"),
    "a kit of something else": lambda path: rebuilt(path, change=lambda one: kit_with(one, distribution="openvino")),
    "a kit that asks nonsense": lambda path: rebuilt(path, change=lambda one: kit_with(one, own=["; rm -rf /"])),
    "a kit that asks without an end": lambda path: rebuilt(path, change=lambda one: kit_with(one, own=["a; " + "(" * 9000])),
    "a name of a million tags": lambda path: rebuilt(path, change=lambda one: renamed(one, MANY_TAGS)),
    "a flag that zipfile passes over": lambda path: flagged(path, 0x04),
    "patched data": lambda path: flagged(path, 0x20),
    "strong encryption": lambda path: flagged(path, 0x40),
    "a place past any file": past_any_file,
    "a kit without wheels": lambda path: rebuilt(path, change=lambda one: {**one, "wheels": {}}),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(HOSTILE))
def test_what_is_no_bundle_is_refused_and_leaves_nothing(offline, tmp_path, what, capsys):
    HOSTILE[what](offline)
    began = time.process_time()
    with pytest.raises(EdgewrightError) as caught:
        archive.take_in(offline)
    assert caught.value.code == "bad-bundle" and caught.value.hint and "\n" not in caught.value.message
    assert not list((tmp_path / "away" / "wheels").glob("kit-*")) and not (tmp_path / "evil").exists()
    assert not list((tmp_path / "away" / "wheels").glob(".download-*"))
    assert main(["provision", "--bundle", str(offline)]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "internal error" not in said
    assert time.process_time() - began < 6  # a million tags multiplied out take 12 s


def test_a_flipped_byte_in_a_wheel_is_found(offline):
    data = bytearray(offline.read_bytes())
    data[data.index(b"__version__") + 3] ^= 1
    offline.write_bytes(data)
    for read in (archive.take_in, archive.verified):
        with pytest.raises(EdgewrightError) as caught:
            read(offline)
        assert caught.value.code == "bad-bundle"


def test_another_file_is_not_overwritten(tmp_path):
    mine = tmp_path / "thesis.zip"
    make_wheel(tmp_path, "x", "1").replace(mine)
    before = mine.read_bytes()
    with pytest.raises(EdgewrightError, match="stays as it is"):
        archive.write(mine, [], [])
    with pytest.raises(EdgewrightError, match="cannot write"):
        archive.write(tmp_path / "no" / "where", [], [])
    assert mine.read_bytes() == before


def test_the_command_writes_shows_and_only_plans(source, tmp_path, capsys, monkeypatch):
    use_index(monkeypatch, source / "index")
    path = tmp_path / "b.bundle"
    profile = f"generic-{'arm64' if ARCH == 'aarch64' else ARCH}"
    asked = [
        "provision",
        "--bundle",
        str(path),
        "--profile",
        profile,
        "--python",
        PYTHON,
        "--target",
        ONNX,
        "--json",
    ]
    assert main([*asked, "--dry-run"]) == 0 and not path.exists()
    plan = result_of(capsys.readouterr().out)
    assert plan["dry_run"] and plan["bundle"]["planned_runtimes"][0]["distribution"] == ONNX
    assert main(asked) == 0
    document = result_of(capsys.readouterr().out)["bundle"]
    assert document["size"] == path.stat().st_size and len(document["wheels"]) == 2
    assert main(["provision", "--bundle", str(path)]) == 0
    assert "2 wheels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no boards given"),
        (["all", "--bundle", "b", "--profile", "pi4b"], "--profile is for writing"),
        (["all", "--python", "3.11"], "say what a bundle is for"),
        (["--profile", "pi4b"], "without --bundle"),
        (["all", "--bundle", "b", "--wheel", "w.whl"], "together"),
        (["all", "--target", "tflite", "--target", "openvino"], "more than one target"),
        (["--bundle", "b", "--profile", "pi4b", "--version", "1"], "--version without --target"),
        (["--bundle", "b", "--profile", "pi4b", "--python", "three"], "not a version of Python"),
        (["--bundle", "b", "--profile", "pi4b", "--arch", "ARM v7"], "not an architecture"),
        (["--bundle", "b", "--profile", "pi4b", "--glibc", "new"], "not a version of glibc"),
        (["--bundle", "b", "--profile", "pi4c"], "pi4c"),
        (["--bundle", "b", "--profile", "pi4b", "--target", "tflit"], "tflit"),
    ],
)
def test_options_that_do_not_go_together(arguments, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["provision", *arguments]) == 64
    assert says in capsys.readouterr().err and not list(tmp_path.glob("b"))


@pytest.mark.parametrize(("arguments", "says"), [
    (["--profile", "pi4b", "--python", "3.5"], "no wheel of ai-edge-litert or tflite-runtime for Python 3.5"),
    (["--profile", "jetson-nano", "--target", "tensorrt"], "no wheel of NVIDIA TensorRT"),
    ([], "no such bundle"),
])  # fmt: skip
def test_what_cannot_be_bundled(arguments, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["provision", "--bundle", "b", *arguments]) == 1
    assert says in capsys.readouterr().err and not (tmp_path / "b").exists()
