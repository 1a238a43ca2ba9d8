"""Experiences, A/B tests and journeys, switched on and off."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from touchstone.ingest.v1 import conversation_pb2, event_pb2

from services.reporting.activities import Kind
from services.reporting.domain import switches
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.switches import Switch
from services.reporting.domain.tenants import Tenant

_FIGURES: Final = {
    conversation_pb2.Experience.EXPERIENCE: "active_experiences",
    conversation_pb2.Experience.AB_TEST: "active_ab_tests",
    conversation_pb2.Experience.JOURNEY: "active_journeys",
}


def _keys(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    if logged.event.WhichOneof("payload") != "experience":
        return ()
    told = logged.event.experience
    return (f"{told.kind} {told.experience_id}",) if told.kind in _FIGURES else ()


def _switch(logged: event_pb2.LoggedEvent) -> Switch:
    event = logged.event
    nanos = event.occur_time.seconds * 1_000_000_000 + event.occur_time.nanos
    return Switch(nanos, logged.source, event.event_id, event.experience.active)


def _fold(state: bytes, told: Sequence[event_pb2.LoggedEvent]) -> bytes:
    return switches.written(switches.read(state) | set(map(_switch, told)))


def _contributions(tenant: Tenant, key: str, state: bytes) -> Mapping[Cell, Measures]:
    figure = _FIGURES[conversation_pb2.Experience.Kind.ValueType(int(key.split(" ", 1)[0]))]
    return switches.contributions(tenant.tenant_id, tenant.zone, figure, switches.read(state))


EXPERIENCES = Kind(name="experience", keys_of=_keys, fold=_fold, contributions=_contributions)
"""What can be switched, by its kind and id."""
