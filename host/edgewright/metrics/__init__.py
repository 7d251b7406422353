"""The metrics, a file each: how labels are fitted to it, how answers are scored, how a value is shown."""

from edgewright.errors import UsageError
from edgewright.nouns.metric import Metric, recorded
from edgewright.records import Records

METRICS: Records[Metric] = Records("edgewright.metrics", "metric", __name__, "METRIC", Metric)


def to_show(name: str, *, higher_is_better: bool = True) -> Metric:
    """A metric that values are shown by: a user's own, or one of a plug-in that is gone, shows plain numbers."""
    try:
        return METRICS[name]
    except UsageError:
        return recorded(name, higher_is_better=higher_is_better)
