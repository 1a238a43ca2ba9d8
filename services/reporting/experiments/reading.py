"""Experiments and orders, from messages to values; which experiments can hold."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import experiment_pb2

from services.kernel.failures import FieldViolation, InvalidArgumentError
from services.reporting.domain.experiments.definition import HOLDOUT, WHOLE_BASIS_POINTS, Arm, Experiment
from services.reporting.domain.experiments.people import Purchase
from services.reporting.domain.facts import OrderFact

SECOND: Final = 1_000_000_000
MOST_EXPERIMENTS: Final = 1_000
MOST_ARMS: Final = 50
LARGEST_WEIGHT: Final = 1_000_000
LONGEST_WINDOW: Final = 400 * 86_400 * SECOND
"""Nanoseconds of a metric window or a pre-period, at most."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LONGEST_NAME: Final = 256


def checked_set(told: Sequence[experiment_pb2.Experiment]) -> experiment_pb2.ExperimentSet:
    """The experiments of a whole set, by id. Raises InvalidArgumentError that names every field at fault."""
    found: list[FieldViolation] = []
    if len(told) > MOST_EXPERIMENTS:
        found.append(_wrong("experiments", f"are {len(told)}; at most {MOST_EXPERIMENTS} are taken"))
    ids: set[str] = set()
    for index, message in enumerate(told[:MOST_EXPERIMENTS]):
        field = f"experiments[{index}]"
        found += _violations(message, field)
        if message.id in ids:
            found.append(_wrong(f"{field}.id", "is another experiment's id"))
        ids.add(message.id)
    if found:
        message_ = "; ".join(f"{one.field}: {one.description}" for one in found[:5])
        raise InvalidArgumentError("INVALID_FIELD", message_, found)
    return experiment_pb2.ExperimentSet(experiments=sorted(told, key=lambda one: one.id))


def _violations(message: experiment_pb2.Experiment, field: str) -> Iterator[FieldViolation]:
    if not _ID.fullmatch(message.id):
        yield _wrong(f"{field}.id", 'must be 1 to 128 letters, digits, ".", "_" or "-"')
    for name, value in (("displayName", message.display_name), ("salt", message.salt)):
        if len(value) > _LONGEST_NAME:
            yield _wrong(f"{field}.{name}", f"is longer than {_LONGEST_NAME} characters")
    yield from _arm_violations(message, field)
    if not 0 <= message.holdout_basis_points <= WHOLE_BASIS_POINTS:
        yield _wrong(f"{field}.holdoutBasisPoints", f"must be 0 to {WHOLE_BASIS_POINTS}")
    variants = [arm.variant for arm in message.arms] + ([HOLDOUT] if message.holdout_basis_points > 0 else [])
    if message.control and message.control not in variants:
        yield _wrong(f"{field}.control", f"is none of its variants: {', '.join(variants) or 'there are none'}")
    if not message.HasField("start_time"):
        yield _wrong(f"{field}.startTime", "is required")
    if message.HasField("end_time") and _nanos(message.end_time) <= _nanos(message.start_time):
        yield _wrong(f"{field}.endTime", "is not after startTime")
    if not 0 < _nanos(message.metric_window) <= LONGEST_WINDOW:
        yield _wrong(f"{field}.metricWindow", "must be above 0s and at most 400 days")
    if not 0 <= _nanos(message.pre_period) <= LONGEST_WINDOW:
        yield _wrong(f"{field}.prePeriod", "must be 0s to 400 days")


def _arm_violations(message: experiment_pb2.Experiment, field: str) -> Iterator[FieldViolation]:
    if not 1 <= len(message.arms) <= MOST_ARMS:
        yield _wrong(f"{field}.arms", f"must be 1 to {MOST_ARMS}")
    variants: set[str] = set()
    for index, arm in enumerate(message.arms[:MOST_ARMS]):
        name = f"{field}.arms[{index}]"
        if not 0 < len(arm.variant) <= _LONGEST_NAME:
            yield _wrong(f"{name}.variant", f"must be 1 to {_LONGEST_NAME} characters")
        elif arm.variant == HOLDOUT:
            yield _wrong(f"{name}.variant", f"{HOLDOUT} is the variant of those who are held out")
        elif arm.variant in variants:
            yield _wrong(f"{name}.variant", "is another arm's variant")
        variants.add(arm.variant)
        if not 0 <= arm.weight <= LARGEST_WEIGHT:
            yield _wrong(f"{name}.weight", f"must be 0 to {LARGEST_WEIGHT}")
    if (
        message.arms
        and not any(arm.weight for arm in message.arms)
        and message.holdout_basis_points < WHOLE_BASIS_POINTS
    ):
        yield _wrong(f"{field}.arms", "have no weight: nobody could be assigned")


def _wrong(field: str, description: str) -> FieldViolation:
    return FieldViolation(field=field, description=description)


def experiments_of(document: bytes) -> dict[str, Experiment]:
    """The experiments of a set as it was told, by id."""
    return {one.id: experiment(one) for one in experiment_pb2.ExperimentSet.FromString(document).experiments}


def experiment(told: experiment_pb2.Experiment) -> Experiment:
    """One experiment, with what is left open filled in."""
    first_arm = told.arms[0].variant if told.arms else HOLDOUT
    return Experiment(
        experiment_id=told.id,
        display_name=told.display_name,
        arms=tuple(Arm(variant=arm.variant, weight=arm.weight) for arm in told.arms),
        holdout_basis_points=told.holdout_basis_points,
        salt=told.salt or told.id,
        control=told.control or (HOLDOUT if told.holdout_basis_points else first_arm),
        start=_nanos(told.start_time),
        end=_nanos(told.end_time) if told.HasField("end_time") else None,
        window=_nanos(told.metric_window),
        pre_period=_nanos(told.pre_period),
    )


def sold(payloads: Iterable[bytes]) -> list[credit_pb2.OrderCredits]:
    """Those of the stored orders that count as sold and have a time."""
    told = [credit_pb2.OrderCredits.FromString(payload) for payload in payloads]
    return [one for one in told if not one.order.excluded_reason and one.order.HasField("order_time")]


def purchase(told: credit_pb2.OrderCredits, counted: OrderFact | None) -> Purchase:
    """An order, with its amounts as they are counted and what models credit of them; None where that is as told."""
    order = told.order
    amounts, attributions = (order, told.attributions) if counted is None else (counted, counted.attributions)
    credited = [
        (said.model, sum([credit.gross_micros for credit in said.credits])) for said in attributions if said.credits
    ]
    return Purchase(
        order.source,
        order.order_id,
        _nanos(order.order_time),
        amounts.currency_code,
        amounts.gross_micros,
        amounts.net_micros,
        tuple(sorted([one for one in credited if one[1]])),
        tuple(order.identifier_keys),
    )


def _nanos(told: Timestamp | Duration) -> int:
    return told.seconds * SECOND + told.nanos
