"""What a confined worker may read: the model and its data, its Python and its libraries, and no more of HOME."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import command_line

from edgewright.compile import readable_files
from edgewright.compile.workers.confinement import rules
from edgewright.compile.workers.confinement.confine import OFF
from edgewright.compile.workers.confinement.rules import Rules
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.model_input import DataFile, ModelInput


def test_a_worker_gets_to_read_what_a_later_compilation_needs(tmp_path: Path) -> None:
    one, two = (tmp_path / name for name in ("one", "two"))
    for place in (one, two):
        place.mkdir()
        (place / "file").write_text(place.name)
    with Workers(tmp_path / "log", reads=[one]) as workers:
        first = workers.call("x", "os", "getpid")
        assert workers.call("x", "os", "listdir", path=str(one)) == ["file"]
        with pytest.raises(ConversionError, match="PermissionError"):
            workers.call("x", "os", "listdir", path=str(two))
        assert workers.call("x", "os", "getpid") == first
        workers.may_read([one / "file"])
        assert workers.call("x", "os", "getpid") == first, "started again for what it may read already"
        workers.may_read([two])
        assert workers.call("x", "os", "listdir", path=str(two)) == ["file"]
        with workers.folder() as place:
            workers.call("x", "os", "mkdir", path=str(place / "made"))
            assert (place / "made").is_dir()
        assert not place.exists()


def test_where_libraries_lie_is_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, project, linked = tmp_path / "site", tmp_path / "the project", tmp_path / "linked"
    record = site / "acme-1.dist-info/direct_url.json"
    record.parent.mkdir(parents=True)
    project.mkdir()
    linked.mkdir()
    record.write_text(json.dumps({"url": project.as_uri(), "dir_info": {"editable": True}}))
    broken = site / "other-1.dist-info/direct_url.json"
    broken.parent.mkdir()
    broken.write_text("{")
    monkeypatch.setattr(sys, "path", [str(site), ""])
    monkeypatch.setenv(rules.READABLE, f"{linked}:relative:/")
    found = rules.with_system(Rules()).reads
    assert {str(site), str(project), str(linked), sys.base_prefix} <= {str(Path(path)) for path in found}
    assert not {"/", str(Path.home()), str(Path.cwd()), "/etc"} & set(found)
    assert "/opt" in found and "/opt" not in rules.with_system(Rules(home="/opt/people/somebody")).reads


def test_all_of_home_is_never_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, project = tmp_path / "people/own", tmp_path / "people/own/project"
    project.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(own), str(own.parent), str(project)])
    held = rules.with_system(Rules(home=str(own)))
    assert str(project) in held.reads and not {str(own), str(own.parent)} & set(held.reads)
    assert rules.too_wide(Rules(home=str(own))) == (str(own.parent), str(own))
    monkeypatch.setenv("HOME", str(own))
    monkeypatch.setenv("PYTHONPATH", str(own))
    monkeypatch.delenv(rules.READABLE, raising=False)
    noted: list[str] = []
    with Workers(tmp_path / "log", progress=lambda event: noted.append(event.detail)) as workers:
        workers.call("x", "os", "listdir", path=str(Path(np.__file__).parent))
        with pytest.raises(ConversionError, match="PermissionError"):
            workers.call("x", "os", "listdir", path=str(own))
    assert [
        one for one in noted if one.startswith(f"models could not read {own}, which holds all of your HOME")
    ]


def test_packages_that_are_links_are_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, cache = tmp_path / "site", tmp_path / "cache"
    (site / "files").mkdir(parents=True)
    for name in ("whole", "files"):
        (cache / name).mkdir(parents=True)
        (cache / name / "__init__.py").write_text("")
    (site / "whole").symlink_to(cache / "whole")
    (site / "files/__init__.py").symlink_to(cache / "files/__init__.py")
    monkeypatch.setattr(sys, "path", [str(site)])
    found = {os.path.realpath(path) for path in rules.with_system(Rules()).reads}
    assert {str(cache / "whole"), str(cache / "files")} <= found and str(cache) not in found


def test_a_file_that_the_confinement_refuses_is_named_with_what_allows_it(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with Workers(tmp_path / "log") as workers, pytest.raises(ConversionError) as refused:
        workers.call("x", "os", "listdir", path=str(tmp_path / "elsewhere"))
    assert refused.value.hint.startswith(
        f"the worker may not open {tmp_path}/elsewhere: if it belongs to a library, allow it by EDGEWRIGHT_READABLE={tmp_path}"
    )


def test_the_doctor_lists_what_workers_read(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named").mkdir()
    monkeypatch.setenv(rules.READABLE, str(tmp_path / "named"))
    state = command_line("doctor", "--host", "--json").json["host"]
    listed = {one["what"]: one["paths"] for one in state["readable"]}
    assert list(listed) == ["system", "python", rules.READABLE, "stores", "toolchains"]
    assert listed[rules.READABLE] == [str(tmp_path / "named")]
    # `python -m pytest` puts the checkout on sys.path, and a checkout may contain its environment
    assert any(Path(sys.prefix).is_relative_to(path) for path in listed["python"])
    assert listed["stores"] == [str(home / name) for name in ("artifacts", "compressions", "evaluations")]
    assert listed["toolchains"] == [str(home / "toolchains")]
    with Workers(tmp_path / "log") as workers, workers.folder():
        for path in (path for paths in listed.values() for path in paths if Path(path).is_dir()):
            workers.call("x", "os", "listdir", path=path)
        with pytest.raises(ConversionError, match="PermissionError"):
            workers.call("x", "os", "listdir", path=str(tmp_path))
    shown = command_line("doctor", "--host").out
    assert str(tmp_path / "named") in shown and "the model's files, the calibration data" in shown
    monkeypatch.setenv(OFF, "off")
    state = command_line("doctor", "--host", "--json").json["host"]
    assert state["readable"] == [] and not state["confinement"]["files"]


def test_links_in_calibration_data_are_readable(tmp_path: Path) -> None:
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere.png"
    images.mkdir()
    elsewhere.write_text("")
    (images / "a.png").symlink_to(elsewhere)
    model = ModelInput(source=Path("net.onnx"), calibration=DataFile(path=images, sha256=""))
    found = list(readable_files.of(tmp_path / "net.onnx", [tmp_path / "net.onnx"], model))
    assert found == [tmp_path / "net.onnx", images, images / "a.png"]
    kept = rules.with_system(Rules(reads=tuple(map(str, found)))).reads
    assert {str(images), str(images / "a.png")} <= set(kept), "the link's target is not below the folder"
