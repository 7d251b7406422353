"""What an application, its threads and its user's system may do with an exported program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import needs
import pytest
from command_line import command_line

from edgewright import export_c
from edgewright.c_program import text
from edgewright.cli.views.export import show
from edgewright.errors import ConversionError, EdgewrightError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright_targets.tvm.c_program import program

HERE = Path(__file__).parent
STRICT = "CFLAGS=-O1 -Wall -Wextra -Wpedantic -Wshadow -Werror"


@pytest.fixture(scope="module")
def artifact(artifact_for: Callable[[str], Artifact]) -> Artifact:
    """Of this machine's architecture."""
    needs.tool("gcc", "make")
    return artifact_for("x86_64")


def ran(*command: object, at: Path) -> tuple[int, str]:
    """Exit code and stderr."""
    done = subprocess.run([str(one) for one in command], cwd=at, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def test_threads_open_run_and_close_their_own_models(artifact: Artifact, tmp_path: Path) -> None:
    app = export_c(artifact, tmp_path / "app").folder
    shutil.copy(HERE / "threads.c", app / "main.c")
    assert ran("make", STRICT, "LDFLAGS=-pthread", at=app) == (0, "")
    assert ran("./two_ends_model", at=app) == (0, "")


def test_a_cpu_that_cannot_be_read_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    app = export_c(artifact, tmp_path / "app").folder
    source = app / "two_ends_model.c"
    source.write_text(source.read_text().replace('fopen("/proc/cpuinfo"', 'fopen("/proc/no/such"'))
    assert ran("make", STRICT, at=app) == (0, "")
    code, said = ran("./two_ends_model", at=app)
    assert (code, said) == (
        1,
        "error: cannot read what this CPU has: /proc/cpuinfo: No such file or directory\n",
    )


def test_two_variants_of_one_source_in_one_application(artifact: Artifact, tmp_path: Path) -> None:
    command = command_line(
        "export", artifact.folder, "--lang", "c", "--name", "left", "-o", tmp_path / "left"
    )
    assert command.code == 0, command.err
    found = export_c(artifact, tmp_path / "right", name="Right_2")
    assert found.name == "Right_2" and {"Right_2_model.c", "Right_2_model.h"} <= set(found.files)
    sources = ("left/left_model.c", "right/Right_2_model.c")
    libraries = [f"left/lib/{one}" for one in ("libtvm_runtime.so", "libtvm_ffi.so")]
    build = (
        "gcc",
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Ileft",
        "-Iright",
        HERE / "two_variants.c",
        *sources,
    )
    linked = ("-Wl,--no-as-needed", *libraries, "-Wl,-rpath,$ORIGIN/left/lib", "-o", "app")
    assert ran(*build, *linked, at=tmp_path) == (0, "")
    assert ran("./app", at=tmp_path) == (0, "")


@pytest.mark.parametrize("name", ["", "3d", "a b", "a-b", "_x", "é", "a\n", "a" * 41, "x;y"])
def test_a_name_that_c_does_not_take(artifact: Artifact, tmp_path: Path, name: str) -> None:
    command = command_line("export", artifact.folder, "--lang", "c", "--name", name, "-o", tmp_path / "app")
    assert command.code == 64 and "not a name in C" in command.err and "begin with a letter" in command.err
    assert not (tmp_path / "app").exists()


def test_a_name_of_the_c_library(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names begin with sem_") as caught:
        export_c(artifact, tmp_path / "app", name="sem")
    assert caught.value.hint == "take another name: model_sem"


def test_no_models_name_replaces_a_function_of_the_c_library() -> None:
    needs.tool("gcc", "nm")
    library = subprocess.run(["gcc", "-print-file-name=libc.so.6"], capture_output=True, text=True).stdout
    listed = subprocess.run(["nm", "-D", "--defined-only", library.strip()], capture_output=True, text=True)
    names = {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}
    assert "sem_open" in names
    own = [one.rpartition("_") for one in names if one.endswith(("_open", "_run", "_close", "_error"))]
    for prefix in {prefix for prefix, _, _ in own if prefix and not prefix.startswith("_")}:
        assert text.identifier(f"{prefix}.onnx") == f"model_{prefix}"


def test_a_locale_without_utf_8(artifact: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    shutil.copytree(artifact.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["source"]["file"] = "数字é.onnx"
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [Path(sys.executable).with_name("edgewright"), "export", folder, "--lang", "c", "-o", tmp_path / "app"]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, **plain}, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "数字é.onnx" in (tmp_path / "app/README.md").read_text(encoding="utf-8")
    assert "数字é.onnx" in (tmp_path / "app/model_model.h").read_text(encoding="utf-8")


def test_the_next_command_is_quoted(
    artifact: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = export_c(artifact, tmp_path / "my app")
    show(found, dry_run=False)
    assert f"make -C '{tmp_path}/my app'" in capsys.readouterr().err


def test_a_type_that_the_runtime_lacks(artifact: Artifact) -> None:
    manifest = artifact.manifest
    odd = (msgspec.structs.replace(manifest.inputs[0], dtype="bfloat16"), *manifest.inputs[1:])
    with pytest.raises(ConversionError, match="is bfloat16, which a C program cannot pass") as caught:
        program(artifact.folder, odd, manifest.outputs)
    assert "float16" in caught.value.hint


def test_a_file_that_cannot_be_read_is_named(artifact: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    shutil.copytree(artifact.folder, folder)
    (folder / "model.so").unlink()
    (folder / "model.so").mkdir()
    with pytest.raises(EdgewrightError, match=f"^cannot read {folder}/model.so: Is a directory$"):
        export_c(Artifact(folder=folder, manifest=artifact.manifest), tmp_path / "app")
    assert not (tmp_path / "app").exists()


def test_a_disk_that_takes_no_more_is_told_from_a_file_that_cannot_be_read(
    artifact: Artifact, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(EdgewrightError, match=f"^cannot write {tmp_path}/app: File too large$"):
            export_c(artifact, tmp_path / "app")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_long_name_is_refused_in_one_line(artifact: Artifact, tmp_path: Path) -> None:
    app = export_c(artifact, tmp_path / "app").folder
    assert ran("make", STRICT, at=app) == (0, "")
    long = "./" * 2036 + "."  # model.so fits into a path, goldens/ does not
    code, said = ran("./two_ends_model", "--model", long, "--check", at=app)
    assert (code, said) == (1, "error: the name of the model's folder is too long\n")
