"""A precision, a metric and a transport."""

from edgewright.sdk import Precision, Tolerance
from edgewright.sdk.metrics import Metric
from edgewright.sdk.transports import LocalTransport, TransportKind

PRECISION = Precision(
    name="acme-int8",
    title="int8 as Acme accepts it",
    kind="calibrated",
    weight_bits=8,
    activation_bits=8,
    tolerance=Tolerance(sqnr_db=12.5, relative=0.4),
    cost=0.0,
)


def score(outputs, labels):
    """1 if the output differs from the label by less than one."""
    return (abs(outputs.reshape(len(outputs), -1)[:, 0] - labels) < 1).astype(float)


def fit(labels, output):
    return labels.astype(float)


METRIC = Metric(
    name="within-one",
    title="share of answers that are less than one away",
    score=score,
    fit=fit,
    show=lambda value: f"{value * 100:.0f} in a hundred",
)


def connect(board, fleet, ask_password):
    """Connects to this machine, whatever the address."""
    return LocalTransport()


TRANSPORT = TransportKind(name="acme", connect=connect)
