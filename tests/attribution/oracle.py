"""What credits must be: each order decided at once over everything that was ever told, by nothing but the domain."""

from collections.abc import Iterable

from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2

from services.attribution.domain.attribute import Around, Attribution, People
from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Step
from services.attribution.domain.decide import decide
from services.attribution.domain.orders import Told, fold, known_order
from services.attribution.domain.snapshot import Snapshot, snapshot
from services.attribution.domain.touches import Touch
from services.attribution.wire import credits as credits_wire
from services.attribution.wire import events as events_wire
from services.attribution.wire import people as people_wire
from services.attribution.wire import rules as rules_wire
from services.kernel.identifiers import Identifier


def decisions(
    events: Iterable[event_pb2.LoggedEvent], changes: Iterable[people_pb2.PeopleChange] = ()
) -> dict[tuple[str, str], tuple[Snapshot, tuple[Attribution, ...]]]:
    """Every order of one tenant with what its models say, by (source, order id)."""
    told: dict[tuple[str, str], list[Told]] = {}
    happened: dict[tuple[str, str], Touch | Step | Seen | None] = {}
    settings = models = None
    for logged in events:
        match logged.event.WhichOneof("payload"):
            case "order":
                told.setdefault((logged.source, logged.event.order.order_id), []).append(events_wire.told(logged.event))
            case "interaction" | "conversation" | "storefront":
                happened[logged.source, logged.event.event_id] = events_wire.happened(logged.source, logged.event)
            case "settings":
                settings = logged.event.settings.SerializeToString()
            case "models":
                models = logged.event.models.SerializeToString()
    rules = rules_wire.rules(settings, models)
    persons: dict[Identifier, int] = {}
    hubs: dict[Identifier, bool] = {}
    for change in changes:
        persons |= people_wire.memberships(change)
        hubs |= people_wire.hub_changes(change)
    who = People(persons, {identifier for identifier, hub in hubs.items() if hub} | rules.blocked)
    around = Around(
        [one for one in happened.values() if isinstance(one, Touch)],
        [one for one in happened.values() if isinstance(one, Step)],
        [one for one in happened.values() if isinstance(one, Seen)],
    )
    decided = {}
    for (source, order_id), all_told in told.items():
        known = known_order(fold(all_told))
        if known is not None:
            sale = snapshot(source, order_id, known, rules.counted, count_tests=rules.count_tests)
            decided[source, order_id] = (sale, decide(sale, around, rules, who))
    return decided


def entries(
    events: Iterable[event_pb2.LoggedEvent], changes: Iterable[people_pb2.PeopleChange], tenant_id: str
) -> dict[tuple[str, str], bytes]:
    """The credit log's last word on every order, without its cause."""
    return {
        key: credits_wire.order_credits(tenant_id, sale, attributions)
        for key, (sale, attributions) in decisions(events, changes).items()
    }
