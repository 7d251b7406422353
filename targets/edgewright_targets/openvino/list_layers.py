"""Lists the layers that can be kept in floats, by the names on this route. Host side, in the `openvino` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets.openvino.explain import of_model
from edgewright_targets.openvino.files import given, own_names, strip
from edgewright_targets.openvino.finish import read
from edgewright_targets.openvino.layers import names_of
from edgewright_targets.openvino.ports import fixed

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Replaces `finish`: returns `operations`, the rows of the model that `finish` would quantise; makes no file."""
    model, own = fixed(read(work), work), own_names(work)
    strip(model, own)
    called = {}
    for operation in model.get_ordered_ops():
        name, *others = names_of(operation)
        # each conversion generates new numbers; a name behind a layer may not have changed
        called[name] = next((one for one in (name, *sorted(others)) if given(one, own)), name)
    return {"operations": [{**row, "name": called[row["name"]]} for row in of_model(model)]}
