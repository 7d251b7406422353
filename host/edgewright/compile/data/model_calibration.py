"""Calibration data that came with a model's file, while a conversion uses their copy in the state folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edgewright.compile.inspection import calibration_member
from edgewright.errors import DataError
from edgewright.nouns.model_input import DataFile, ModelInput


@contextmanager
def copied(model: ModelInput) -> Iterator[None]:
    """The copy is there, though it may have been pruned since the conversion was planned; messages about it name the model's file.

    Raises:
        DataError: the data do not fit the model.
    """
    data = model.calibration
    if not isinstance(data, DataFile) or data.from_model is not True:
        yield
        return
    if not data.path.exists():
        calibration_member.extracted(model.source)
    try:
        yield
    except DataError as error:
        if str(data.path) not in error.message:
            raise
        named = error.message.replace(str(data.path), f"the calibration data in {model.source}")
        raise DataError(
            named,
            hint="give other data with --calibration FILE, or compress the model again",
            code=error.code,
        ) from error
