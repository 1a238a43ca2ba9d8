"""Small worlds in which conversations, products seen and sessions all have to do with orders, one way or another."""

from datetime import timedelta
from random import Random
from typing import Any

from touchstone.identity.v1 import people_pb2
from touchstone.ingest.v1 import event_pb2, model_pb2, settings_pb2

from tests.attribution.telling import EUR, NOON, interaction, line, logged, named, order, people, refund, seen, step

GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1)"
CHANNELS = ("CHAT", "MESSAGING", "RECOMMENDATION", "PERSONALIZATION", "NUDGE", "FAQ")
RULES = ("FIRST_TOUCH", "LAST_TOUCH", "LINEAR", "POSITION_BASED", "DATA_DRIVEN")
BASES = ("TOTAL", "WITHOUT_TAX", "WITHOUT_SHIPPING", "WITHOUT_TAX_AND_SHIPPING")
PRODUCTS = ("shoe", "shoe-42", "SH42", "sock", "hat")
NAMED = (
    ("EMAIL", "a"),
    ("EMAIL", "b"),
    ("VISITOR", "a"),
    ("VISITOR", "b"),
    ("SESSION", "b"),
    ("CONVERSATION", "k"),
    ("CONVERSATION", "l"),
)
REACHED = (
    {"visitor_id": "a"},
    {"visitor_id": "b", "email": "b"},
    {"session_id": "b"},
    {"session_id": "a", "visitor_id": "b"},
    {"email": "a"},
    {},
)
BUYERS = (
    {"email": "a", "session_id": "b"},
    {"email": "b", "visitor_id": "b"},
    {"session_id": "a", "visitor_id": "a"},
    {"email": "a", "visitor_id": "a", "session_id": "a"},
)


class ModelWorld:
    """Events of one tenant, its people, and rules, all drawn from a seed."""

    def __init__(self, seed: int, tenant: str = "acme") -> None:
        self.random = Random(seed)
        happened = [self._happened(number) for number in range(self.random.randint(0, 12))]
        happened += self._bought_by_recommendation() if self.random.random() < 0.5 else []
        orders = [self._order(number) for number in range(self.random.randint(1, 3))]
        self.events = [logged(event, tenant, self.random.choice(["shop", "api"])) for event in happened]
        self.events += [logged(event, tenant) for event in orders]
        self.events += [logged(event, tenant, "touchstone") for event in self._rules()]
        self.changes: list[people_pb2.PeopleChange] = [
            people(tenant, self._persons(), self._hubs()) for _ in range(self.random.randint(0, 3))
        ]

    def arriving(self) -> list[event_pb2.LoggedEvent]:
        """All events in any order, some of them again."""
        again = [*self.events, *self.random.choices(self.events, k=self.random.randint(0, 3))]
        return self.random.sample(again, len(again))

    def _one(self, values: Any) -> Any:
        return self.random.choice(values)

    def _when(self):
        hours = self._one([-30, -1, 0, 1, 1, 2, 3, 5, 8, 23, 24, 25, 47, 48, 100, 168, 700])
        return NOON - timedelta(hours=hours, seconds=self._one([0, 0, 0, 1, -1]))

    def _happened(self, number: int) -> event_pb2.Event:
        kind = self.random.random()
        if kind < 0.35:
            return self._touch(f"t{number}")
        if kind < 0.7:
            return step(
                f"c{number}",
                self._when(),
                self._one(["STARTED", "MESSAGE", "MESSAGE", "ASSIGNED", "CLOSED", "TAGGED"]),
                self._one(REACHED),
                conversation_id=self._one("kl"),
                agent_id=self._one(["", "ann", "bob"]),
                actor=self._one(["BOT", "AGENT"]),
                touchpoint=self._one(["", "website", "whatsapp"]),
            )
        agent = self._one(["", "", "", "", GOOGLEBOT])
        action = self._one(["PRODUCT_VIEWED", "ADDED_TO_CART", "SESSION_STARTED"])
        return seen(f"v{number}", self._when(), action, self._one(PRODUCTS), self._one(REACHED), user_agent=agent)

    def _touch(self, name: str) -> event_pb2.Event:
        return interaction(
            name,
            self._when(),
            self._one(REACHED),
            channel=self._one(CHANNELS),
            action=self._one(["MESSAGE", "MESSAGE", "CLICK", "CLICK", "VIEW", "VIEW", "LINK_CLICK"]),
            answer=self._one(["HELPFUL", "HELPFUL", "ANSWER_UNSPECIFIED"]),
            conversation_id=self._one(["", "k", "l"]),
            product_ids=self.random.sample(PRODUCTS, self.random.randint(0, 2)),
            agent_id=self._one(["", "", "ann"]),
            bot_name=self._one(["", "Bo"]),
            user_agent=GOOGLEBOT if self.random.random() < 0.08 else "",
        )

    def _bought_by_recommendation(self) -> list[event_pb2.Event]:
        """A product is recommended, looked at and put in the cart, nearly always before the order."""
        by, product, hours = self._one(BUYERS), self._one(PRODUCTS[:4]), self._one([9, 30, 168])
        shown = {"channel": "RECOMMENDATION", "action": self._one(["VIEW", "CLICK"]), "product_ids": [product]}
        return [
            interaction("r", NOON - timedelta(hours=hours), by, **shown),
            seen("looked", NOON - timedelta(hours=self._one([8, 9])), "PRODUCT_VIEWED", product, by),
            seen("put", NOON - timedelta(hours=self._one([0, 0, 0, 7, 8, -1])), "ADDED_TO_CART", product, by),
        ]

    def _order(self, number: int) -> event_pb2.Event:
        lines = [
            line("l1", 60 * EUR, 12 * EUR, product_id="shoe", variant_id="shoe-42", sku="SH42"),
            line("l2", 40 * EUR + 1, self._one([0, 8 * EUR]), product_id="sock"),
        ]
        refunds = [[], [], [refund("r", 7 * EUR)], [refund("r", 72 * EUR, ("l1", 60 * EUR, 12 * EUR))]]
        return order(
            str(number),
            self._one(BUYERS),
            updated=NOON + timedelta(hours=number),
            status=self._one(["completed", "completed", "completed", "on-hold", "refunded"]),
            test=self.random.random() < 0.1,
            total_micros=131 * EUR + 1,
            tax_micros=21 * EUR,
            shipping_micros=self._one([0, 9 * EUR]),
            lines=self._one([lines, lines, lines[:1], []]),
            refunds=self._one(refunds),
        )

    def _model(self, name: str) -> model_pb2.Model:
        by_line = self.random.random() < 0.45
        told = model_pb2.Model(
            name=name,
            version=1,
            active=True,
            channels=self._one([[], self.random.sample(CHANNELS, 3)]),
            window=timedelta(hours=self._one([1, 24, 48, 168, 168])),
            anchor=self._one(["TOUCH", "CLICK"] if by_line else ["TOUCH", "CONVERSATION", "CLICK", "SESSION"]),
            rule=self._one(RULES),
            helpful_only=self.random.random() < 0.2,
            by_line=by_line,
            weights=[{"channel": "CHAT", "weight": 1}, {"channel": "RECOMMENDATION", "weight": 2}],
            basis=self._one(BASES),
        )
        told.filter.handled_only = self.random.random() < 0.2
        told.filter.through_cart = by_line and self.random.random() < 0.5
        if self.random.random() < 0.15:
            told.filter.bot_names.append("Bo")
        if self.random.random() < 0.2:
            told.counted_statuses.add(platform="woocommerce", statuses=["on-hold"])
        return told

    def _rules(self) -> list[event_pb2.Event]:
        """The default models in one world of three, and else two of any kind."""
        blocked = [named("VISITOR", "a")] if self.random.random() < 0.1 else []
        document = settings_pb2.TenantSettings(
            blocked_identifiers=blocked,
            count_test_orders=self.random.random() < 0.3,
            count_crawlers=self.random.random() < 0.3,
        )
        own = [event_pb2.Event(event_id="settings", settings=document)]
        if self.random.random() < 0.7:
            models = model_pb2.ModelSet(models=[self._model("one"), self._model("two")])
            own.append(event_pb2.Event(event_id="models", models=models))
        return own

    def _persons(self) -> dict[tuple[str, str], int]:
        some = self.random.sample(NAMED, self.random.randint(1, 5))
        return {identifier: self._one([1, 1, 2]) for identifier in some}

    def _hubs(self) -> dict[tuple[str, str], bool]:
        return {self._one(NAMED[:5]): self.random.random() < 0.5} if self.random.random() < 0.3 else {}
