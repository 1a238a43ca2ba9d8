"""Runs through journeys, told step by step."""

import json
from collections.abc import Iterable, Mapping, Sequence

from touchstone.ingest.v1 import conversation_pb2, event_pb2

from services.reporting.activities import Kind
from services.reporting.domain import activity_records, journeys
from services.reporting.domain.activity_records import RunRecord
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.journeys import UNKNOWN, Notification, Run
from services.reporting.domain.tenants import Tenant

_Step = conversation_pb2.Journey


def _keys(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    if logged.event.WhichOneof("payload") != "journey":
        return ()
    told = logged.event.journey
    # Both are names of any form: only written like this they can't be taken for those of another run.
    return (json.dumps([told.journey_id, told.run_id], ensure_ascii=False),)


def _run(logged: event_pb2.LoggedEvent) -> Run:
    event = logged.event
    seconds = event.occur_time.seconds
    match event.journey.step:
        case _Step.STARTED:
            return Run(started=seconds)
        case _Step.GOAL_MET:
            return Run(goal=seconds)
        case _Step.COMPLETED:
            return Run(completed=seconds)
        case _Step.CANCELLED:
            return Run(cancelled=seconds)
        case _Step.NOTIFIED:
            channel = event.journey.notification_channel
            return Run(notifications=(Notification(logged.source, event.event_id, seconds, channel),))
        case _:
            return UNKNOWN


def _fold(state: bytes, told: Sequence[event_pb2.LoggedEvent]) -> bytes:
    return journeys.written(journeys.joined(journeys.read(state), map(_run, told)))


def _contributions(tenant: Tenant, key: str, state: bytes) -> Mapping[Cell, Measures]:
    journey, _ = json.loads(key)
    return journeys.contributions(tenant.tenant_id, tenant.zone, journey, journeys.read(state))


def _record(_tenant: Tenant, key: str, state: bytes) -> RunRecord | None:
    journey, run_id = json.loads(key)
    return activity_records.of_run(journey, run_id, journeys.read(state))


JOURNEYS = Kind(name="journey", keys_of=_keys, fold=_fold, contributions=_contributions, record=_record)
"""A run, by its journey and its own id."""
