"""Exposures to experiments: a fact is what is known of one visitor in one experiment."""

from collections.abc import Iterable, Mapping, Sequence

from touchstone.ingest.v1 import event_pb2

from services.kernel.identifiers import Identifier
from services.kernel.identifiers import Kind as IdentifierKind
from services.reporting.activities import Kind
from services.reporting.domain.cells import ActivityCell, Cell, Cut, Measures
from services.reporting.domain.experiments.exposures import Exposure, First, experiment_of, fact_key, fold, read
from services.reporting.domain.periods import day_of
from services.reporting.domain.tenants import Tenant

_SECOND = 1_000_000_000


def _identifiers(event: event_pb2.Event) -> tuple[Identifier, ...]:
    told = event.identifiers
    values = (
        (IdentifierKind.SESSION, told.session_id),
        (IdentifierKind.VISITOR, told.visitor_id),
        (IdentifierKind.EMAIL, told.email),
        (IdentifierKind.PHONE, told.phone),
        (IdentifierKind.CUSTOMER, told.customer_id),
        (IdentifierKind.CLICK, told.click_id),
    )
    return tuple(Identifier(kind, value) for kind, value in values if value)


def _keys_of(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    if logged.event.WhichOneof("payload") != "exposure":
        return ()
    key = fact_key(logged.event.exposure.experiment_id, _identifiers(logged.event))
    return () if key is None else (key,)


def _fold(state: bytes, told: Sequence[event_pb2.LoggedEvent]) -> bytes:
    return fold(state, [exposure_of(logged) for logged in told])


def exposure_of(logged: event_pb2.LoggedEvent) -> Exposure:
    """An exposure as an event tells it."""
    event = logged.event
    occurred = event.occur_time.seconds * _SECOND + event.occur_time.nanos
    return Exposure(event.exposure.variant, First(occurred, logged.source, event.event_id), _identifiers(event))


def _contributions(tenant: Tenant, key: str, state: bytes) -> Mapping[Cell, Measures]:
    first, variant = read(state).first
    day = day_of(first.occur_time // _SECOND, tenant.zone)
    cut = Cut(experience=experiment_of(key), variant=variant)
    return {ActivityCell.of(tenant.tenant_id, "exposed_visitors", day, cut): (1,)}


EXPOSURES = Kind(name="exposures", keys_of=_keys_of, fold=_fold, contributions=_contributions)
"""Exposed visitors, by experiment and visitor."""
