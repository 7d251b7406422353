"""What a newer edgewright wrote is refused in one line with a hint, and left as it is."""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

NEWER = 99


@pytest.fixture
def home(home: Path, kit) -> Path:
    return kit.restore_home(home)


def refused(ran, *, code: str, hint: str = "upgrade this one") -> None:
    """One line that names the schema, and a hint."""
    error = ran.error
    assert ran.code and error["code"] == code, ran.out
    assert f"schema {NEWER}" in error["message"] and "\n" not in error["message"], error
    assert hint in error["hint"], error


@pytest.fixture
def config(kit, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = shutil.copytree(kit.OLD / "config", tmp_path / "config")
    (home / "profiles").mkdir()
    shutil.copy(folder / "shelf-pc.toml", home / "profiles")
    (folder / "tiny.onnx").write_bytes((kit.OLD / "models/tiny.onnx").read_bytes())
    monkeypatch.setenv("EDGEWRIGHT_FLEET", str(folder / "fleet.toml"))
    return folder


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("fleet.toml", ("fleet", "list")),
        ("fleet.trust.toml", ("fleet", "show", "kitchen")),
        ("edgewright.toml", ("convert", "--project", "edgewright.toml", "--target", "tflite")),
        ("shelf-pc.toml", ("profiles", "show", "shelf-pc")),
    ],
)
@pytest.mark.parametrize("written", [NEWER, 0, "true", "1.5", "'x'"])
def test_a_config_file(kit, config, home, monkeypatch, file, arguments, written):
    """A newer one also where it has keys that nobody here knows."""
    path = home / "profiles" / file if file == "shelf-pc.toml" else config / file
    text = "".join(
        line for line in path.read_text().splitlines(keepends=True) if not line.startswith("schema")
    )
    path.write_text(f"schema = {written}\nnovelty = 1\n{text}")
    before = path.read_bytes()
    monkeypatch.chdir(config)
    ran = kit.run(*arguments, "--json")
    if written == NEWER:
        refused(ran, code="newer-schema")
    else:
        assert ran.code == 64 and "not a schema" in ran.error["message"], ran.out
    assert path.read_bytes() == before


def test_a_config_file_without_a_schema_is_of_the_first(config):
    from edgewright.config import fleet

    path = config / "fleet.toml"
    path.write_text(path.read_text().replace("schema = 1\n", ""))
    assert fleet.load(path).boards["kitchen"].port == 2222


def test_an_artifact(kit, home, tmp_path):
    folder = shutil.copytree(next((home / "artifacts/objects").iterdir()), tmp_path / "artifact")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": NEWER, "novelty": 1}))
    (tmp_path / "fleet.toml").write_text('[boards.one]\naddress = "192.0.2.1"\nprofile = "pi5"\n')
    ran = kit.run(
        "deploy", folder, "--to", "one", "--name", "x", "--fleet", tmp_path / "fleet.toml", "--json"
    )
    refused(ran, code="newer-schema")


def test_a_history(kit, home, monkeypatch):
    import sqlite3

    from edgewright.store import history

    (home / "history.sqlite3").unlink()
    with monkeypatch.context() as newer:
        newer.setattr(history, "SCHEMA", NEWER)
        history.History().events()
    before = (home / "history.sqlite3").read_bytes()
    refused(kit.run("history", "--json"), code="newer-schema")
    assert (home / "history.sqlite3").read_bytes() == before
    with contextlib.closing(sqlite3.connect(home / "history.sqlite3")) as database:
        database.execute("UPDATE edgewright_schema SET schema = 1")
        database.commit()
    assert kit.run("history", "--json").code == 0


def test_a_new_history_says_its_schema_and_an_old_one_is_not_written_to(kit, home):
    import sqlite3

    from edgewright.store import history

    old = (home / "history.sqlite3").read_bytes()
    assert kit.run("history", "--json").json["events"]
    assert (home / "history.sqlite3").read_bytes() == old
    (home / "history.sqlite3").unlink()
    assert kit.run("history", "--json").json["events"] == []
    with contextlib.closing(sqlite3.connect(home / "history.sqlite3")) as database:
        assert database.execute("SELECT schema FROM edgewright_schema").fetchall() == [(history.SCHEMA,)]


def test_the_record_of_a_lab(kit, home):
    path = home / "lab/old/lab.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": NEWER, "novelty": 1}))
    for arguments in (("list",), ("down",)):
        refused(kit.run("lab", *arguments, "--json"), code="newer-schema")
    assert path.is_file()


def test_a_bundle(kit, home, tmp_path):
    with zipfile.ZipFile(kit.OLD / "models/toy.bundle") as old, zipfile.ZipFile(tmp_path / "new", "w") as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "bundle.json":
                data = json.dumps({**json.loads(data), "schema": NEWER, "novelty": 1}).encode()
            new.writestr(info, data)
    refused(kit.run("provision", "--bundle", tmp_path / "new", "--json"), code="bad-bundle")


def test_what_is_cached_is_made_again(home):
    """Nothing that can be rebuilt is an error: not a key, a note of wheels, nor a toolchain of another shape."""
    from edgewright.compile.toolchains import environments
    from edgewright.runtimes import wheel_sets
    from edgewright.store.artifacts import ArtifactStore

    store = ArtifactStore(home / "artifacts")
    for key in (home / "artifacts/keys").iterdir():
        key.write_text('{"schema": 99}')
        assert store.cached(key.name) is None
    for note in (home / "wheels").glob("kit-*.json"):
        note.write_text(json.dumps({**json.loads(note.read_text()), "schema": 99}))
    assert wheel_sets.kept() == []
    (home / "toolchains/onnx2tf/toolchain.json").write_text('{"schema": 99}')
    assert environments.describe("onnx2tf").state in ("outdated", "absent")
