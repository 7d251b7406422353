"""The table of runtimes, and what a source file says before a runtime sees it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from edgewright import targets
from edgewright.compile.inspection import tflite_file
from edgewright.compile.sources import litert
from edgewright.errors import ModelError
from edgewright_targets.tflite import finish


def test_what_old_runtimes_lack_is_beyond_their_caps_and_within_the_new_ones() -> None:
    target = targets.load("tflite")
    old = [row for row in target.runtimes if row.distribution == "tflite-runtime"]
    assert {row.version for row in old} == {"2.13.0", "2.14.0"}
    for kind, _, version in finish._BEYOND:
        assert all(row.lacks({kind: version}) for row in old), kind
    requires = {kind: version for kind, _, version in finish._BEYOND}
    assert not any(row.lacks(requires) for row in target.runtimes if row.distribution == "ai-edge-litert")


def test_every_format_that_is_quantised_here_names_its_tools() -> None:
    target = targets.load("tflite")
    for source, route in target.routes.items():
        assert route.stages[-1] == ("litert", "tflite.finish")
        assert "ai-edge-quantizer" in route.tools
        assert route.toolchains == (("onnx2tf",) if source == "onnx" else ())
        assert set(target.precisions_from(source)) >= {"fp32", "int8-mixed", "int16x8", "int4-weights"}
    assert target.precisions_from("tflite")[-1] == "as-is"


@pytest.mark.parametrize(
    ("name", "word"), [("FlexErf", "SELECT_TF_OPS"), ("MyOperator", "without those layers")]
)
def test_a_source_with_operators_of_others_is_refused_by_their_names(
    tmp_path: Path, net: SimpleNamespace, name: str, word: str
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(net.bytes(custom=name))
    assert tflite_file.look(path).custom == (name,)
    with pytest.raises(ModelError, match=f"does not have: {name}") as caught:
        litert.refuse_custom(path)
    assert caught.value.code == "custom-operators"
    assert word in caught.value.hint
    path.write_bytes(net.bytes())
    assert tflite_file.look(path).custom == ()
    litert.refuse_custom(path)
