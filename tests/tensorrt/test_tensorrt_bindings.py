"""The runner with TensorRT's real Python bindings, fetched from the index, as far as they go without TensorRT itself."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import needs
import pytest

HERE = Path(__file__).parent
TARGETS = HERE.parents[1] / "targets"
RUN = """
import json, sys
import tensorrt_bindings as trt
sys.modules["tensorrt"] = trt
sys.path.insert(0, sys.argv[1])
from edgewright_targets.tensorrt import runner

seen = {"runtime": runner.import_runtime(), "accelerators": runner.accelerators()}
seen["types"] = sorted(set(runner._CODES) - set(trt.DataType.__members__))
seen["name"] = trt.DataType.INT8.name
if hasattr(trt, "IInt8EntropyCalibrator2"):
    calibrator = runner._calibrator(trt, b"TRT-0-EntropyCalibration2\\nx: 3d02325e\\n")
    seen["calibrator"] = isinstance(calibrator, trt.IInt8Calibrator)
    seen["cache"] = calibrator.read_calibration_cache().decode()
try:
    runner._build(trt, ".", {"styles": {"8": {}, "10": {}}, "workspace_mb": 1})
except Exception as error:
    seen["build"] = type(error).__name__ + ": " + str(error)
print(json.dumps(seen))
"""


def capture():
    spec = importlib.util.spec_from_file_location("capture", HERE / "capture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["8.6.1", "10.3.0", "11.4.0"])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def environment(version, tmp_path_factory):
    needs.tool("nm", "gcc")
    return capture().bindings(tmp_path_factory.mktemp("bindings"), version)


@pytest.mark.slow
def test_the_capture_is_what_the_bindings_say(version, environment):
    lines = [line for line in (HERE / "api.jsonl").read_text().splitlines() if json.loads(line)[0] == version]
    assert len(lines) >= 14 and capture().captured(version, environment) == lines


@pytest.mark.slow
def test_the_real_classes_take_what_the_runner_makes(version, environment):
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(TARGETS)], env=environment, check=True, capture_output=True, text=True
    )
    seen = json.loads(done.stdout)
    assert seen["runtime"].startswith(f"tensorrt {version}") and seen["accelerators"] == []
    assert seen["types"] == [] or (version == "8.6.1" and seen["types"] == ["INT64"])
    assert seen["name"] == "INT8"
    if version != "11.4.0":
        title = {"8.6.1": "TRT-8601", "10.3.0": "TRT-10300"}[version]
        assert seen["calibrator"] and seen["cache"] == f"{title}-EntropyCalibration2\nx: 3d02325e\n"
    assert seen["build"].startswith(
        "TypeError: "
    )  # the constructor was called, and there is no builder behind it
