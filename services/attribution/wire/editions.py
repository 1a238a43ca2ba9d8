"""Editions as the credit log tells them, and sets of models as the event log does."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1 import event_pb2, event_service_pb2, model_pb2

from services.attribution.domain.editions import Edition, versions
from services.attribution.wire.checks import check_models
from services.attribution.wire.rules import rules
from services.attribution.wire.times import timestamp

BY_ORDER = credit_pb2.Cause.Kind.ORDER
BY_TOUCH = credit_pb2.Cause.Kind.TOUCH
BY_PEOPLE = credit_pb2.Cause.Kind.PEOPLE
BY_SETTINGS = credit_pb2.Cause.Kind.SETTINGS

_OWN_SOURCE = "touchstone"


class Cause(NamedTuple):
    """What caused an entry, its position in the log that told of it, and when that was received.

    The time is in microseconds since 1970, 0 where it is not known. `trace_parent` is the trace that it belongs to.
    """

    kind: credit_pb2.Cause.Kind.ValueType
    position: int
    receive_micros: int = 0
    trace_parent: str = ""


def cause_kind(number: int) -> credit_pb2.Cause.Kind.ValueType:
    """A kind of cause as it was stored."""
    return credit_pb2.Cause.Kind.ValueType(number)


def published(stored: bytes, cause: Cause, edition: int) -> bytes:
    """The entry as it is published: the fields that are not stored are the message's last, so they follow it."""
    told = credit_pb2.OrderCredits(
        cause=credit_pb2.Cause(kind=cause.kind, position=cause.position, trace_parent=cause.trace_parent),
        edition=edition,
    )
    if cause.receive_micros:
        told.cause.receive_time.FromMicroseconds(cause.receive_micros)
    return stored + told.SerializeToString()


def completed(tenant_id: str, edition: Edition) -> bytes:
    """The entry that says of an edition that it is complete, and by which models."""
    cause = credit_pb2.Cause(kind=credit_pb2.Cause.SETTINGS, position=edition.number)
    said = credit_pb2.OrderCredits(tenant_id=tenant_id, cause=cause, edition=edition.number, complete=True)
    for model in edition.rules.applied:
        said.attributions.add(model=model.name, model_version=model.version)
    return said.SerializeToString(deterministic=True)


def numbered(told: bytes, held: bytes | None, ever: Iterable[bytes]) -> bytes:
    """A set of models with the versions that it gets, told while another held, after all those that ever did."""
    given = versions(
        rules(None, told).models,
        rules(None, held).models,
        [model for one in (None, *ever) for model in rules(None, one).models],
    )
    document = model_pb2.ModelSet.FromString(told)
    for model in document.models:
        model.version = given[model.name]
    return document.SerializeToString(deterministic=True)


def checked_set(models: Sequence[model_pb2.Model]) -> bytes:
    """A set of models as it is told: by name, without versions. Raises InvalidArgumentError for one that can't hold."""
    check_models(models)
    asked = model_pb2.ModelSet(models=sorted(models, key=lambda model: model.name))
    for model in asked.models:
        model.version = 0
    return asked.SerializeToString(deterministic=True)


def models_of(told: bytes) -> list[model_pb2.Model]:
    """The models of a set."""
    return list(model_pb2.ModelSet.FromString(told).models)


def models_event(tenant_id: str, event_id: str, models: bytes, now: int) -> event_service_pb2.Delivery:
    """What the event log is told of a new set of models, at `now` in nanoseconds since 1970."""
    occur_time = timestamp(now)
    event = event_pb2.Event(event_id=event_id, occur_time=occur_time, models=model_pb2.ModelSet.FromString(models))
    return event_service_pb2.Delivery(tenant_id=tenant_id, source=_OWN_SOURCE, receive_time=occur_time, events=[event])
