"""4-bit weights for the smallest files."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="int4-weights",
    title="4-bit weights, arithmetic in floats",
    kind="weights",
    weight_bits=4,
    activation_bits=32,
    tolerance=Tolerance(sqnr_db=7.0, relative=0.5),
    following_db=12.0,
    cost=4.0,
)
