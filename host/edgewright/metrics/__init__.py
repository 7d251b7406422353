"""The metrics, one file each: how labels are fitted, how outputs are scored, and how a value is shown."""

from msgspec.structs import replace

from edgewright.errors import UsageError
from edgewright.nouns.metric import Metric, recorded
from edgewright.records import Records

METRICS: Records[Metric] = Records("edgewright.metrics", "metric", __name__, "METRIC", Metric)


def to_show(name: str, *, higher_is_better: bool = True) -> Metric:
    """A metric for showing values. A user's own metric, or one of a removed plug-in, shows plain numbers."""
    try:
        return shown_safely(METRICS[name])
    except UsageError:
        return recorded(name, higher_is_better=higher_is_better)


def shown_safely(metric: Metric) -> Metric:
    """The metric; if a plug-in's `show` fails, the value is shown as a plain number, followed by the plug-in's name."""
    show = metric.show
    if show is None or not METRICS.plugin(metric.name):
        return metric
    plain = replace(metric, show=None)

    def shown(value: float) -> str:
        try:
            text = show(value)
        except Exception as error:  # noqa: BLE001 - whatever a plug-in raises: the figure is worth more than its form
            reason = f"show: {type(error).__name__}: {error}"
        else:
            if isinstance(text, str):
                return text
            reason = f"show gave {type(text).__name__}, not text"
        return f"{plain.shown(value)} ({METRICS.blame(metric.name, reason)})"

    return replace(metric, show=shown)
