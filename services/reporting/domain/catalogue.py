"""The catalogue: every metric, the one place where a figure is defined, gathered from a module a subject."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from services.reporting.domain.definitions import Metric, Slice, Sum
from services.reporting.domain.metrics.conversations import METRICS_OF_CONVERSATIONS
from services.reporting.domain.metrics.costs import METRICS_OF_COSTS
from services.reporting.domain.metrics.experiments import METRICS_OF_EXPERIMENTS
from services.reporting.domain.metrics.orders import METRICS_OF_ORDERS
from services.reporting.domain.metrics.overview import METRICS_OF_OVERVIEW
from services.reporting.domain.metrics.products import METRICS_OF_PRODUCTS
from services.reporting.domain.metrics.recommendations import METRICS_OF_RECOMMENDATIONS
from services.reporting.domain.metrics.sales import METRICS_OF_SALES

_ALL = (
    *METRICS_OF_ORDERS,
    *METRICS_OF_SALES,
    *METRICS_OF_CONVERSATIONS,
    *METRICS_OF_PRODUCTS,
    *METRICS_OF_COSTS,
    *METRICS_OF_RECOMMENDATIONS,
    *METRICS_OF_OVERVIEW,
    *METRICS_OF_EXPERIMENTS,
)


def _gathered(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """Metrics by name, with the slices that each is computed from; two of one name are refused."""
    known: dict[str, Metric] = {}
    for metric in sorted(metrics, key=lambda metric: metric.name):
        if metric.name in known:
            raise ValueError(f"two metrics are named {metric.name}")
        known[metric.name] = metric
    return {
        name: replace(metric, slices=tuple(dict.fromkeys(_slices(metric, known)))) for name, metric in known.items()
    }


def _slices(metric: Metric, known: Mapping[str, Metric]) -> Iterator[Slice]:
    if isinstance(metric.formula, Sum):
        yield metric.formula.slice
        return
    for name in metric.formula.operands:
        yield from _slices(known[name], known)


METRICS: dict[str, Metric] = _gathered(_ALL)
"""Every metric, by name."""
