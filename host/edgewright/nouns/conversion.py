"""Conversion: the user's options for a conversion besides target and precision."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class Ends(Noun, frozen=True, kw_only=True):
    """Where the model begins and ends, for a source that does not define it itself.

    Attributes:
        inputs, outputs: names in a frozen graph.
        signature: name of the signature to convert, for a SavedModel or .tflite file with several. Empty for its default.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    signature: str = ""


class Conversion(Noun, frozen=True, kw_only=True):
    """The user's options.

    Attributes:
        ends: where the model begins and ends in its source.
        keep_float: names of layers that `int8-mixed` leaves in floats.
        calibration_method: how ranges are computed from the calibration samples: `minmax`, `entropy`, `percentile`.
        integer_io: inputs and outputs of an `int8` artifact are integers too.
        accelerator: the accelerator to run on; refused if that is known not to support the model. Empty for any.
    """

    ends: Ends = Ends()
    keep_float: tuple[str, ...] = ()
    calibration_method: str = "minmax"
    integer_io: bool = False
    accelerator: str = ""
