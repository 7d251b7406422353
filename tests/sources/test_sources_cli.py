"""The command line and the project file take every kind of source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import result_of

from edgewright.cli.main import main
from edgewright.config import project

pytestmark = pytest.mark.slow
Made = Callable[[str], Path]


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return result_of(capsys.readouterr().out)


def test_a_function_is_a_model(
    small_models: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """init writes a project file for it, from which convert finds it in another working folder."""
    monkeypatch.chdir(tmp_path)
    source = f"{small_models('torch') / 'torch_models.py'}:two_in_two_out"
    assert main(["init", source, "--json"]) == 0
    made = document(capsys)
    assert (made["format"], made["name"]) == ("pytorch", "torch_models")
    written = project.load(Path("edgewright.toml"))
    assert written.resolve(written.file.model).resolve() == Path(source)  # type: ignore[union-attr]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    arguments = [
        "--project",
        "../edgewright.toml",
        "--target",
        "onnxruntime",
        "--precision",
        "fp32",
        "--json",
    ]
    assert main(["convert", *arguments]) == 0
    manifest = document(capsys)["manifest"]
    assert manifest["source"]["format"] == "pytorch"  # type: ignore[index]
    assert manifest["source"]["file"] == "torch_models.py:two_in_two_out"  # type: ignore[index]
    assert [spec["name"] for spec in manifest["outputs"]] == ["total", "gap"]  # type: ignore[index]


def test_ends_of_a_graph_are_said(
    small_models: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    graph = str(small_models("frozen") / "two_in_two_out.pb")
    common = ["--target", "onnxruntime", "--precision", "fp32"]
    assert main(["convert", graph, *common, "--inputs", "right,left", "--outputs", "total", "--json"]) == 0
    manifest = document(capsys)["manifest"]
    assert [spec["name"] for spec in (*manifest["inputs"], *manifest["outputs"])] == [
        "right",
        "left",
        "total",
    ]  # type: ignore[index]
    assert main(["convert", graph, *common]) == 0
    shown = capsys.readouterr().out
    assert "inputs were guessed: left, right" in shown
    assert "outputs were guessed: gap, total" in shown
    assert main(["init", graph]) == 0
    text = Path("edgewright.toml").read_text()
    for line in ("[conversion.ends]", 'inputs = ["image"]', 'outputs = ["classes"]'):
        assert f"# {line}\n" in text
    text = text.replace("# [conversion.ends]", "[conversion.ends]")
    text = text.replace('# inputs = ["image"]', 'inputs = ["left", "right"]')
    Path("edgewright.toml").write_text(text.replace('# outputs = ["classes"]', 'outputs = ["gap"]'))
    capsys.readouterr()
    keys = []
    for arguments in ([], ["--inputs", "left,right", "--outputs", "gap"], ["--inputs", "right,left"]):
        assert main(["convert", *arguments, *common, "--dry-run", "--json"]) == 0
        keys.append(document(capsys)["plan"]["key"])  # type: ignore[index]
    assert keys[0] == keys[1] != keys[2]
    onnx = str(small_models("onnx") / "cnn.onnx")
    assert main(["convert", onnx, "--project", "edgewright.toml", *common, "--inputs", "image"]) == 64
    assert "inputs and outputs cannot be chosen of an ONNX file" in capsys.readouterr().err


def test_refusals_are_one_line_and_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.pth").write_bytes(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00.")
    assert main(["convert", "net.pth", "--target", "onnxruntime"]) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 2
    assert error[0].endswith("net.pth holds weights alone, a PyTorch state dict has no graph")
    assert error[1].startswith("hint: export the module instead: torch.export.save")
