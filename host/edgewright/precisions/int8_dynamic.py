"""8-bit weights, without calibration."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="int8-dynamic",
    title="8-bit weights, ranges of activations found while running",
    kind="dynamic",
    weight_bits=8,
    activation_bits=8,
    tolerance=Tolerance(sqnr_db=11.0, relative=0.35),
    following_db=18.0,
    cost=4.0,
)
