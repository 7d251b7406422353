"""Names of models and tensors in C: whatever they are, the compiler takes them and a terminal is safe."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import needs
import numpy as np
import pytest

from edgewright.c_program import goldens, header, text
from edgewright.compile.data.goldens import save
from edgewright.nouns.artifact import Artifact, Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.nouns.cpu import CPUS
from edgewright.nouns.precision import Tolerance
from edgewright.nouns.verdict import Limits, OutputVerdict

DTYPES = ["float32", "bool", "float16", "int64", "uint8", "float64", "int8", "uint16", "int32"]
STRANGE = ['a"b\\n', "??/", "%s%n", "ew_x EW_Y @TITLE@", "x\n\x1b[31m", "*/ #error", "日本", "", "9"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("digits-v1.keras", "digits_v1"),
        ("MobileNet v2.onnx", "mobilenet_v2"),
        ("net.py:make", "net"),
        ("string.onnx", "string"),
        ("sem.h5", "model_sem"),
        ("3d.onnx", "model_3d"),
        ("日本.onnx", "model"),
        (".onnx", "onnx"),
        ("saved_model", "saved_model"),
        ("a.b.c.onnx", "a_b_c"),
        ("x" * 300 + ".onnx", "x" * 40),
    ],
)
def test_a_models_name_in_c(file: str, name: str) -> None:
    assert text.identifier(file) == name


def artifact(folder: Path, names: list[str]) -> Artifact:
    """One with these names, which no runtime has."""
    specs = tuple(
        TensorSpec(name=name, shape=(2,) * rank, dtype=dtype)
        for name, (rank, dtype) in zip(
            names, [(index % 4, dtype) for index, dtype in enumerate(DTYPES)], strict=False
        )
    )
    quantised = msgspec.structs.replace(specs[0], dtype="int8", scale=0.1, zero_point=-3)
    limits = Limits(noise=1e-300, error=float("inf"), apart=1e30)
    manifest = Manifest(
        schema=2, source=Source(format="onnx", file=names[0] + "*/.onnx", sha256="0" * 64), target="tvm", precision="fp32",
        entry="model.so", files=(), inputs=specs, outputs=(quantised, *specs), cpu=CPUS["x86_64", "x86-64"],
        goldens=Goldens(file="goldens.npz", count=2, origin="random", framework="", tolerance=Tolerance(sqnr_db=1, relative=1)),
        parity=Parity(max_abs=0, max_relative=0, cosine=1, sqnr_db=1, top1_agreement=1, count=2),
        verdict=(OutputVerdict(limits=limits), *[OutputVerdict(limits=Limits(unequal=0))] * len(specs)),
    )  # fmt: skip
    return Artifact(folder=folder, manifest=manifest)


def test_any_names_compile_and_come_back_as_they_were(tmp_path: Path) -> None:
    needs.tool("gcc")
    made = artifact(tmp_path, STRANGE)
    manifest = made.manifest
    cpu = CPUS["x86_64", "x86-64"]
    (tmp_path / "net_model.h").write_text(header.header(made, cpu, "net"))
    body = text.named(header.tables(made, cpu), "net")
    arrays = [np.zeros((2, *spec.shape), spec.dtype) for spec in (*manifest.inputs, *manifest.outputs)]
    count = len(manifest.inputs)
    save(tmp_path / "goldens.npz", arrays[:count], arrays[count:])
    goldens.write(made, tmp_path, "net")
    main = (
        f'#include "net_model.h"\n#include "goldens.h"\n#include <stdio.h>\n{body}\n'
        "int main(void) {\n"
        "    for (int i = 0; i < NET_INPUTS; i++) printf(\"%s|%zu\\n\", net_inputs[i].name, net_inputs[i].bytes);\n"
        "    return net_golden_limits[0].bytes == 0 || !net_cpu_features[0];\n"
        "}\n"
    )  # fmt: skip
    (tmp_path / "main.c").write_text(main)
    command = [
        "gcc",
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-trigraphs",
        "main.c",
        "-o",
        "main",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    wanted = [f"{''.join(one if one.isprintable() else '?' for one in name)}" for name in STRANGE]
    assert shown.returncode == 0
    assert [line.rpartition("|")[0] for line in shown.stdout.splitlines()] == wanted
    sizes = [int(line.rpartition("|")[2]) for line in shown.stdout.splitlines()]
    assert sizes == [array[0].nbytes for array in arrays[:count]]


def test_every_feature_of_a_known_cpu_is_known_to_the_program() -> None:
    """On aarch64 the program asks the kernel by numbers, of which it has a table."""
    known = (text.PARTS / "cpu_aarch64.c").read_text()
    for (arch, _), cpu in CPUS.items():
        assert arch != "aarch64" or all(f'{{"{feature}", ' in known for feature in cpu.features)
