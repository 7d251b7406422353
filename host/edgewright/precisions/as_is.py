"""The source file unchanged."""

from edgewright.nouns.precision import Precision, Tolerance

PRECISION = Precision(
    name="as-is",
    title="the source file unchanged",
    kind="as-is",
    weight_bits=32,
    activation_bits=32,
    tolerance=Tolerance(sqnr_db=20.0, relative=0.1),
    cost=4.0,
    near=False,
    cure="this runtime computes the file otherwise than the one that the answers are from: try another target",
)
