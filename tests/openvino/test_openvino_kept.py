"""The check that what was to stay in floats did, and the rows that groups are found in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import masked_models
import numpy as np
import pytest

from edgewright.compile.explain import _converted
from edgewright.compile.graph.float_groups import groups
from edgewright.errors import ConversionError
from edgewright_targets.openvino import explain, layers
from edgewright_targets.openvino.target import MASKED_PRODUCTS


def a_softmax(*, before: bool, behind: bool) -> Any:
    """A model of a Softmax `soft`, with a FakeQuantize before and behind it or not."""
    import openvino as ov
    from openvino import opset13 as ops

    def rounded(node: Any, wanted: bool) -> Any:
        ends = (np.float32(0), np.float32(1)) * 2
        return ops.fake_quantize(node, *ends, 256) if wanted else node

    given = ops.parameter([1, 8], np.float32)
    soft = ops.softmax(rounded(given, before), 1)
    soft.set_friendly_name("soft")
    return ov.Model([ops.result(ops.relu(rounded(soft, behind)))], [given])


def test_what_is_rounded_on_both_sides_is_no_float() -> None:
    kept = {"mine": ["soft"]}
    layers.check_float(a_softmax(before=True, behind=False), kept)
    layers.check_float(a_softmax(before=False, behind=True), kept)
    with pytest.raises(ConversionError, match="did not stay in floats: mine"):
        layers.check_float(a_softmax(before=True, behind=True), kept)
    with pytest.raises(ConversionError, match="did not stay in floats: mine"):
        layers.check_float(a_softmax(before=False, behind=False), {"mine": ["gone"]})


@pytest.mark.parametrize("minus_infinity", [float(np.finfo("float32").min), -10000.0])
def test_the_way_from_minus_infinity_to_the_softmax(tmp_path: Path, minus_infinity: float) -> None:
    import openvino as ov

    model = ov.convert_model(str(masked_models.write(tmp_path, minus_infinity)))
    (group,) = groups(_converted(explain.of_model(model)), products=MASKED_PRODUCTS)
    assert set(group.names) == {"qk", "bias", "bias3", "masked", "p"}


def test_what_joins_an_output(tmp_path: Path) -> None:
    import coarse_models
    import openvino as ov

    coarse_models.write_onnx(tmp_path)
    (group,) = groups(_converted(explain.of_model(ov.convert_model(str(tmp_path / "head.onnx")))))
    assert (group.words, group.names) == ("what joins output y", ("both", "y"))
