"""8-bit weights and activations, calibrated."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="int8",
    title="8-bit weights and activations, calibrated",
    kind="calibrated",
    weight_bits=8,
    activation_bits=8,
    tolerance=Tolerance(sqnr_db=9.0, relative=0.45),
    following_db=15.0,
    cost=0.0,
)
