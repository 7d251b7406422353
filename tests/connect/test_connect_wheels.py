"""Wheels for boards: the real pip resolves them from a folder, and the real agent installs them."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace
from packaging.tags import sys_tags

from edgewright import targets
from edgewright.connect.session import open_session
from edgewright.errors import EdgewrightError
from edgewright.files import sha256_file
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts, RuntimeFact
from edgewright.runtimes import compatibility, install, resolve, wheels
from edgewright.runtimes.wheel_tags import WheelHost, wheel_host

PI5 = Facts(
    arch="aarch64",
    python=PythonFacts(
        version="3.11.2", executable="/usr/bin/python3", platform="linux-aarch64", tag="cp311"
    ),
    libc=LibcFacts(name="glibc", version="2.36"),
)
PI5_HOST = WheelHost(python="3.11.2", arch="aarch64", libc="glibc", libc_version="2.36")
HERE = f"cp{sys.version_info[0]}{sys.version_info[1]}"


def make_wheel(folder, name, version="1.0", tag="py3-none-any"):
    """A small real wheel with one module."""
    folder.mkdir(exist_ok=True)
    base = name.replace("-", "_")
    path = folder / f"{base}-{version}-{tag}.whl"
    info = f"{base}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{base}/__init__.py", f"__version__ = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def test_tags_of_this_machine_are_those_of_packaging():
    import platform
    import sysconfig

    libc, version = platform.libc_ver()
    own = Facts(
        python=PythonFacts(
            version=platform.python_version(), executable="", platform=sysconfig.get_platform(), tag=HERE
        ),
        libc=LibcFacts(name=libc, version=version),
    )
    assert wheel_host(own).tags == frozenset(sys_tags())


def test_a_runtime_of_native_libraries_alone_comes_from_the_wheels_of_another_python(index):
    old = replace(PI5_HOST, python="3.6.9")
    taking = old.for_target(targets.load("tvm"))
    of = {python: f"{python}-{python}-manylinux_2_24_aarch64" for python in ("cp36", "cp310", "cp311")}
    of["cp36"] = of["cp36"].replace("-cp36-", "-cp36m-")
    made = {python: make_wheel(index / python, "native", tag=tag) for python, tag in of.items()}
    made["cp310"].rename(index / made["cp310"].name)
    with pytest.raises(EdgewrightError, match="no wheel of native"):
        wheels.resolve(old, ["native"])
    (found,) = wheels.resolve(taking, ["native"])
    assert found.path.name.endswith(f"{of['cp310']}.whl")
    for accepted in (found.path, made["cp36"]):
        assert wheels.given(taking, [accepted])
    with pytest.raises(EdgewrightError, match=r"is not for Python 3\.6\.9"):
        wheels.given(taking, [made["cp311"]])
    main = make_wheel(index, "apache-tvm", tag="py3-none-manylinux_2_27_aarch64")
    facts = replace(PI5, python=replace(PI5.python, version="3.6.9", tag="cp36m"))
    given = [main, found.path]
    assert install.candidates(facts, targets.load("tvm"), given) == [("apache-tvm", "1.0")]


@pytest.mark.parametrize(
    ("python", "abi"), [("3.6.9", "cp36m"), ("3.7.3", "cp37m"), ("3.8.10", "cp38"), ("3.13.1", "cp313")]
)
def test_abi_of_old_pythons_has_an_m(python, abi):
    assert replace(PI5_HOST, python=python).abi == abi


def test_platforms_end_at_the_board_s_glibc():
    platforms = replace(PI5_HOST, libc_version="2.27").platforms
    assert platforms[0] == "manylinux_2_27_aarch64" and "manylinux2014_aarch64" in platforms
    assert platforms[-2:] == ("manylinux2014_aarch64", "linux_aarch64")
    x86 = replace(PI5_HOST, arch="x86_64").platforms
    assert x86[-3:] == ("manylinux_2_5_x86_64", "manylinux1_x86_64", "linux_x86_64")
    musl = replace(PI5_HOST, libc="musl", libc_version="1.2").platforms
    assert musl == (
        "musllinux_1_2_aarch64",
        "musllinux_1_1_aarch64",
        "musllinux_1_0_aarch64",
        "linux_aarch64",
    )


def test_arch_is_that_of_the_python_not_of_the_kernel():
    facts = replace(PI5, python=replace(PI5.python, platform="linux-armv7l"))
    assert wheel_host(facts).arch == "armv7l"


def test_a_python_without_wheels_is_refused():
    with pytest.raises(EdgewrightError, match="no wheels for the board's Python"):
        wheel_host(replace(PI5, python=replace(PI5.python, platform="win-amd64")))


def test_resolves_for_another_machine_and_remembers(index, home):
    make_wheel(index, "thing", "2.0", "cp311-cp311-manylinux_2_28_aarch64")
    make_wheel(index, "thing", "3.0", "cp311-cp311-manylinux_2_39_aarch64")
    make_wheel(index, "thing", "4.0", "cp311-cp311-manylinux_2_17_x86_64")
    make_wheel(index, "other", "1.5")
    found = wheels.resolve(PI5_HOST, ["thing", "other>=1"])
    assert [(wheel.distribution, wheel.version) for wheel in found] == [("other", "1.5"), ("thing", "2.0")]
    make_wheel(index, "thing", "2.1", "cp311-cp311-manylinux_2_28_aarch64")
    assert wheels.resolve(PI5_HOST, ["other>=1", "thing"]) == found
    assert not list((Path(os.environ["EDGEWRIGHT_HOME"]) / "wheels").glob(".*"))


def test_damaged_cache_is_fetched_again(index):
    make_wheel(index, "thing", "2.0")
    (first,) = wheels.resolve(PI5_HOST, ["thing"])
    first.path.write_bytes(b"damaged")
    (again,) = wheels.resolve(PI5_HOST, ["thing"])
    assert again.sha256 == first.sha256 == sha256_file(again.path)


def test_missing_wheel_is_one_clear_error(index):
    make_wheel(index, "thing", "2.0", "cp36-cp36m-manylinux2014_aarch64")
    with pytest.raises(EdgewrightError) as caught:
        wheels.resolve(PI5_HOST, ["thing==2.0"])
    assert caught.value.code == "no-wheel"
    assert caught.value.message == "no wheel of thing==2.0 for Python 3.11.2 on aarch64 with glibc 2.36"


def test_unreachable_index_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "PIP_PROXY",
        "PIP_FIND_LINKS",
        "PIP_NO_INDEX",
        "PIP_EXTRA_INDEX_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EdgewrightError) as caught:
        wheels.resolve(PI5_HOST, ["thing==2.0"])
    assert caught.value.code == "index-unreachable" and "--wheel" in caught.value.hint


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("cp311-cp311-linux_aarch64", True),
        ("cp39-abi3-manylinux2014_aarch64", True),
        ("py3-none-any", True),
        ("cp310-cp310-linux_aarch64", False),
        ("cp311-cp311-linux_x86_64", False),
        ("cp311-cp311-manylinux_2_38_aarch64", False),
    ],
)
def test_given_wheels_are_checked_against_the_board(tmp_path, tag, fits):
    file = make_wheel(tmp_path, "onnxruntime-gpu", "1.18.0", tag)
    if fits:
        assert wheels.given(PI5_HOST, [file])[0].distribution == "onnxruntime-gpu"
        return
    with pytest.raises(EdgewrightError) as caught:
        wheels.given(PI5_HOST, [file])
    assert caught.value.code == "wrong-wheel" and "cp311" in caught.value.hint


@pytest.mark.parametrize("count", [18, 100])
def test_a_name_of_thousands_of_tags_is_none(tmp_path, count):
    tags = ".".join(f"t{number}" for number in range(count))
    began = time.process_time()
    with pytest.raises(EdgewrightError, match="not the name of a wheel"):
        wheels.describe(tmp_path / f"thing-1.0-{tags}-{tags}-{tags}.whl")
    assert time.process_time() - began < 2.5  # 6 s, where the tags are multiplied out


@pytest.mark.parametrize("name", ["thing.whl", "absent-1.0-py3-none-any.whl", "text-1.0-py3-none-any.whl"])
def test_what_is_no_wheel_is_refused(tmp_path, name):
    (tmp_path / "thing.whl").write_bytes(b"x")
    (tmp_path / "text-1.0-py3-none-any.whl").write_bytes(b"x")
    with pytest.raises(EdgewrightError, match=name.split("-")[0]):
        wheels.given(PI5_HOST, [tmp_path / name])


def test_a_runtime_that_reads_too_little_is_not_chosen():
    target = targets.load("onnxruntime")
    with pytest.raises(EdgewrightError) as caught:
        compatibility.choose(target, replace(PI5_HOST, python="3.8.10"), None, {"opset": 22})
    assert caught.value.code == "runtime-too-old" and "opset 22 (it reads 21)" in caught.value.message


def test_what_the_board_has_is_used():
    target = targets.load("onnxruntime")
    system = RuntimeFact(
        ref="system:onnxruntime", name="onnxruntime", target="onnxruntime", version="1.32.0", system=True
    )
    own = RuntimeFact(ref="a" * 64, name="onnxruntime", target="onnxruntime", version="1.19.2")
    other = RuntimeFact(ref="b" * 64, name="openvino", target="openvino", version="2026.4.1")
    facts = replace(PI5, runtimes=(system, own, other))
    assert install.on_board(facts, target, None, {}) == own
    assert install.on_board(facts, target, "1.32.0", {}) == system
    assert install.on_board(facts, target, "9", {}) is None
    assert install.on_board(facts, target, None, {"opset": 22}) == system


def test_given_wheels_reach_the_board(tmp_path, index, fleet):
    files = [make_wheel(tmp_path / "mine", "onnxruntime-gpu", "1.18.0"), make_wheel(index, "numpy", "2.2.0")]
    board = Board(name="here", address="local:", root=str(tmp_path / "root"), python=sys.executable)
    steps = []
    with open_session(board, fleet) as session:
        facts = session.facts()
        plan = install.ensure_runtime(session, facts, "onnxruntime", wheels=files[:1], dry_run=True)
        assert (plan.ref, plan.name, plan.version, plan.installed) == ("", "onnxruntime-gpu", "1.18.0", True)
        choice = install.ensure_runtime(
            session, facts, "onnxruntime", wheels=files[:1], progress=steps.append
        )
        assert choice.installed and choice.bytes > 0 and len(choice.ref) == 64
        (folder,) = (tmp_path / "root" / "runtimes").iterdir()
        assert (folder / "onnxruntime_gpu" / "__init__.py").exists() and (
            folder / "numpy" / "__init__.py"
        ).exists()
        facts = session.facts(fresh=True)
        again = install.ensure_runtime(session, facts, "onnxruntime", wheels=files[:1])
        assert again == replace(choice, installed=False, bytes=0)
        used = install.ensure_runtime(session, facts, "onnxruntime")
        assert used.ref == choice.ref
    assert [step.stage for step in steps] == ["resolve", "provision"]


def test_wheels_must_hold_one_runtime(tmp_path, index, fleet):
    file = make_wheel(tmp_path / "mine", "numpy", "2.2.0")
    found = wheels.given(PI5_HOST, [file])
    with pytest.raises(EdgewrightError, match="0 of the wheels are a runtime of onnxruntime"):
        resolve.split(found, targets.load("onnxruntime"))
