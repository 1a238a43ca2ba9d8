"""Sessions: visits to the shop, told by what was seen and done in each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2, storefront_pb2

from services.kernel.crawlers import is_crawler
from services.kernel.identifiers import names_nobody
from services.reporting.activities import Kind
from services.reporting.domain import sessions
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.sessions import Moment
from services.reporting.domain.tenants import Tenant

_RECOMMENDATION: Final = interaction_pb2.Interaction.RECOMMENDATION
_PERSONALIZATION: Final = interaction_pb2.Interaction.PERSONALIZATION
_SEEN: Final = frozenset({interaction_pb2.Interaction.VIEW, interaction_pb2.Interaction.CLICK})
_PRODUCT_VIEWED: Final = storefront_pb2.Storefront.PRODUCT_VIEWED
_GOAL_MET: Final = conversation_pb2.Journey.GOAL_MET


def _keys(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    session_id = logged.event.identifiers.session_id
    if not session_id or names_nobody(session_id):
        return ()
    event = logged.event
    match event.WhichOneof("payload"):
        case "storefront":
            tells = not is_crawler(event.storefront.user_agent)
        case "interaction":
            tells = not is_crawler(event.interaction.user_agent)
        case "journey":
            tells = event.journey.step == _GOAL_MET
        case _:
            tells = False
    return (session_id,) if tells else ()


def _moment(event: event_pb2.Event) -> Moment:
    nanos = event.occur_time.seconds * 1_000_000_000 + event.occur_time.nanos
    match event.WhichOneof("payload"):
        case "storefront":
            seen = event.storefront
            viewed = tuple(seen.product_ids) if seen.action == _PRODUCT_VIEWED else ()
            return Moment(nanos, personalized=bool(seen.experience_ids), viewed=viewed)
        case "interaction":
            reached = event.interaction
            recommended = reached.channel == _RECOMMENDATION and reached.action in _SEEN
            return Moment(
                nanos,
                personalized=reached.channel == _PERSONALIZATION,
                recommended=recommended,
                offered=tuple(reached.product_ids) if recommended else (),
            )
        case _:
            return Moment(None, goal=True)


def _fold(state: bytes, told: Sequence[event_pb2.LoggedEvent]) -> bytes:
    return sessions.written(sessions.folded(sessions.read(state), (_moment(logged.event) for logged in told)))


def _contributions(tenant: Tenant, _session_id: str, state: bytes) -> Mapping[Cell, Measures]:
    return sessions.contributions(tenant.tenant_id, tenant.zone, sessions.read(state))


SESSIONS = Kind(name=sessions.KIND, keys_of=_keys, fold=_fold, contributions=_contributions)
"""A session, by its id."""
