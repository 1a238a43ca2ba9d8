"""Metrics of experiments that add up over days; what compares variants is a report of its own."""

from dataclasses import replace

from services.reporting.domain.definitions import EXPERIENCE, TIMES, VARIANT, Sum, Unit, activity, summed

METRICS_OF_EXPERIMENTS = (
    summed(
        "exposed_visitors",
        "Exposed visitors",
        Unit.COUNT,
        Sum(
            slice=replace(activity("exposed_visitors"), dimensions=(*TIMES, EXPERIENCE, VARIANT)),
            measure="amount",
        ),
        "Visitors who were exposed to an experiment, by the day and the variant of their first exposure; in several "
        "experiments once in each. The dimension experience is the experiment.",
    ),
)
