from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import document_of, result_of

from edgewright.cli.main import COMMANDS, main
from edgewright.nouns.document import SCHEMA

ONNX = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)  # one Relu
HEAVY = (
    "tensorflow",
    "keras",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "ai_edge_litert",
    "paramiko",
    "numpy",
    "sqlalchemy",
    "pydantic",
    "msgspec",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["deploy", "--help"], ["fleet", "--help"], ["lab", "up", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom edgewright.cli.main import main\n"
        f"code = main({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    assert "Usage: edgewright" in done.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_json_and_debug(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    if "Commands:" not in shown:
        assert "--json" in shown
        assert "--debug" in shown


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["deplyo"], "no such command: deplyo", "did you mean `deploy`?"),
        (["deploy", "--tox"], "no such option", "--help"),
        (["profiles", "show", "pi44"], "unknown profile: pi44", "pi4b"),
        (["init", "nothing.onnx"], "no such model: nothing.onnx", "path"),
        (["status", "--fleet", "none.toml"], "no such fleet file: none.toml", "fleet add"),
        (["convert"], "no model", "edgewright init"),
        (["convert", "x.onnx", "--input-shape", "3,4"], "not an input shape: 3,4", "1,224,224,3"),
        (
            ["convert", "x.onnx", "--input-shape", "x=1,SEQ"],
            "not an input shape: x=1,SEQ",
            "replace SEQ with a number",
        ),
        (["fleet", "add", "one", "host:0", "--fleet", "f.toml"], "not a port: 0", "192.0.2.7:22"),
        (["fleet", "add", "one", "", "--fleet", "f.toml"], "no address", "192.0.2.7:22"),
        (
            ["fleet", "add", "one", "host", "--fleet", "/proc/f.toml"],
            "no such file or directory",
            "permissions",
        ),
        (["convert", "m.onnx", "--target", "tflight"], "unknown target: tflight", "tflite"),
        (
            ["convert", "m.onnx", "--max-drop", "0.1"],
            "a limit on the drop of accuracy needs labelled data",
            "--evaluation",
        ),
        (
            ["convert", "m.onnx", "--calibration", "synthetic", "--max-drop", "0.1", "--fallback"],
            "a limit on the drop of accuracy needs labelled data",
            "--evaluation",
        ),
        (
            ["convert", "m.onnx", "--max-trials", "3"],
            "--max-trials and --max-minutes limit a search",
            "--fallback",
        ),
        (
            ["convert", "m.onnx", "--metric", "f1"],
            "--metric scores the answers, and there is no",
            "--evaluation",
        ),
        (["doctor", "--host", "--install-guard"], "a guard is for boards", "leave one"),
        (["lab", "up", "--suite", "trixie"], "--suite and --mirror are for emulated boards", "--arch arm64"),
        (["init", "m.onnx", "--name", 'a"b'], "not a model's name", "lower-case"),
        (["init", "m.onnx", "--output", "none/x.toml"], "no such file or directory", "permissions"),
        (["fleet", "add", "one", "host:abc", "--fleet", "f.toml"], "not a port: abc", "192.0.2.7:22"),
        (
            ["fleet", "add", "one", "host", "--profile", "pi6", "--fleet", "f.toml"],
            "unknown profile: pi6",
            "pi",
        ),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    arguments: list[str],
    message: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.onnx").write_bytes(ONNX)
    assert main(arguments) == (1 if message.startswith(("no such model", "no such file or")) else 64)
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.strip().splitlines()
    assert lines[0].startswith(f"error: {message}")
    assert hint in shown.err
    assert len(lines) <= 2
    assert "Traceback" not in shown.err


def test_errors_are_json_where_json_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--fleet", str(tmp_path / "none.toml")]) == 64
    document = document_of(capsys.readouterr().out)
    assert (document["schema"], document["command"], document["ok"]) == (SCHEMA, "status", False)
    assert document["error"]["code"] == "file-not-found"
    assert set(document["error"]) == {"code", "message", "hint"}


def test_the_fleet_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fleet", "add", "kitchen", "pi@192.0.2.1:2222", "--profile", "pi4b", "--label", "a"]) == 0
    assert main(["fleet", "add", "attic", "attic-alias"]) == 0
    capsys.readouterr()
    assert main(["fleet", "list", "--json"]) == 0
    boards = result_of(capsys.readouterr().out)["boards"]
    assert [(one["board"]["name"], one["board"]["address"], one["board"]["user"], one["board"]["port"]) for one in boards] == [
        ("kitchen", "192.0.2.1", "pi", 2222), ("attic", "attic-alias", None, None),
    ]  # fmt: skip
    assert main(["fleet", "add", "kitchen", "192.0.2.9", "--label", "b"]) == 0  # moved: all else stays
    capsys.readouterr()
    assert main(["fleet", "show", "kitchen", "--json"]) == 0
    board = result_of(capsys.readouterr().out)["boards"][0]["board"]
    assert (board["address"], board["user"], board["port"]) == ("192.0.2.9", "pi", 2222)
    assert (board["profile"], board["labels"]) == ("pi4b", ["a", "b"])
    assert main(["fleet", "remove", "kitchen"]) == 1  # stdin is not a terminal
    assert "--yes" in capsys.readouterr().err
    assert main(["fleet", "remove", "kitchen", "--json"]) == 1  # a program says --yes too
    capsys.readouterr()
    assert main(["fleet", "remove", "kitchen", "--yes"]) == 0
    capsys.readouterr()
    assert main(["fleet", "show", "all", "--json"]) == 0
    assert [one["board"]["name"] for one in result_of(capsys.readouterr().out)["boards"]] == ["attic"]


def test_the_lists_speak_json(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, key in (
        (["profiles", "list"], "profiles"),
        (["targets"], "targets"),
        (["history"], "events"),
        (["lab", "list"], "boards"),
    ):
        assert main([*arguments, "--json"]) == 0
        document = document_of(capsys.readouterr().out)
        assert document["ok"] and document["error"] is None
        assert isinstance(document["result"][key], list)
    assert main(["profiles", "list"]) == 0
    assert "Raspberry Pi 4" in capsys.readouterr().out


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["fleet"], ["lab"]):
        assert main(arguments) == 64
        shown = capsys.readouterr().err
        assert shown.startswith("Usage: edgewright")
        assert "Commands:" in shown.splitlines()
    assert main(["fleet", "--help"]) == 0
    assert "completion" not in capsys.readouterr().out


def test_figures_that_are_not_finite_are_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    from edgewright.api.results import BoardAnswer
    from edgewright.cli import render
    from edgewright.cli.results.boards import InferResult
    from edgewright.nouns.inference import InferenceRecord

    values = [1.5, float("nan"), float("inf")]
    found = InferenceRecord(
        outputs={"y": values}, shapes={}, ms=1, release="v1", runtime="r", accelerator="cpu"
    )
    render.result("infer", InferResult(boards=(BoardAnswer(board="b", result=found),)))
    shown = result_of(capsys.readouterr().out)
    assert shown["boards"][0]["result"]["outputs"]["y"] == [1.5, None, None]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"x" * 100])
def test_an_input_that_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    from edgewright.errors import DataError
    from edgewright.measure.inputs import packed

    path = tmp_path / "input.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not a \.npy or \.npz file") as error:
        packed(path, None)
    assert "pickle" not in error.value.hint
