"""Plays golden journeys to a running system: each on a day of its own, with names of its own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, settings_pb2, storefront_pb2
from touchstone.type.v1 import identifier_pb2

from services.attribution.domain.models import DEFAULT_MODELS
from tests.attribution import journeys, model_journeys, offsite
from tests.attribution.telling import NOON, at
from tests.mesh.shop import Event

DAY_SECONDS = 86_400
MOST_OWN_MODELS = 20 - len(DEFAULT_MODELS)
_FIELDS = {1: "session_id", 2: "visitor_id", 3: "email", 4: "phone", 5: "customer_id"}
_CONVERSATION = 6


@dataclass(frozen=True, kw_only=True)
class Played:
    """A journey as it is told to a tenant, and what is expected of it.

    `earned` are (touch, line, gross micros, net micros); `model` is asked, and `own_model` is it where it is no default
    one. `net_micros` is what is left of the order, None where the journey doesn't say.
    """

    because: str
    number: int
    events: list[event_pb2.Event]
    model: str
    own_model: dict[str, Any] | None = None
    settings: settings_pb2.TenantSettings | None = None
    earned: list[tuple[str, str, int, int]] = field(default_factory=list)
    verdicts: dict[str, str]
    tier: str
    excluded: str

    @property
    def order_id(self) -> str:
        return f"j{self.number}"

    @property
    def day(self) -> date:
        return NOON.date() - timedelta(days=self.number)

    @property
    def prefix(self) -> str:
        return f"j{self.number}/"

    def told(self) -> Iterator[Event]:
        """Its events as JSON, on its own day, under its own names. Links are made by the system alone."""
        for event in self.events:
            if not event.HasField("tracked_link"):
                copy = event_pb2.Event.FromString(event.SerializeToString())
                _shift(copy, -self.number * DAY_SECONDS)
                _rename(copy, self)
                yield MessageToDict(copy)


def all_played() -> list[Played]:
    """Every golden journey of attribution."""
    told = [*map(_touched, journeys.ALL), *map(_modelled, model_journeys.ALL), *map(_offsite, offsite.ALL)]
    return [Played(number=number, **one) for number, one in enumerate(told, start=1)]


def _touched(journey: journeys.Journey) -> dict[str, Any]:
    amount = {name: share * 100 for name, share in journey.shares.items()}
    refunded = journey.orders[0].order.status == "refunded"
    earned = [(name, "", gross, 0 if refunded else gross) for name, gross in _cents(amount).items()]
    return {
        "because": journey.because,
        "events": [*_people(journey.people), *journey.events()],
        "model": journey.asks,
        "own_model": journey.model,
        "earned": earned,
        "verdicts": journey.verdicts,
        "tier": journey.tier,
        "excluded": journey.excluded,
    }


def _cents(amounts: dict[str, int]) -> dict[str, int]:
    """A hundred euros' shares in whole cents: the largest remainder first, then the earlier."""
    parts = {name: amount // 10_000 * 10_000 for name, amount in amounts.items()}
    rest = (sum(amounts.values()) - sum(parts.values())) // 10_000
    for name in sorted(parts, key=lambda one: parts[one] - amounts[one])[:rest]:
        parts[name] += 10_000
    return parts


def _modelled(journey: model_journeys.Journey) -> dict[str, Any]:
    return {
        "because": f"{journey.name}: {journey.because}",
        "events": [*journey.events, journey.order],
        "model": journey.name,
        "own_model": None if isinstance(journey.model, str) else journey.model,
        "settings": journey.settings,
        "earned": [(touch, line, gross * 10_000, net * 10_000) for touch, line, gross, net in journey.earned],
        "verdicts": journey.verdicts,
        "tier": journey.tier,
        "excluded": journey.excluded,
    }


def _offsite(journey: offsite.Journey) -> dict[str, Any]:
    return {
        "because": journey.because,
        "events": [*journey.events, journey.order],
        "model": "conversations",
        "earned": [(journey.credited, "", 100_000_000, 100_000_000)] if journey.credited else [],
        "verdicts": journey.verdicts,
        "tier": journey.tier,
        "excluded": "",
    }


def _people(change: people_pb2.PeopleChange | None) -> Iterator[event_pb2.Event]:
    """Visits by which identity comes to say the same."""
    if change is None:
        return
    together: dict[int, list[identifier_pb2.Identifier]] = {}
    for one in change.memberships:
        together.setdefault(one.person_id, []).append(one.identifier)
    for person, members in together.items():
        known = {_FIELDS[one.kind]: one.value for one in members if one.kind in _FIELDS}
        visit = _visit(f"together-{person}", known)
        yield visit
        for one in members:
            if one.kind == _CONVERSATION:
                click = event_pb2.Event(event_id=f"click-{person}", occur_time=visit.occur_time)
                click.identifiers.CopyFrom(visit.identifiers)
                click.link_click.conversation_id = one.value
                yield click
    for hub in change.hubs:
        for number in range(4):
            yield _visit(f"hub-{number}", {_FIELDS[hub.identifier.kind]: hub.identifier.value, "email": f"h{number}"})


def _visit(event_id: str, known: dict[str, str]) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=event_id,
        occur_time=at(NOON),
        identifiers=event_pb2.Identifiers(**known),
        storefront=storefront_pb2.Storefront(action="SESSION_STARTED"),
    )


def _shift(message: Message, seconds: int) -> None:
    """Moves every moment in a message."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for one in value if descriptor.is_repeated else [value]:
            if isinstance(one, Timestamp):
                one.seconds += seconds
            else:
                _shift(one, seconds)


def _rename(event: event_pb2.Event, journey: Played) -> None:
    """Gives whoever and whatever the event names a name of the journey's own."""
    number = journey.number
    event.event_id = journey.prefix + event.event_id
    who = event.identifiers
    for name in ("session_id", "visitor_id", "customer_id", "click_id"):
        if value := getattr(who, name):
            setattr(who, name, f"{value}.{number}")
    if who.email:
        who.email = f"{who.email}.{number}@example.org"
    if who.phone:
        who.phone = f"+346{number:04}{sum(who.phone.encode()) % 10_000:04}"
    for holder in (event.interaction, event.conversation, event.link_click):
        if holder.conversation_id:
            holder.conversation_id = f"{holder.conversation_id}.{number}"
    if event.HasField("order"):
        event.order.order_id = journey.order_id


def by_tenant(played: Iterable[Played]) -> list[list[Played]]:
    """Journeys that one tenant can play: under the default models, under own ones, and under each settings."""
    defaults: list[Played] = []
    under: dict[str, list[Played]] = {}
    own: list[Played] = []
    for one in played:
        if one.settings is not None:
            under.setdefault(str(one.settings), []).append(one)
        elif one.own_model is not None:
            own.append(one)
        else:
            defaults.append(one)
    chunks = [own[start : start + MOST_OWN_MODELS] for start in range(0, len(own), MOST_OWN_MODELS)]
    return [defaults, *chunks, *under.values()]
