"""The metrics, a file each: how labels are fitted to it, how answers are scored, how a value is shown."""

from edgewright.nouns.metric import Metric
from edgewright.records import Records

METRICS: Records[Metric] = Records("edgewright.metrics", "metric", __name__, "METRIC", Metric)
