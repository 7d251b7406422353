"""int8, with the layers that lose most kept in floats."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="int8-mixed",
    title="int8 except for some layers, which stay in floats",
    kind="mixed",
    weight_bits=8,
    activation_bits=8,
    tolerance=Tolerance(sqnr_db=9.0, relative=0.45),
    following_db=15.0,
    cost=1.0,
)
