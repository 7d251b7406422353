"""Conversions in one process, pruning in another, over one home: whole artifacts only, and nothing in use goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgewright.config import home
from edgewright.store import artifacts, cache

CONVERT = """
import pathlib, sys
from edgewright.compile.request import CompileRequest
from edgewright.nouns.model_input import ModelInput
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.store.artifacts import load
with Workers(pathlib.Path(sys.argv[2]) / "convert.log") as workers:
    for turn in range(3):
        for goldens in range(8, 16):
            request = CompileRequest(model=ModelInput(source=pathlib.Path(sys.argv[1])), target="onnxruntime", goldens=goldens)
            artifact = compile_model(request, workers=workers)
            load(artifact.folder)  # its bytes are verified: it was not robbed meanwhile
            print(artifact.id, flush=True)
"""
PRUNE = """
import sys
from edgewright.store import cache
removed = 0
while not sys.stdin.closed:
    removed += len(cache.prune(max_bytes=0).removed)
    print(removed, flush=True)
"""


def started(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def ended(process: subprocess.Popen[str]) -> list[str]:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out.split()


def test_converting_and_pruning_at_the_same_time(outlier: Path, tmp_path: Path) -> None:
    # older artifacts, so that there is something to prune from the first moment
    before = started(CONVERT, outlier / "outlier.onnx", tmp_path)
    ids = ended(before)
    assert len(set(ids)) == 8
    pruner = started(PRUNE)
    assert pruner.stdout is not None
    removed = int(pruner.stdout.readline())  # it is at work before the others hold anything
    converters = [started(CONVERT, outlier / "outlier.onnx", tmp_path / str(number)) for number in range(2)]
    found = [ended(process) for process in converters]
    pruner.kill()
    pruner.communicate()
    assert found == [ids, ids]
    assert removed > 0
    store = artifacts.ArtifactStore(home.folder("artifacts"))
    for artifact in store.list():
        assert artifacts.load(artifact.folder) == artifact  # what is left is whole
    assert cache.prune(max_bytes=0).in_use == ()
    assert store.list() == ()
    assert list((home.home() / "artifacts" / "keys").iterdir()) == []


def test_a_convert_keeps_the_cache_within_its_bound(outlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import sys; from edgewright.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [
        sys.executable,
        "-c",
        program,
        "convert",
        str(outlier / "outlier.onnx"),
        "--target",
        "onnxruntime",
    ]
    store = artifacts.ArtifactStore(home.folder("artifacts"))
    subprocess.run([*command, "--precision", "fp32"], check=True, capture_output=True)
    assert [artifact.manifest.precision for artifact in store.list()] == ["fp32"]
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "1K")
    subprocess.run([*command, "--precision", "fp16"], check=True, capture_output=True)
    assert [artifact.manifest.precision for artifact in store.list()] == ["fp16"]  # the new one was in use
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "much")
    refused = subprocess.run(
        [*command, "--precision", "int8-weights"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 64
    assert "not a size: much" in refused.stderr
