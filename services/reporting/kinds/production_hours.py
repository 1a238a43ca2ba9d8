"""Hours that agents worked: each told span is a fact."""

from collections.abc import Iterable, Mapping, Sequence

import orjson
from touchstone.ingest.v1 import event_pb2

from services.reporting.activities import Kind
from services.reporting.domain.cells import ActivityCell, Cell, Cut, Measures
from services.reporting.domain.production_hours import by_day
from services.reporting.domain.tenants import Tenant

_MOST_SECONDS = 400 * 24 * 3600
"""The longest span that is divided among its days; a longer one is no shift, and is that of its end's day."""


def _keys_of(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    if logged.event.WhichOneof("payload") != "production_hours":
        return ()
    return (orjson.dumps([logged.source, logged.event.event_id]).decode(),)


def _fold(state: bytes, told: Sequence[event_pb2.LoggedEvent]) -> bytes:
    # A source tells of an event once: every telling is the same.
    event = told[0].event
    hours, end = event.production_hours, event.occur_time.seconds
    return state or orjson.dumps([hours.agent_id, hours.start_time.seconds, end, hours.worked.seconds])


def _contributions(tenant: Tenant, _key: str, state: bytes) -> Mapping[Cell, Measures]:
    agent, start, end, worked = orjson.loads(state)
    if end - start > _MOST_SECONDS:
        start = end
    cut = Cut(agent=agent)
    return {
        ActivityCell.of(tenant.tenant_id, "production_seconds", day, cut): (seconds,)
        for day, seconds in by_day(start, end, worked, tenant.zone).items()
    }


PRODUCTION_HOURS = Kind(name="production_hours", keys_of=_keys_of, fold=_fold, contributions=_contributions)
"""Spans of work, by source and event."""
