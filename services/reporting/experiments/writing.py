"""What an experiment came to, as messages; floating-point numbers with nine significant digits."""

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import event_pb2, event_service_pb2, experiment_pb2
from touchstone.reporting.v1 import experiment_pb2 as pb
from touchstone.reporting.v1 import report_pb2
from touchstone.type.v1 import money_pb2

from services.reporting.domain.experiments.definition import HOLDOUT, Experiment, State, assigned
from services.reporting.domain.experiments.results import Comparison, SampleRatio, VariantResult
from services.reporting.domain.experiments.statistics import ALPHA, Interval, Sequential
from services.reporting.domain.figures import AsOf
from services.reporting.domain.tenants import Tenant
from services.reporting.experiments.asking import Asked, Report
from services.reporting.experiments.reading import SECOND
from services.reporting.wire.reports import fill_recount

_OWN_SOURCE = "touchstone"


def set_event(
    tenant_id: str, event_id: str, told: experiment_pb2.ExperimentSet, now: int
) -> event_service_pb2.Delivery:
    """What the event log is told of a new set of experiments, at `now` in nanoseconds since 1970."""
    occur_time = _timestamp(now)
    event = event_pb2.Event(event_id=event_id, occur_time=occur_time, experiments=told)
    return event_service_pb2.Delivery(tenant_id=tenant_id, source=_OWN_SOURCE, receive_time=occur_time, events=[event])


def assignment(experiment: Experiment, visitor_id: str, now: int) -> pb.Assignment:
    """A visitor's variant at a moment; outside of the experiment's time it is the control, for everybody."""
    state = experiment.state(now)
    variant = assigned(experiment, visitor_id) if state is State.RUNNING else experiment.control
    return pb.Assignment(
        experiment_id=experiment.experiment_id,
        visitor_id=visitor_id,
        variant=variant,
        state=pb.Assignment.State.ValueType(state),
        held_out=state is State.RUNNING and variant == HOLDOUT,
        start_time=_timestamp(experiment.start),
    )


def report_message(report: Report, tenant: Tenant, asked: Asked, as_of: AsOf) -> pb.ExperimentReport:
    """An experiment's report."""
    counted, found = report.counted, report.results
    people = sum(sums.people for sums in counted.variants.values())
    message = pb.ExperimentReport(
        experiment_id=report.experiment.experiment_id,
        display_name=report.experiment.display_name,
        control=report.experiment.control,
        variants=[_variant(one, tenant.currency_code, report.experiment.pre_period) for one in found.variants],
        sample_ratio=_sample_ratio(found.sample_ratio),
        people=people,
        contaminated_people=counted.contaminated,
        people_outside=counted.outside,
        unidentified_visitors=counted.unidentified,
        contaminated_share=_rounded(counted.contaminated / people if people else None),
        cuped_theta=_rounded(found.theta),
        unconverted=[
            report_pb2.UnconvertedAmount(orders=orders, amount=_money(currency, gross))
            for currency, (orders, gross) in counted.unconverted.items()
        ],
    )
    message.metadata.time_zone = tenant.time_zone
    message.metadata.currency_code = tenant.currency_code
    message.metadata.model = asked.model
    message.metadata.model_version = tenant.model_version(asked.model)
    if asked.period:
        message.metadata.start_date = asked.period.start.isoformat()
        message.metadata.end_date = asked.period.end.isoformat()
    message.metadata.unconverted.extend(message.unconverted)
    fill_recount(message.metadata, tenant)
    told = message.metadata.as_of
    told.partition, told.event_position, told.credit_position = (
        as_of.partition,
        as_of.event_position,
        as_of.credit_position,
    )
    if as_of.apply_time:
        told.apply_time.FromDatetime(as_of.apply_time)
    return message


def _variant(result: VariantResult, currency_code: str, pre_period: int) -> pb.VariantResult:
    sums = result.sums
    return pb.VariantResult(
        variant=result.variant,
        expected_share=_digits(result.expected_share),
        people=sums.people,
        converters=sums.converters,
        orders=sums.orders,
        revenue=_money(currency_code, sums.revenue),
        net_revenue=_money(currency_code, sums.net),
        pre_period_revenue=_money(currency_code, sums.before) if pre_period else None,
        attributed_revenue=_money(currency_code, sums.attributed),
        conversion=_estimate(result.conversion),
        revenue_per_person=_estimate(result.revenue_per_person),
        adjusted_revenue_per_person=_estimate(result.adjusted_per_person),
        comparison=_comparison(result.comparison, currency_code) if result.comparison else None,
    )


def _comparison(found: Comparison, currency_code: str) -> pb.Comparison:
    incremental, low, high = found.incremental
    return pb.Comparison(
        conversion_difference=_estimate(found.conversion_difference),
        conversion_lift=_estimate(found.conversion_lift),
        conversion_probability_to_beat=_digits(found.conversion_beats),
        revenue_difference=_estimate(found.revenue_difference),
        revenue_lift=_estimate(found.revenue_lift),
        revenue_probability_to_beat=_rounded(found.revenue_beats),
        adjusted_revenue_difference=_estimate(found.adjusted_difference),
        conversion_sequential=_sequential(found.conversion_sequential),
        revenue_sequential=_sequential(found.revenue_sequential),
        incremental_revenue=_money(currency_code, incremental),
        incremental_revenue_low=None if low is None else _money(currency_code, low),
        incremental_revenue_high=None if high is None else _money(currency_code, high),
        incremental_over_attributed=_rounded(found.incremental_over_attributed),
    )


def _sequential(found: Sequential | None) -> pb.SequentialReading | None:
    if found is None:
        return None
    return pb.SequentialReading(
        difference=_estimate(found.difference), p_value=_digits(found.p_value), conclusive=found.p_value <= ALPHA
    )


def _sample_ratio(found: SampleRatio) -> pb.SampleRatio:
    return pb.SampleRatio(
        passed=found.passed,
        chi_square=_rounded(found.test.statistic if found.test else None),
        degrees_of_freedom=max(found.weighted - 1, 0),
        p_value=_rounded(found.test.p_value if found.test else None),
        people_without_weight=found.without_weight,
    )


def _estimate(found: Interval | None) -> pb.Estimate | None:
    if found is None:
        return None
    return pb.Estimate(value=_digits(found.value), low=_rounded(found.low), high=_rounded(found.high))


def _rounded(value: float | None) -> float | None:
    return None if value is None else _digits(value)


def _digits(value: float) -> float:
    """Libraries differ in the last digits from machine to machine; what is told doesn't."""
    return float(f"{value:.9g}")


def _money(currency_code: str, micros: int) -> money_pb2.Money:
    return money_pb2.Money(currency_code=currency_code, micros=micros)


def _timestamp(nanos: int) -> Timestamp:
    seconds, rest = divmod(nanos, SECOND)
    return Timestamp(seconds=seconds, nanos=rest)
