"""8-bit weights for smaller files."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="int8-weights",
    title="8-bit weights, arithmetic in floats",
    kind="weights",
    weight_bits=8,
    activation_bits=32,
    tolerance=Tolerance(sqnr_db=14.0, relative=0.25),
    following_db=18.0,
    cost=4.0,
)
