"""What the real compiler makes, refuses and prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from compiled_graphs import computed_shapes, network, unsupported

from edgewright.compile import machine_code
from edgewright.compile.conversion import SOURCE_TASKS
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.errors import ConversionError, ModelError
from edgewright.nouns import cpu as cpus
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.cpu import CPUS, Cpu
from edgewright.store.artifacts import ArtifactStore
from edgewright.testing import targets as checks
from edgewright_targets.iree import run_compiler

Compiled = Callable[..., Artifact]
A76 = CPUS["aarch64", "cortex-a76"]
# LLVM's name of a feature: that of /proc/cpuinfo. Those that no compiled code of a model uses have none.
KERNELS = {
    "aarch64": {
        "fp-armv8": "fp", "neon": "asimd", "crc": "crc32", "lse": "atomics", "rdm": "asimdrdm", "fullfp16": "asimdhp",
        "dotprod": "asimddp", "rcpc": "lrcpc",
    },
    "x86_64": {
        "cmov": "cmov", "cx8": "cx8", "fxsr": "fxsr", "mmx": "mmx", "sse": "sse", "sse2": "sse2", "cx16": "cx16", "sahf": "lahf_lm",
        "popcnt": "popcnt", "sse3": "pni", "ssse3": "ssse3", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "lzcnt": "abm", "avx": "avx",
        "avx2": "avx2", "bmi": "bmi1", "bmi2": "bmi2", "f16c": "f16c", "fma": "fma", "movbe": "movbe", "xsave": "xsave",
        "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512cd": "avx512cd", "avx512dq": "avx512dq", "avx512vl": "avx512vl",
        "crc32": "sse4_2",
    },
}  # fmt: skip
UNUSED = {
    "aarch64": {"v8a", "v8.2a", "perfmon", "ras", "ssbs", "spe", "reserve-x18", "aes", "sha2"},
    "x86_64": {"x87", "evex512"},
}


@pytest.fixture(scope="module")
def mlir(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, onnx.ModelProto]:
    """The imported network, and its graph."""
    source = network(tmp_path_factory.mktemp("mlir") / "model.onnx")
    model = onnx.load(str(source))
    return run_compiler.imported(source, model), model


@pytest.mark.parametrize("cpu", CPUS.values(), ids=lambda cpu: cpu.name)
def test_a_cpus_features_are_those_that_llvm_may_use(mlir: tuple[Path, onnx.ModelProto], cpu: Cpu) -> None:
    done = subprocess.run(
        [*run_compiler.command(mlir[0], cpu, Path("-")), "--compile-to=flow"], cwd=mlir[0].parent,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (said,) = set(re.findall(r'cpu_features = "([^"]*)"', done.stdout))
    used = [
        one[1:] for one in said.split(",") if one.startswith("+") and f"-{one[1:]}" not in said.split(",")
    ]
    assert not set(cpu.without) & set(used)
    needed = {KERNELS[cpu.arch][one] for one in used if one not in UNUSED[cpu.arch]}
    if cpu.name == "generic":  # LLVM does not say what every CPU has
        needed |= set(cpu.features)
    assert needed <= set(cpu.features) <= needed | {"fphp"}  # of full half precision, as asimdhp


def test_code_for_another_cpu_is_verified_by_its_counterpart_here(compiled: Compiled, tmp_path: Path) -> None:
    source = network(tmp_path / "net.onnx")
    artifact = compiled(source, cpu=A76)
    manifest = artifact.manifest
    assert manifest.cpu == A76 and manifest.parity.sqnr_db > 100
    assert {entry.path for entry in manifest.files} == {"model.vmfb", "ends.json", "goldens.npz"}
    twin, document = machine_code.runnable(artifact.folder, json.loads(manifest.canonical()))
    assert twin.is_relative_to(artifact.folder / "host") and (twin / "model.vmfb").is_file()
    assert document["cpu"]["arch"] == cpus.best("x86_64", machine_code.features()).arch
    assert compiled(source, cpu=CPUS["aarch64", "generic"]).id != artifact.id
    assert compiled(source, cpu=A76, use_cache=False).id == artifact.id, "the same code twice"
    # where the counterpart was lost, a conversion brings it back
    (twin / "model.vmfb").unlink()
    compiled(source, cpu=A76, use_cache=False)
    assert (twin / "model.vmfb").is_file()
    (found,) = [one for one in ArtifactStore(artifact.folder.parents[1]).list() if one.id == artifact.id]
    assert found.manifest.cpu == A76


def test_inputs_need_no_alignment_a_board_no_numpy_and_a_verdict_no_second_thread(
    compiled: Compiled, tmp_path: Path
) -> None:
    artifact = compiled(network(tmp_path / "net.onnx"))
    ready = checks.ready("iree", artifact.folder)
    session = ready.load()
    wanted = ready.answer(session, ready.inputs(0))
    for offset in (1, 3, 7):
        shifted = memoryview(bytes(offset) + ready.inputs(0)[0])[offset:]
        assert ready.answer(session, [shifted]) == wanted
    program = (
        "import json, os, sys\n"
        "sys.path += json.loads(sys.argv[1])\n"
        "from edgewright_targets.iree import runner\n"
        "print(runner.import_runtime())\n"
        "manifest = json.load(open(sys.argv[2] + '/manifest.json'))\n"
        "session = runner.load(sys.argv[2], manifest, {'threads': 2, 'exact': True})\n"
        "print(session.read(session.infer(session.feed([bytes.fromhex(sys.argv[3])])))[0].hex())\n"
        "threads = [open('/proc/self/task/%s/comm' % one).read() for one in os.listdir('/proc/self/task')]\n"
        "print('numpy' in sys.modules, any('worker' in name for name in threads))\n"
    )
    from iree._runtime_libs import version

    import edgewright_agent
    import edgewright_targets

    paths = [str(Path(one.__file__).parents[1]) for one in (edgewright_agent, edgewright_targets)]
    bare = tmp_path / "site"
    bare.mkdir()
    (bare / "iree").symlink_to(Path(version.__file__).parents[1])
    command = [sys.executable, "-I", "-S", "-B", "-c", program, json.dumps([*paths, str(bare)])]
    done = subprocess.run(
        [*command, str(artifact.folder), ready.inputs(0)[0].hex()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["iree-base-runtime", "3.13.0", wanted[0].hex(), "False", "False"], (
        done.stderr
    )


def test_a_worker_that_may_only_read_the_artifact_runs_it(compiled: Compiled, tmp_path: Path) -> None:
    """As those of `optimize` do; on a board a release's files are read-only too."""
    artifact = compiled(network(tmp_path / "net.onnx"), cpu=A76)
    inputs = home.folder("evaluations") / "inputs.npz"
    np.savez(inputs, image=np.ones((2, 1, 8, 8), np.float32))
    with Workers(tmp_path / "log") as confined:
        packed = confined.call(
            "onnx", SOURCE_TASKS, "answer_as_the_artifact", runner="edgewright_targets.iree.runner", folder=artifact.folder,
            manifest=msgspec.to_builtins(artifact.manifest), inputs=inputs, keep="all",
        )  # fmt: skip
    assert len(packed) > 0


def test_an_operator_that_it_cannot_take_is_named_with_its_node(compiled: Compiled, tmp_path: Path) -> None:
    with pytest.raises(
        ConversionError, match=r"cannot compile GridSample \(smooth\): failed to legalize"
    ) as caught:
        compiled(unsupported(tmp_path / "sampling.onnx"))
    assert caught.value.code == "operator-unknown" and "--target" in caught.value.hint


def test_open_axes_are_refused_with_what_to_give(compiled: Compiled, tmp_path: Path) -> None:
    model = onnx.load(str(network(tmp_path / "net.onnx")))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, str(tmp_path / "open.onnx"))
    with pytest.raises(ModelError, match="open axes: image") as caught:
        compiled(tmp_path / "open.onnx")
    assert "--input-shape" in caught.value.hint


def test_an_error_with_exit_status_0_is_an_error(
    mlir: tuple[Path, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = [flag for flag in run_compiler.FLAGS if not flag.startswith(run_compiler.PREPROCESSING)]
    wrong = f"{run_compiler.PREPROCESSING}=builtin.module(no-such-pass)"
    monkeypatch.setattr(run_compiler, "FLAGS", (*kept, wrong))
    done = subprocess.run(
        run_compiler.command(mlir[0], A76, tmp_path / "a.vmfb"), cwd=mlir[0].parent,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "error:" in done.stderr, "it is not as it was: is the check still needed?"
    with pytest.raises(ConversionError, match="no-such-pass") as caught:
        run_compiler.compiled(mlir[0], A76, mlir[1], tmp_path / "b.vmfb")
    assert "\n" not in caught.value.message


def test_a_crash_is_one_line(
    mlir: tuple[Path, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kill = [sys.executable, "-c", "import os, signal; print('working'); os.kill(os.getpid(), signal.SIGSEGV)"]
    monkeypatch.setattr(run_compiler, "command", lambda *_: kill)
    with pytest.raises(
        ConversionError, match=r"^IREE cannot compile the model: the compiler crashed \(signal 11\)$"
    ):
        run_compiler.compiled(mlir[0], A76, mlir[1], tmp_path / "made.vmfb")


def test_outputs_of_the_artifact_differ_between_inputs(compiled: Compiled, tmp_path: Path) -> None:
    artifact = compiled(network(tmp_path / "net.onnx"))
    with np.load(artifact.folder / "goldens.npz") as goldens:
        assert len(np.unique(goldens["output_0"], axis=0)) == artifact.manifest.goldens.count


def test_shapes_that_a_graph_computes_are_constants_before_it_is_compiled(
    compiled: Compiled, tmp_path: Path
) -> None:
    """IREE's own code for them answers wrongly: 0.2 dB. The conversion compares the outputs."""
    artifact = compiled(computed_shapes(tmp_path / "net.onnx"))
    assert artifact.manifest.parity.sqnr_db > 100
