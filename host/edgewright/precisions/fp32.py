"""32-bit floats: what a converter makes without any rounding."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="fp32",
    title="32-bit floats",
    kind="floats",
    weight_bits=32,
    activation_bits=32,
    tolerance=Tolerance(sqnr_db=60.0, relative=0.001),
    following_db=50.0,
    cost=4.0,
    equal=0.999,
    strays=0.0,
    near=False,
)
