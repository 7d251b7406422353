"""Conversion: the user's options of a conversion beyond target and precision."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class Ends(Noun, frozen=True, kw_only=True):
    """Where the model begins and ends in a source that does not say it itself.

    Attributes:
        inputs, outputs: names of a frozen graph's.
        signature: name of the one that is the model, of a SavedModel or .tflite file with several. Empty: its default.
    """

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    signature: str = ""


class Conversion(Noun, frozen=True, kw_only=True):
    """The user's choices.

    Attributes:
        ends: where the model begins and ends in its source.
        keep_float: names of layers that `int8-mixed` leaves in floats.
        calibration_method: how ranges come from the calibration samples: `minmax`, `entropy`, `percentile`.
        integer_io: inputs and outputs of an `int8` artifact are integers too.
        accelerator: the one that it has to run on: refused where that is known not to take it. Empty: any.
    """

    ends: Ends = Ends()
    keep_float: tuple[str, ...] = ()
    calibration_method: str = "minmax"
    integer_io: bool = False
    accelerator: str = ""
