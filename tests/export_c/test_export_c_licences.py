"""Licences of one name in different folders of a wheel."""

from __future__ import annotations

import zipfile
from pathlib import Path

from edgewright.c_program import runtime
from edgewright.runtimes import wheels


def test_licences_keep_their_paths_and_stay_in_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "some_net-1.0-py3-none-any.whl"
    own = "some_net-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_net/lib/libsome.so", "library")
        archive.writestr(f"{own}/METADATA", "Metadata-Version: 2.1\nName: some-net\nVersion: 1.0\n")
        archive.writestr(f"{own}/licenses/LICENSE", "own")
        archive.writestr(f"{own}/licenses/3rdparty/one/LICENSE", "one")
        archive.writestr(f"{own}/licenses/3rdparty/two/LICENSE", "two")
        archive.writestr(f"{own}/NOTICE", "notice")
        archive.writestr(f"{own}/licenses/../../../../LICENSE", "out of the folder")
        archive.mkdir(f"{own}/licenses/LICENSES")
    made = tmp_path / "made"
    made.mkdir()
    runtime.unpack([wheels.describe(path)], ["some_net/lib/libsome.so"], made)
    texts = {one.relative_to(made).as_posix(): one.read_text() for one in made.rglob("*") if one.is_file()}
    assert texts == {
        "lib/libsome.so": "library",
        "licenses/some-net/LICENSE": "own",
        "licenses/some-net/3rdparty/one/LICENSE": "one",
        "licenses/some-net/3rdparty/two/LICENSE": "two",
        "licenses/some-net/NOTICE": "notice",
    }
    assert not (tmp_path / "LICENSE").exists()
