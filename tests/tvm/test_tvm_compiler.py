"""What the real compiler makes, refuses and prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from compiled_graphs import network, recurrent

from edgewright.compile import machine_code
from edgewright.errors import ConversionError, ModelError, UsageError
from edgewright.nouns import cpu as cpus
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.cpu import CPUS, Cpu
from edgewright.testing import targets as checks
from edgewright_targets.tvm import run_compiler
from edgewright_targets.tvm.target import VERSION

Compiled = Callable[..., Artifact]
A76 = CPUS["aarch64", "cortex-a76"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's file."""
    return network(tmp_path_factory.mktemp("net") / "net.onnx")


def test_code_for_another_cpu_is_verified_by_its_counterpart_here(compiled: Compiled, source: Path) -> None:
    artifact = compiled(source, cpu=A76)
    manifest = artifact.manifest
    assert manifest.cpu == A76 and manifest.parity.sqnr_db > 100
    assert {entry.path for entry in manifest.files} == {"model.so", "ends.json", "goldens.npz"}
    assert manifest.tools["toolchain apache-tvm"].startswith(VERSION) and manifest.requires == {"release": 27}
    assert any("experimental" in note for note in manifest.notes)
    twin, document = machine_code.runnable(artifact.folder, json.loads(manifest.canonical()))
    assert twin.is_relative_to(artifact.folder / "host") and (twin / "model.so").is_file()
    assert document["cpu"]["arch"] == cpus.best("x86_64", machine_code.features()).arch
    assert compiled(source, cpu=A76, use_cache=False).id == artifact.id, "the same code twice"
    machines = [(folder / "model.so").read_bytes()[18:20] for folder in (artifact.folder, twin)]
    assert machines == [bytes([183, 0]), bytes([62, 0])], "the machines of an ELF file"
    with np.load(artifact.folder / "goldens.npz") as goldens:
        assert len(np.unique(goldens["output_0"], axis=0)) == manifest.goldens.count


def test_a_cpus_features_are_those_that_the_compiler_may_use(toolchain: Path) -> None:
    """LLVM's own table is the same in IREE, whose tests compare each feature; here, that TVM hands the CPU to LLVM."""
    program = (
        "import json, sys\n"
        "from tvm.target import Target, codegen\n"
        "print(json.dumps([sorted(codegen.llvm_get_cpu_features(Target(one))) for one in json.loads(sys.argv[1])]))\n"
    )
    asked = [run_compiler.described(cpu) for cpu in CPUS.values()]
    done = subprocess.run(
        [str(toolchain), "-I", "-c", program, json.dumps(asked)], capture_output=True, text=True, check=True
    )
    for cpu, found in zip(CPUS.values(), json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert not set(cpu.without) & set(found), cpu.name
        assert ("dotprod" in found) == ("asimddp" in cpu.features), cpu.name
        assert ("lse" in found) == ("atomics" in cpu.features), cpu.name
        assert ("avx2" in found, "avx512f" in found) == ("avx2" in cpu.features, "avx512f" in cpu.features)


def test_inputs_need_no_alignment_and_a_board_two_libraries_alone(
    compiled: Compiled, source: Path, toolchain: Path, tmp_path: Path
) -> None:
    artifact = compiled(network(tmp_path / "large.onnx", side=40))  # for which several threads pay
    ready = checks.ready("tvm", artifact.folder)
    session = ready.load()
    wanted = ready.answer(session, ready.inputs(0))
    for offset in (1, 3, 7):
        shifted = memoryview(bytes(offset) + ready.inputs(0)[0])[offset:]
        assert ready.answer(session, [shifted]) == wanted
    with pytest.raises(ValueError, match="input has 3 bytes instead of 6400"):
        session.feed([b"abc"])
    program = (
        "import sys, json\n"
        "sys.path += json.loads(sys.argv[1])\n"
        "from edgewright_targets.tvm import runner\n"
        "print(runner.import_runtime())\n"
        "manifest = json.load(open(sys.argv[2] + '/manifest.json'))\n"
        "session = runner.load(sys.argv[2], manifest, {'threads': 2})\n"
        "print(session.read(session.infer(session.feed([bytes.fromhex(sys.argv[3])])))[0].hex())\n"
        "session.close()\n"
        "print([one for one in ('numpy', 'tvm', 'tvm_ffi', 'typing_extensions') if one in sys.modules])\n"
    )
    import edgewright_agent
    import edgewright_targets

    paths = [str(Path(one.__file__).parents[1]) for one in (edgewright_agent, edgewright_targets)]
    (packages,) = toolchain.parents[1].glob("lib/python3*/site-packages")
    bare = tmp_path / "site"
    for name in ("tvm/lib/libtvm_runtime.so", "tvm_ffi/lib/libtvm_ffi.so"):
        (bare / name).parent.mkdir(parents=True)
        (bare / name).symlink_to(packages / name)
    (bare / f"apache_tvm-{VERSION}.dist-info").mkdir()
    command = [sys.executable, "-I", "-S", "-B", "-c", program, json.dumps([*paths, str(bare)])]
    done = subprocess.run(
        [*command, str(artifact.folder), ready.inputs(0)[0].hex()],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["apache-tvm", VERSION, wanted[0].hex(), "[]"], done.stderr


def test_a_damaged_file_is_one_line(compiled: Compiled, source: Path, tmp_path: Path) -> None:
    artifact = compiled(source)
    ready = checks.ready("tvm", artifact.folder)
    ready.load()
    for name in ("ends.json", "manifest.json"):
        (tmp_path / name).write_bytes((artifact.folder / name).read_bytes())
    whole = (artifact.folder / "model.so").read_bytes()
    for cut in (0, 30, 5000, len(whole) - 1):
        (tmp_path / "model.so").write_bytes(whole[:cut])
        with pytest.raises(RuntimeError, match=r"TVM cannot load the model: model.so is damaged") as caught:
            ready.runner.load(str(tmp_path), ready.manifest, {"threads": 1})
        assert "\n" not in str(caught.value) and "another target" in caught.value.hint
    (tmp_path / "model.so").write_bytes(whole.replace(b"libtvm_ffi.so", b"libtvm_fff.so"))
    with pytest.raises(RuntimeError, match=r"TVM cannot load the model: .*libtvm_fff\.so") as caught:
        ready.runner.load(str(tmp_path), ready.manifest, {"threads": 1})
    assert "\n" not in str(caught.value)


def test_an_operator_that_it_cannot_take_is_named_with_its_node(compiled: Compiled, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"cannot compile LSTM \(memory\): .*not supported") as caught:
        compiled(recurrent(tmp_path / "recurrent.onnx"))
    assert caught.value.code == "operator-unknown" and "--target" in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_form_of_an_operator_that_it_cannot_take_is_named_with_its_node(
    compiled: Compiled, tmp_path: Path
) -> None:
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    ends = [("x", [1, 8]), ("values", [1, 3])]
    x, values = (helper.make_tensor_value_info(name, floats, shape) for name, shape in ends)
    nodes = [
        helper.make_node("Constant", [], ["three"], name="three", value_ints=[3]),
        helper.make_node("TopK", ["x", "three"], ["best", "places"], name="first"),
        helper.make_node("TopK", ["best", "three"], ["values", "which"], name="unsorted", sorted=0),
    ]
    graph = helper.make_graph(nodes, "best", [x], [values])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, str(tmp_path / "best.onnx"))
    with pytest.raises(ConversionError, match=r"cannot compile TopK \(unsorted\): TopK sorted must be 1"):
        compiled(tmp_path / "best.onnx")


def test_a_graph_that_only_passes_its_input_through_computes_nothing(
    compiled: Compiled, tmp_path: Path
) -> None:
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "same", [x], [y])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, str(tmp_path / "same.onnx"))
    with pytest.raises(ConversionError, match=r"TVM cannot compile the model: it computes nothing"):
        compiled(tmp_path / "same.onnx")


def test_what_it_does_not_make_is_refused_with_what_to_do(
    compiled: Compiled, source: Path, tmp_path: Path
) -> None:
    model = onnx.load(str(source))
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    onnx.save(model, str(tmp_path / "open.onnx"))
    with pytest.raises(ModelError, match="open axes: image") as open_axes:
        compiled(tmp_path / "open.onnx")
    assert "--input-shape" in open_axes.value.hint
    with pytest.raises(UsageError, match="tvm keeps floats at inputs and outputs"):
        compiled(source, precision="int8", calibration="synthetic", conversion=Conversion(integer_io=True))
    scaler = onnx.helper.make_node(
        "Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0, 2.0], scale=[3.0, 4.0]
    )
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy")
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in (("", 13), ("ai.onnx.ml", 2))]
    classical = onnx.helper.make_model(
        onnx.helper.make_graph([scaler], "scaled", [x], [y]), opset_imports=opsets, ir_version=8
    )
    onnx.save(classical, str(tmp_path / "classical.onnx"))
    with pytest.raises(ConversionError, match=r"ai.onnx.ml.Scaler") as operators:
        compiled(tmp_path / "classical.onnx")
    assert "--target onnxruntime" in operators.value.hint


def asked(tmp_path: Path, source: Path, toolchain: Path, cpu: Cpu) -> None:
    """Compiles the network for a CPU."""
    copy = tmp_path / "model.onnx"
    copy.write_bytes(source.read_bytes())
    run_compiler.compiled(toolchain, onnx.load(str(source)), copy, [(cpu, tmp_path / "made.so")])


def test_an_error_with_exit_status_0_is_an_error(source: Path, toolchain: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="'-no-such' is not a recognized feature") as caught:
        asked(tmp_path, source, toolchain, NoSuch(arch="aarch64", name="cortex-a72", features=()))
    assert "\n" not in caught.value.message
    assert list((tmp_path / "0").glob("*.o")), "it is not as it was: is the check still needed?"


class NoSuch(Cpu, frozen=True, kw_only=True):
    """A CPU without a feature that no CPU has."""

    @property
    def without(self) -> tuple[str, ...]:
        return ("no-such",)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import os, signal; print('working'); os.kill(os.getpid(), signal.SIGSEGV)",
            r"the compiler crashed \(signal 11\)",
        ),
        ("print('nothing was made')", "nothing was made"),
    ],
)
def test_a_crash_and_a_program_that_makes_nothing_are_one_line(
    program: str, said: str, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(run_compiler, "command", lambda *_: [sys.executable, "-c", program])
    with pytest.raises(ConversionError, match=f"^TVM cannot compile the model: {said}$"):
        asked(tmp_path, source, Path(sys.executable), A76)


def test_without_the_toolchain_a_conversion_says_how_to_install_it(
    compiled: Compiled, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(tmp_path))
    with pytest.raises(ConversionError, match="toolchain apache-tvm is not installed") as caught:
        compiled(source)
    assert caught.value.hint == "edgewright toolchain install apache-tvm"
