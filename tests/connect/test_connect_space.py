"""Disk space on a board: a runtime that does not fit is refused before any of it is sent."""

from __future__ import annotations

import sys
import zipfile

import pytest
from msgspec.structs import replace

from edgewright.connect.agent import runner_package
from edgewright.connect.session import open_session
from edgewright.errors import EdgewrightError
from edgewright.nouns.board import Board
from edgewright.runtimes import disk_space, install
from edgewright.runtimes import wheels as wheel_files

MIB = 1024**2


@pytest.fixture
def board(tmp_path):
    """This machine as a board."""
    return Board(name="here", address="local:", root=str(tmp_path / "root"), python=sys.executable)


def make_wheel(folder, name, members):
    """A wheel whose members are zeros, which compress well."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, size in members.items():
            archive.writestr(f"{name}/{member}", bytes(size))
    return path


def files(tmp_path):
    """An onnxruntime that unpacks to 20 MiB in two files, and a numpy of 200 files."""
    return [
        make_wheel(tmp_path, "onnxruntime", {"core.so": 20 * MIB, "__init__.py": 0}),
        make_wheel(tmp_path, "numpy", {f"{number}.txt": 1 for number in range(200)}),
    ]


def test_the_need_is_what_the_files_take_on_a_disk(tmp_path):
    onnx, numpy = map(wheel_files.describe, files(tmp_path))
    assert disk_space.unpacked(onnx) == (20 * MIB, 3)  # its bytecode too
    assert disk_space.unpacked(numpy) == (200 * 4096, 200)


def test_a_wheel_of_a_version_of_zip_that_nobody_knows(tmp_path):
    path = make_wheel(tmp_path, "numpy", {"0.txt": 1})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 6] = 99
    path.write_bytes(data)
    with pytest.raises(EdgewrightError, match="not a wheel"):
        disk_space.unpacked(wheel_files.describe(path))


@pytest.mark.parametrize(
    ("free", "inodes", "says"),
    [
        (
            28 * MIB,
            10**6,
            "here has 28 MiB free, onnxruntime 1.0 needs 29: 1 to upload, 21 unpacked, 8 to spare",
        ),
        (10**12, 200, "here has 200 inodes free, onnxruntime 1.0 needs 267"),
        (29 * MIB, 10**6, ""),
        (0, 0, ""),  # facts that do not say: the agent itself looks again
    ],
)
def test_it_is_refused_before_a_byte_is_sent(tmp_path, board, fleet, free, inodes, says):
    with open_session(board, fleet) as session:
        facts = replace(session.facts(), disk_free_bytes=free, disk_free_inodes=inodes, runtimes=())
        if not says:
            done = install.ensure_runtime(session, facts, "onnxruntime", wheels=files(tmp_path))
            assert done.installed and done.bytes >= 20 * MIB + 200
            return
        with pytest.raises(EdgewrightError) as caught:
            install.ensure_runtime(session, facts, "onnxruntime", wheels=files(tmp_path))
        assert caught.value.code == "disk-full" and caught.value.message == says and caught.value.hint
        assert session.sent_bytes == 0
        assert not list((tmp_path / "root" / "incoming").iterdir())


def test_what_another_runtime_shares_costs_nothing(tmp_path, board, fleet):
    onnx, numpy = files(tmp_path)
    with open_session(board, fleet) as session:
        facts = replace(session.facts(), runtimes=())
        install.ensure_runtime(session, facts, "onnxruntime", wheels=[onnx, numpy])
        found = [wheel_files.describe(one) for one in (onnx, numpy)]
        need = disk_space.need(session, found)
        assert (need.upload, need.unpacked, need.files) == (0, 0, 203)
        before = session.sent_bytes
        other = make_wheel(tmp_path, "openvino", {"core.so": MIB})
        small = replace(facts, disk_free_bytes=12 * MIB)
        assert install.ensure_runtime(session, small, "openvino", wheels=[other, numpy]).installed
        runner = len(runner_package.package("openvino").data)
        assert session.sent_bytes - before == other.stat().st_size + runner
    folders = list((tmp_path / "root" / "runtimes").iterdir())
    assert len(folders) == 2 and len({(one / "numpy" / "0.txt").stat().st_ino for one in folders}) == 1


def test_a_disk_that_is_really_too_small(tmp_path, board, fleet):
    """The board's facts decide: these wheels claim to unpack to more than any disk has."""
    huge = make_wheel(tmp_path, "onnxruntime", {"core.so": MIB})
    data = bytearray(huge.read_bytes())
    at = data.rindex(b"PK\x01\x02") + 24
    assert int.from_bytes(data[at : at + 4], "little") == MIB
    data[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    huge.write_bytes(data)
    with open_session(board, fleet) as session:
        needed = [wheel_files.describe(huge)] * 1000  # 4 GiB each
        facts = session.facts()
        with pytest.raises(EdgewrightError, match="MiB free, onnxruntime") as caught:
            disk_space.check(session, facts, needed, "onnxruntime 1.0")
        assert caught.value.code == "disk-full" and "fleet prune here" in caught.value.hint
