"""Exported programs are built with their own Makefile, and run: here, and as a board's in an emulator."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import needs
import numpy as np
import pytest
from command_line import command_line

from edgewright import ExportedProgram, export_c, targets
from edgewright.c_program import program
from edgewright.config import home
from edgewright.errors import EdgewrightError, UsageError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.cpu import CPUS, Cpu
from edgewright.nouns.verdict import Compared
from edgewright.runtimes import wheel_sets, wheels

HERE = Path(__file__).parent
STRICT = "CFLAGS=-O1 -Wall -Wextra -Wpedantic -Wshadow -Werror"
SANITIZED = "CFLAGS=-g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all"
EMULATED = ("qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", "-cpu", "cortex-a72")


def ran(*command: object, at: Path) -> tuple[int, list[str], list[str]]:
    """Exit code, and lines of stdout and stderr."""
    done = subprocess.run([str(one) for one in command], cwd=at, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def built(folder: Path, *options: str) -> None:
    """Builds the program; its compiler must not say a word."""
    code, _, said = ran("make", *options, at=folder)
    assert (code, said) == (0, [])


def answers(folder: Path, number: int, *before: str) -> list[np.ndarray]:
    """What the program writes for a golden input, after its own check of the shell's side: exit code and stderr."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    inputs = [f"goldens/{number}/input_{k}.bin" for k in range(2)]
    code, lines, said = ran(*before, "./two_ends_model", "--output", out, *inputs, at=folder)
    assert (code, said) == (0, []) and [line.split()[0] for line in lines] == ["scores", "best"]
    return [np.fromfile(out / f"output_{k}.bin", dtype) for k, dtype in enumerate((np.float32, np.int64))]


def check_answers(folder: Path, artifact: Artifact, *before: str) -> None:
    """The program's outputs are those of the source, for inputs whose outputs differ."""
    with np.load(artifact.folder / artifact.manifest.goldens.file) as goldens:
        wanted = [goldens["output_0"], goldens["output_1"]]
    found = [answers(folder, number, *before) for number in range(4)]
    for number, (scores, best) in enumerate(found):
        assert np.allclose(scores, wanted[0][number].ravel(), rtol=1e-4, atol=1e-5)
        assert best.tolist() == wanted[1][number].tolist()
    assert len({scores.tobytes() for scores, _ in found}) == 4
    code, lines, said = ran(*before, "./two_ends_model", "--check", at=folder)
    assert (code, said) == (0, []) and lines[-1] == f"right for all {artifact.manifest.goldens.count} inputs"


@pytest.fixture(scope="module")
def native(
    artifact_for: Callable[[str], Artifact], tmp_path_factory: pytest.TempPathFactory
) -> tuple[ExportedProgram, Artifact]:
    """A built program for this machine."""
    needs.tool("gcc", "make")
    artifact = artifact_for("x86_64")
    exported = export_c(artifact, tmp_path_factory.mktemp("c") / "app")
    built(exported.folder, STRICT)
    return exported, artifact


@pytest.fixture
def app(native: tuple[ExportedProgram, Artifact], tmp_path: Path) -> Path:
    """A copy of the built program in another place, to be damaged."""
    return Path(shutil.copytree(native[0].folder, tmp_path / "elsewhere"))


def test_a_program_for_this_machine(native: tuple[ExportedProgram, Artifact], app: Path) -> None:
    exported, artifact = native
    check_answers(app, artifact)
    assert answers(app, 0)[0].tolist() == answers(app, 0)[0].tolist()
    code, lines, _ = ran(app / "two_ends_model", "--threads", 2, at=Path("/"))  # on zeros, from anywhere
    assert code == 0 and lines[1].startswith("best int64 [1]: ")
    assert {"two_ends_model.h", "main.c", "Makefile", "README.md", "model.so", "lib/libtvm_ffi.so"} <= set(
        exported.files
    )
    assert any(one.startswith("licenses/apache-tvm/") for one in exported.files)
    assert 5e6 < exported.size < 7e6 and exported.runtime.startswith("apache-tvm ")
    for file in exported.folder.rglob("*"):
        if file.is_file() and file.suffix not in (".so", ".bin"):
            assert str(exported.folder.parent).encode() not in file.read_bytes(), file


def test_memory_is_used_as_it_should_be(app: Path) -> None:
    (app / "two_ends_model").unlink()
    built(app, SANITIZED)
    assert ran("./two_ends_model", "--check", at=app)[0] == 0
    code, _, said = ran("./two_ends_model", "goldens/0/input_0.bin", "Makefile", at=app)
    assert code == 1 and len(said) == 1  # and no report of the sanitizer


def test_an_application_may_pass_memory_of_any_alignment(app: Path) -> None:
    shutil.copy(HERE / "alignment.c", app / "main.c")
    built(app, STRICT)
    assert ran("./two_ends_model", at=app) == (0, [], [])


def test_bad_files_give_one_line(app: Path) -> None:
    whole = (app / "model.so").read_bytes()
    good = ("goldens/0/input_0.bin", "goldens/0/input_1.bin")
    short = app / "short.bin"
    short.write_bytes(b"12345678901")

    def refused(*words: object) -> str:
        code, lines, said = ran("./two_ends_model", *words, at=app)
        assert (code, lines, len(said)) == (1, [], 1), (words, code, said)
        return said[0]

    assert "short.bin; the tensor has 12 bytes" in refused(short, good[1])
    assert "wrong size: goldens/0/input_1.bin" in refused(*reversed(good))
    assert "1 input files for 2 inputs" in refused(good[0])
    assert "No such file" in refused("nothing", good[1])
    assert f"wrong size: {app}" in refused(app, good[1])
    for damaged in (b"", whole[:5000], whole[:4000] + b"\x01" + whole[4001:], b"\x7fELF" * 99):
        (app / "model.so").write_bytes(damaged)
        assert "error: damaged, or the file of another model: " in refused(*good)
    (app / "model.so").unlink()
    assert "cannot read" in refused(*good) and "No such file" in refused(*good)
    (app / "model.so").write_bytes(whole)
    shutil.copy(app / "goldens/1/output_0.bin", app / "goldens/0/output_0.bin")
    code, lines, said = ran("./two_ends_model", "--check", at=app)
    assert code == 1 and "WRONG" in lines[0] and said == ["error: the outputs differ from the source model's"]
    (app / "lib/libtvm_ffi.so").unlink()
    code, _, said = ran("./two_ends_model", at=app)
    assert code == 127 and len(said) == 1 and "libtvm_ffi.so" in said[0]  # the message of the system


@pytest.mark.parametrize(
    "words", [("--threads", "x"), ("--threads", "0"), ("--odd",), ("--check", "file"), ("--output",)]
)
def test_wrong_options_show_the_right_ones(app: Path, words: tuple[str, ...]) -> None:
    code, lines, said = ran("./two_ends_model", *words, at=app)
    assert (code, lines) == (2, []) and said[0].startswith("usage: ./two_ends_model")


def test_a_full_disk_is_an_error(app: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ["./two_ends_model"], cwd=app, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1 and done.stderr == "error: cannot write to stdout\n"


@pytest.mark.slow
def test_a_program_for_a_board(artifact_for: Callable[[str], Artifact], tmp_path: Path) -> None:
    needs.tool("aarch64-linux-gnu-gcc", "qemu-aarch64-static", "make")
    artifact = artifact_for("aarch64")
    folder = export_c(artifact, tmp_path / "app").folder
    built(folder, STRICT)
    check_answers(folder, artifact, *EMULATED)
    code, lines, _ = ran("make", "check", f"RUN={' '.join(EMULATED)}", at=folder)
    assert code == 0 and lines[-1].startswith("right for all ")
    code, _, said = ran("make", "-B", "CC=gcc", at=folder)
    assert code != 0 and any(
        "compiled for aarch64: build this with a compiler for it" in line for line in said
    )
    newer = Artifact(
        folder=artifact.folder,
        manifest=msgspec.structs.replace(artifact.manifest, cpu=CPUS["aarch64", "cortex-a76"]),
    )
    folder = export_c(newer, tmp_path / "newer").folder
    built(folder)
    code, _, said = ran(*EMULATED, "./two_ends_model", at=folder)
    assert code == 1 and said == [
        "error: this CPU lacks atomics: the model was compiled for cortex-a76 (aarch64)"
    ]


def test_a_stop_leaves_nothing_behind(
    native: tuple[ExportedProgram, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program.readme, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_c(native[1], tmp_path / "app")
    assert list(tmp_path.iterdir()) == []


def test_the_command(
    native: tuple[ExportedProgram, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = native[1].id[:12]
    shown = command_line("export", name, "--lang", "c", "--dry-run")
    assert shown.code == 0 and "two_ends_model.h" in shown.out and "nothing was written" in shown.err
    assert list(tmp_path.iterdir()) == []
    found = command_line("export", name, "--lang", "c", "--json").json["program"]
    assert (found["name"], found["folder"], found["compiler"]) == ("two_ends", "two_ends-c", "gcc")
    there = sorted(
        one.relative_to("two_ends-c").as_posix() for one in Path("two_ends-c").rglob("*") if one.is_file()
    )
    assert there == found["files"] and found["size"] == native[0].size
    assert all(
        (Path("two_ends-c") / one).read_bytes() == (native[0].folder / one).read_bytes() for one in there
    )
    again = command_line("export", name, "--lang", "c")
    assert (
        again.code == 64 and "something already: two_ends-c" in again.err and "--output FOLDER" in again.err
    )
    lost = command_line("export", name, "--lang", "c", "-o", tmp_path / "no/app")
    assert lost.code == 64 and "no such folder" in lost.err
    other = command_line("export", name, "--lang", "rust")
    assert other.code == 64 and "--lang c" in other.err


def test_a_bundle_for_any_python_is_enough_without_the_index(
    native: tuple[ExportedProgram, Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported, artifact = native
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path / "home"))

    def offline(*_: object) -> None:
        raise wheels.unreachable("a test")

    monkeypatch.setattr(wheels, "run_pip", offline)
    names = {
        "apache_tvm-0.27.0.post1-py3-none-manylinux_2_28_x86_64.whl": "tvm/lib/libtvm_runtime.so",
        "apache_tvm_ffi-0.1.15.post2-cp310-cp310-manylinux_2_28_x86_64.whl": "tvm_ffi/lib/libtvm_ffi.so",
    }
    found = {}
    for name, library in names.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.write(exported.folder / "lib" / Path(library).name, library)
        sha256 = wheels.describe(tmp_path / name).sha256
        place = home.folder("wheels") / sha256
        place.mkdir()
        (tmp_path / name).rename(place / name)
        found[name] = sha256
    kit = wheel_sets.Kit(
        target="tvm", distribution="apache-tvm", version="0.27.0.post1", python="3.12", arch="x86_64", glibc="2.39", wheels=found
    )  # fmt: skip
    wheel_sets.keep([kit])
    made = export_c(artifact, tmp_path / "app").folder
    for library in ("libtvm_runtime.so", "libtvm_ffi.so"):
        assert (made / "lib" / library).read_bytes() == (exported.folder / "lib" / library).read_bytes()
    (home.folder("wheels") / found.popitem()[1]).rename(tmp_path / "lost")
    with pytest.raises(EdgewrightError, match="cannot reach the package index: a test") as caught:
        export_c(artifact, tmp_path / "other")
    assert caught.value.code == "index-unreachable" and not (tmp_path / "other").exists()


def test_targets_without_a_c_program_are_refused(
    native: tuple[ExportedProgram, Artifact], tmp_path: Path
) -> None:
    artifact = native[1]
    able = [name for name in targets.names() if targets.load(name).c_program]
    assert "tvm" in able and "iree" in targets.names()
    for name in set(targets.names()) - set(able):
        manifest = msgspec.structs.replace(artifact.manifest, target=name)
        with pytest.raises(
            UsageError, match=f"artifacts of the target {name} cannot be exported to C"
        ) as caught:
            export_c(Artifact(folder=artifact.folder, manifest=manifest), tmp_path / "app")
        assert caught.value.hint == "convert the model with --target tvm"
    manifest = msgspec.structs.replace(
        artifact.manifest, cpu=Cpu(arch="riscv64", name="generic", features=())
    )
    with pytest.raises(UsageError, match=r"no C program for generic \(riscv64\)"):
        export_c(Artifact(folder=artifact.folder, manifest=manifest), tmp_path / "app")


def test_a_check_that_c_cannot_make_is_left_out(
    native: tuple[ExportedProgram, Artifact], tmp_path: Path
) -> None:
    """The user's own comparison is in Python, so the program has nothing to compare with."""
    own = Compared(function="mine.py:compare", sha256="0" * 64, least=0.9, share=1.0)
    manifest = msgspec.structs.replace(native[1].manifest, compare=own)
    folder = export_c(Artifact(folder=native[1].folder, manifest=manifest), tmp_path / "app").folder
    built(folder, STRICT)
    code, lines, said = ran("./two_ends_model", "--check", at=folder)
    assert (code, lines) == (1, []) and said == [
        "error: this artifact has no limits that a C program can check"
    ]
    assert ran("./two_ends_model", at=folder)[0] == 0
