"""16-bit activations with 8-bit weights."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="int16x8",
    title="16-bit activations and 8-bit weights, calibrated",
    kind="calibrated",
    weight_bits=8,
    activation_bits=16,
    tolerance=Tolerance(sqnr_db=14.0, relative=0.25),
    following_db=18.0,
    cost=2.0,
)
