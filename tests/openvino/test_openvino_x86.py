"""Verdicts hold for all CPUs: x86 without VNNI saturates sums of 8-bit products, unless they are computed in floats."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SATURATED, EXACT = 25, 38  # dB: the model answers with 40 or more where nothing saturates
ANSWERS = """
import json, sys
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from pathlib import Path
from edgewright.compile.sources.openvino import open_model
from edgewright.compile.tasks.source import _OPTIONS
from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.nouns.conversion import Ends
from edgewright_targets.openvino import runner

folder, random = sys.argv[1], np.random.default_rng(0)
samples = random.uniform(0.3, 1, (16, 8, 64)).astype("float32")
weights = random.uniform(-1, 1, (64, 16))
scale = np.abs(weights).max(0) / 127
held = ops.multiply(ops.convert(ops.constant(np.round(weights / scale).astype("int8")), "f32"), np.float32(scale))
x = ops.parameter([8, 64], dtype=np.float32, name="x")
steps = ops.fake_quantize(x, np.float32(0), np.float32(1), np.float32(0), np.float32(1), 256)
y = ops.result(ops.matmul(steps, held, False, False), name="y")
x.output(0).set_names({"x"})
y.output(0).set_names({"y"})
ov.save_model(ov.Model([y], [x], "net"), folder + "/model.xml", compress_to_fp16=False)
ends = [{"name": name, "dtype": "float32", "shape": shape} for name, shape in (("x", [8, 64]), ("y", [8, 16]))]
manifest = {"entry": "model.xml", "inputs": ends[:1], "outputs": ends[1:]}

def near(run):
    return sqnr_db(samples.astype(float) @ weights, np.stack([run(one) for one in samples]).astype(float))

def by_runner(options):
    session = runner.load(folder, manifest, options)
    return near(lambda one: session.infer(session.feed([one.tobytes()]))[0])

source = open_model(Path(folder) / "model.xml", "ir", {}, Ends())
found = {"board": by_runner({}), "verdict": by_runner(_OPTIONS), "source": near(lambda one: source.run([one])[0])}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Decibels of one quantised layer in each way of running it, as on a CPU without VNNI."""
    if os.uname().machine != "x86_64":
        pytest.skip("the wheels of this machine are not for x86-64")
    # less than AVX-512 confuses OpenVINO on a CPU with bfloat16: it lays weights out for kernels that oneDNN then lacks
    without = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "EDGEWRIGHT_X86_VNNI": "0"}
    command = [sys.executable, "-c", ANSWERS, str(tmp_path_factory.mktemp("x86"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=without)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_such_a_cpu_saturates(answered: dict[str, float]) -> None:
    """Else this file would prove nothing; and boards keep their fast kernels, as floats would be slower than fp32."""
    assert answered["board"] < SATURATED


@pytest.mark.parametrize("way", ["verdict", "source"])
def test_verdicts_and_sources_are_exact_there(answered: dict[str, float], way: str) -> None:
    assert answered[way] > EXACT
