"""What a model must say of an order, worked out from the events as they are told, one plain step after the other.

Nothing here is shared with what is tested but the sale itself, and how a sum is split into real amounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import conversation_pb2, event_pb2, interaction_pb2, model_pb2, settings_pb2, storefront_pb2

from services.kernel.money import minor_unit, split

Interaction, Conversation = interaction_pb2.Interaction, conversation_pb2.Conversation
Storefront, Model = storefront_pb2.Storefront, model_pb2.Model
TIERS = (("session_id", 1), ("email", 2), ("phone", 3), ("customer_id", 4), ("visitor_id", 5))
KINDS = {"session_id": 1, "visitor_id": 2, "email": 3, "phone": 4, "customer_id": 5, "click_id": 7}
CONVERSATION = 6
Named = set[tuple[int, str]]


@dataclass
class Fact:
    """Something that may earn credit: a touch, or a whole conversation."""

    key: tuple[int, str, str]
    end: int
    named: Named
    channel: int
    action: int
    helpful: bool
    crawler: bool
    handled: bool
    products: set[str]
    values: dict[str, str]


def nanos(stamp: Any) -> int:
    return stamp.seconds * 10**9 + stamp.nanos


def named_by(event: event_pb2.Event, conversation_id: str = "") -> Named:
    found = {(number, getattr(event.identifiers, name)) for name, number in KINDS.items()}
    return {(kind, value) for kind, value in found | {(CONVERSATION, conversation_id)} if value}


class World:
    """Everything that was told, and one order's place in it."""

    def __init__(
        self,
        events: Sequence[event_pb2.LoggedEvent],
        changes: Sequence[people_pb2.PeopleChange],
        settings: settings_pb2.TenantSettings,
    ) -> None:
        self.events = list({(one.source, one.event.event_id): one for one in events}.values())
        self.settings = settings
        self.person: dict[tuple[int, str], int] = {}
        hubs: dict[tuple[int, str], bool] = {}
        for change in changes:
            for member in change.memberships:
                self.person[member.identifier.kind, member.identifier.value] = member.person_id
            for one in change.hubs:
                hubs[one.identifier.kind, one.identifier.value] = one.hub
        self.nobody = {one for one, hub in hubs.items() if hub}
        self.nobody |= {(one.kind, one.value) for one in settings.blocked_identifiers}
        self.in_hand = {
            conversation
            for one in self.events
            for conversation, by_agent in [self._conversation(one.event)]
            if conversation and by_agent
        }

    @staticmethod
    def _conversation(event: event_pb2.Event) -> tuple[str, bool]:
        said = event.conversation
        if event.HasField("conversation"):
            if said.step in (Conversation.TAGGED, Conversation.CLASSIFIED):
                return "", False
            return said.conversation_id, bool(said.agent_id) or said.actor == Conversation.AGENT
        return event.interaction.conversation_id, bool(event.interaction.agent_id)

    def touches(self) -> list[Fact]:
        return [self._touch(one) for one in self.events if one.event.HasField("interaction")]

    def _touch(self, one: event_pb2.LoggedEvent) -> Fact:
        event, said = one.event, one.event.interaction
        moment = nanos(event.occur_time)
        clicked = said.action == Interaction.CLICK and said.channel in (Interaction.NUDGE, Interaction.FAQ)
        return Fact(
            key=(moment, one.source, event.event_id),
            end=moment,
            named=named_by(event, said.conversation_id),
            channel=said.channel,
            action=said.action,
            helpful=said.answer == Interaction.HELPFUL or (not said.answer and clicked),
            crawler="Googlebot" in said.user_agent,
            handled=bool(said.agent_id) or said.conversation_id in self.in_hand,
            products=set(said.product_ids),
            values={"bot_names": said.bot_name, "agent_ids": said.agent_id, "touchpoints": said.touchpoint},
        )

    def conversations(self) -> list[Fact]:
        by_id: dict[str, list[event_pb2.LoggedEvent]] = {}
        for one in self.events:
            conversation, _ = self._conversation(one.event)
            if conversation and one.event.interaction.action != Interaction.LINK_CLICK:
                by_id.setdefault(conversation, []).append(one)
        found = [self._whole(name, mine) for name, mine in by_id.items() if (CONVERSATION, name) not in self.nobody]
        return [fact for fact in found if fact]

    def _whole(self, name: str, events: list[event_pb2.LoggedEvent]) -> Fact | None:
        events.sort(key=lambda one: (nanos(one.event.occur_time), one.source, one.event.event_id))
        messages = [
            one
            for one in events
            if one.event.interaction.action == Interaction.MESSAGE
            or one.event.conversation.step in (Conversation.STARTED, Conversation.MESSAGE, Conversation.OPTION_CHOSEN)
        ]
        if not messages:
            return None
        ends = [nanos(one.event.occur_time) for one in messages]
        ends += [nanos(one.event.occur_time) for one in events if one.event.conversation.step == Conversation.CLOSED]
        touches = [self._touch(one) for one in events if one.event.HasField("interaction")]
        places = [one.event.interaction.touchpoint or one.event.conversation.touchpoint for one in events]
        place = next((value for value in places if value), "")
        bots = [one.event.interaction.bot_name or one.event.conversation.bot_name for one in events]
        agents = [one.event.interaction.agent_id or one.event.conversation.agent_id for one in events]
        guess = Interaction.CHAT if place in ("", "website") else Interaction.MESSAGING
        first = messages[0]
        return Fact(
            key=(nanos(first.event.occur_time), first.source, first.event.event_id),
            end=max(ends),
            named=set().union(*(named_by(one.event, name) for one in events)),
            channel=touches[0].channel if touches else guess,
            action=Interaction.MESSAGE,
            helpful=any(touch.helpful for touch in touches),
            crawler=any(touch.crawler for touch in touches),
            handled=name in self.in_hand,
            products=set(),
            values={
                "bot_names": next((value for value in bots if value), ""),
                "agent_ids": next((value for value in reversed(agents) if value), ""),
                "touchpoints": place,
            },
        )

    def tier(self, buyer: event_pb2.Event, named: Named) -> int:
        """0 for nothing."""
        mine = named_by(buyer) - self.nobody
        for name, tier in TIERS:
            value = (KINDS[name], getattr(buyer.identifiers, name))
            if value in mine and value in named:
                return tier
        theirs = named - self.nobody
        persons = {self.person[one] for one in mine if one in self.person}
        if mine & theirs or any(self.person.get(one, None) in persons for one in theirs):
            contacts = {kind: value for kind, value in mine if kind in (3, 4, 5)}
            other = any(kind in contacts and contacts[kind] != value for kind, value in theirs)
            return 0 if other else 6
        return 0


def credits_of(
    world: World, buyer: event_pb2.Event, sale: Any, model: model_pb2.Model
) -> list[tuple[str, str, int, int]]:
    """(event id, line, gross, net) of each credit, in the touches' total order and then by line."""
    if not _counts(world, buyer, model):
        return []
    now = nanos(buyer.order.order_time)
    facts = world.conversations() if model.anchor == Model.CONVERSATION else world.touches()
    eligible = []
    for fact in sorted(facts, key=lambda one: one.key):
        tier = world.tier(buyer, fact.named)
        if tier and _eligible(world, fact, tier, now, model):
            eligible.append((fact, tier))
    if not model.by_line:
        gross, net = _basis(sale, model.basis)
        return [
            (fact.key[2], "", gross_part, net_part)
            for fact, gross_part, net_part in _divided(eligible, model, gross, net, sale.currency_code)
        ]
    found = []
    for number, line in enumerate(sale.lines):
        product = {line.product_id, line.variant_id, line.sku} - {""}
        taxed = model.basis in (Model.TOTAL, Model.WITHOUT_SHIPPING)
        gross = line.gross_micros + (line.gross_tax_micros if taxed else 0)
        net = line.net_micros + (line.net_tax_micros if taxed else 0)
        chosen = [
            (fact, tier)
            for fact, tier in eligible
            if fact.products & product
            and (not model.filter.through_cart or _through_cart(world, buyer, product, fact.key[0], now))
        ]
        for fact, gross_part, net_part in _divided(chosen, model, gross, net, sale.currency_code):
            found.append(((fact.key, number), (fact.key[2], line.line_id, gross_part, net_part)))
    return [credit for _, credit in sorted(found, key=lambda one: one[0])]


def _counts(world: World, buyer: event_pb2.Event, model: model_pb2.Model) -> bool:
    statuses = {"processing", "completed", "refunded"}
    for entry in model.counted_statuses:
        if entry.platform == "woocommerce":
            statuses = set(entry.statuses)
    return buyer.order.status in statuses and (world.settings.count_test_orders or not buyer.order.test)


def _eligible(world: World, fact: Fact, tier: int, now: int, model: model_pb2.Model) -> bool:
    if fact.key[0] > now or fact.action == Interaction.LINK_CLICK:
        return False
    if fact.crawler and not world.settings.count_crawlers:
        return False
    if model.channels and fact.channel not in model.channels:
        return False
    if model.anchor == Model.SESSION:
        if tier != 1:
            return False
    elif now - fact.end > model.window.ToNanoseconds():
        return False
    if model.anchor == Model.CLICK and fact.action != Interaction.CLICK:
        return False
    if (model.helpful_only and not fact.helpful) or (model.filter.handled_only and not fact.handled):
        return False
    return all(
        not getattr(model.filter, name) or value in getattr(model.filter, name) for name, value in fact.values.items()
    )


def _through_cart(world: World, buyer: event_pb2.Event, product: set[str], since: int, now: int) -> bool:
    done = set()
    for one in world.events:
        said = one.event.storefront
        if "Googlebot" in said.user_agent and not world.settings.count_crawlers:
            continue
        moment = nanos(one.event.occur_time)
        if since <= moment <= now and product & set(said.product_ids) and world.tier(buyer, named_by(one.event)):
            done.add(said.action)
    return {Storefront.PRODUCT_VIEWED, Storefront.ADDED_TO_CART} <= done


def _divided(
    eligible: list[tuple[Fact, int]], model: model_pb2.Model, gross: int, net: int, currency: str
) -> list[tuple[Fact, int, int]]:
    if not eligible:
        return []
    step = {1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 4}
    best = min(step[tier] for _, tier in eligible)
    facts = [fact for fact, tier in eligible if step[tier] == best]
    count = len(facts)
    match model.rule:
        case Model.FIRST_TOUCH:
            shares = [1] + [0] * (count - 1)
        case Model.LAST_TOUCH:
            shares = [0] * (count - 1) + [1]
        case Model.POSITION_BASED if count > 2:
            shares = [2 * (count - 2), *[1] * (count - 2), 2 * (count - 2)]
        case Model.DATA_DRIVEN:
            weights = {one.channel: Fraction(one.weight) for one in model.weights}
            shares = [weights.get(fact.channel, 0) for fact in facts]
            shares = shares if any(shares) else [1] * count
        case _:
            shares = [1] * count
    paid = [(fact, share) for fact, share in zip(facts, shares, strict=True) if share]
    parts = [share for _, share in paid]
    return [
        (fact, one, other)
        for (fact, _), one, other in zip(paid, split(gross, parts, currency), split(net, parts, currency), strict=True)
    ]


def _basis(sale: Any, basis: int) -> tuple[int, int]:
    gross = sale.gross_micros
    if basis in (Model.WITHOUT_TAX, Model.WITHOUT_TAX_AND_SHIPPING):
        gross -= sale.tax_micros
    if basis in (Model.WITHOUT_SHIPPING, Model.WITHOUT_TAX_AND_SHIPPING):
        gross -= sale.shipping_micros
    if basis == Model.WITHOUT_SHIPPING and sale.shipping_micros:
        # These worlds have no fees: what is no line's tax is the shipping's.
        gross -= max(sale.tax_micros - sum(line.gross_tax_micros for line in sale.lines), 0)
    if sale.net_micros == sale.gross_micros:
        return gross, gross
    unit = minor_unit(sale.currency_code)
    taken = Fraction(gross * (sale.gross_micros - sale.net_micros), sale.gross_micros * unit)
    return gross, gross - int(taken) * unit if sale.net_micros else 0
