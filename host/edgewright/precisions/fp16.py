"""16-bit floats."""

from edgewright.nouns.precision import HALF, Precision, Tolerance

PRECISION = Precision(
    name="fp16",
    title="16-bit floats",
    kind="floats",
    weight_bits=16,
    activation_bits=16,
    tolerance=Tolerance(sqnr_db=35.0, relative=0.03),
    following_db=30.0,
    cost=3.0,
    equal=0.99,
    rounding=HALF,
    strays=1e-3,
    near=False,
    cure="take fp32: some of the model's numbers are too large or too close for 16-bit floats",
)
