"""Made-up shoppers for benchmarks that need many: what each does is the same, who and when differs."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from numpy.typing import NDArray
from touchstone.ingest.v1 import event_pb2, interaction_pb2, order_pb2

from services.kernel.identifiers import Identifier, Kind

SOURCE: Final = "shop"
SECONDS_A_PARTY: Final = 1_800
"""From a party's first event to its order."""

TOUCHES: Final = 10
EVENTS: Final = TOUCHES + 1
"""Events of a party, the order last."""

NAMES: Final = 28
"""Names that a party has."""

_STRIDE: Final = 32
"""Names that a party may have."""

_EVENT_NAMES: Final = 16
ORDER_NAME: Final = 27

# Names are numbered, and their numbers mixed (splitmix64): real names come in no order either.
_STEP: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_ALL: Final = (1 << 64) - 1

_Interaction = interaction_pb2.Interaction


class Who(NamedTuple):
    """A browser of a party by the numbers of its session's, its visitor's and its conversation's names."""

    session: int
    visitor: int
    conversation: int | None = None


BUYER: Final = Who(0, 1, 2)
BUYER_EMAIL: Final = 3
BUYER_CUSTOMER: Final = 4
LOOKERS: Final = (Who(5, 6), Who(7, 8), Who(9, 10))
IDENTIFIER_KINDS: Final = (
    Kind.SESSION,
    Kind.VISITOR,
    Kind.CONVERSATION,
    Kind.EMAIL,
    Kind.CUSTOMER,
    *(Kind.SESSION, Kind.VISITOR) * len(LOOKERS),
)
"""The kind of each of a party's identifiers, by the number of its name."""

_PREFIX: Final = {Kind.SESSION: "s-", Kind.VISITOR: "v-", Kind.CONVERSATION: "c-", Kind.CUSTOMER: "k-"}

# Who, channel, action, answer, and seconds after the party's beginning.
_TOUCHES: Final = (
    (BUYER, _Interaction.CHAT, _Interaction.MESSAGE, _Interaction.HELPFUL, 0),
    (LOOKERS[0], _Interaction.RECOMMENDATION, _Interaction.VIEW, _Interaction.ANSWER_UNSPECIFIED, 30),
    (BUYER, _Interaction.CHAT, _Interaction.MESSAGE, _Interaction.NOT_ANSWERED, 60),
    (LOOKERS[0], _Interaction.RECOMMENDATION, _Interaction.CLICK, _Interaction.ANSWER_UNSPECIFIED, 90),
    (BUYER, _Interaction.CHAT, _Interaction.MESSAGE, _Interaction.HELPFUL, 120),
    (LOOKERS[1], _Interaction.NUDGE, _Interaction.VIEW, _Interaction.ANSWER_UNSPECIFIED, 150),
    (LOOKERS[1], _Interaction.NUDGE, _Interaction.CLICK, _Interaction.ANSWER_UNSPECIFIED, 180),
    (LOOKERS[2], _Interaction.FAQ, _Interaction.CLICK, _Interaction.ANSWER_UNSPECIFIED, 210),
    (LOOKERS[0], _Interaction.RECOMMENDATION, _Interaction.VIEW, _Interaction.ANSWER_UNSPECIFIED, 240),
    (BUYER, _Interaction.CHAT, _Interaction.MESSAGE, _Interaction.HELPFUL, 300),
)
DELTAS: Final = (*(touch[-1] for touch in _TOUCHES), SECONDS_A_PARTY)
"""When each event of a party happens, in seconds after its beginning."""


class Party(NamedTuple):
    """Four people who come to a shop at one time, and of whom one buys.

    `shop` and `number` make every name that the party has; `begin` is in seconds since 1970.
    """

    tenant_id: str
    shop: int
    number: int
    begin: int

    def name(self, place: int) -> str:
        """One of the party's names: 16 hexadecimal digits that no other name has."""
        state = ((self.shop << 40) + self.number * _STRIDE + place + 1) * _STEP & _ALL
        state = (state ^ state >> 30) * _FIRST & _ALL
        state = (state ^ state >> 27) * _SECOND & _ALL
        return f"{state ^ state >> 31:016x}"

    def identifier(self, place: int) -> Identifier:
        """One of the party's identifiers."""
        kind = IDENTIFIER_KINDS[place]
        return Identifier(kind, value_of(kind, self.name(place)))

    @property
    def order_id(self) -> str:
        """The order's."""
        return f"o-{self.name(ORDER_NAME)}"


def value_of(kind: Kind, name: str) -> str:
    """An identifier's value; an address's is a hash of 64 digits, as ingest makes them."""
    return name * 4 if kind is Kind.EMAIL else _PREFIX[kind] + name


def names(shop: int, numbers: NDArray[np.int64], place: int) -> NDArray[np.uint64]:
    """`Party.name` of many parties, as numbers."""
    with np.errstate(over="ignore"):
        state = (numbers.astype(np.uint64) * np.uint64(_STRIDE) + np.uint64((shop << 40) + place + 1)) * np.uint64(
            _STEP
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(_FIRST)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(_SECOND)
        return state ^ (state >> np.uint64(31))


def hexadecimal(numbers: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Numbers as 16 hexadecimal digits each, a row of bytes a number."""
    octets = numbers.astype(">u8").view(np.uint8).reshape(len(numbers), 8)
    nibbles = np.stack([octets >> 4, octets & 15], axis=2).reshape(len(numbers), 16)
    return np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]


def events(party: Party) -> list[event_pb2.LoggedEvent]:
    """All that the party does, as it stands in the log."""
    return [*(touch(party, number) for number in range(TOUCHES)), order(party)]


def touch(party: Party, number: int, by: Party | None = None, who: Who | None = None) -> event_pb2.LoggedEvent:
    """One of the party's touches; `by` another's visitor when it is named, or with that one's session too (`who`)."""
    reached, channel, action, answer, after = _TOUCHES[number]
    named = event_pb2.Identifiers(
        session_id=party.identifier(reached.session).value if who is None else _value(by, who.session),
        visitor_id=party.identifier(reached.visitor).value if by is None else _value(by, (who or BUYER).visitor),
    )
    interaction = _Interaction(
        channel=channel,
        action=action,
        answer=answer,
        touchpoint="website",
        bot_name="helper",
        product_ids=["SKU-00042"],
        user_agent="Mozilla/5.0 (X11; Linux x86_64)",
    )
    if reached.conversation is not None and by is None:
        interaction.conversation_id = party.identifier(reached.conversation).value
    return _logged(party, _EVENT_NAMES + number, after, identifiers=named, interaction=interaction)


def order(party: Party, by: Party | None = None) -> event_pb2.LoggedEvent:
    """The party's order; `by` another's buyer, known again by all but the session."""
    buyer = by or party
    named = event_pb2.Identifiers(
        session_id=party.identifier(BUYER.session).value,
        visitor_id=buyer.identifier(BUYER.visitor).value,
        email=buyer.identifier(BUYER_EMAIL).value,
        customer_id=buyer.identifier(BUYER_CUSTOMER).value,
    )
    at = Timestamp(seconds=party.begin + SECONDS_A_PARTY)
    told = order_pb2.Order(
        order_id=party.order_id,
        platform=order_pb2.Order.SHOPIFY,
        notice=order_pb2.Order.STATE,
        order_time=at,
        update_time=at,
        status="paid",
        currency_code="EUR",
        total_micros=59_970_000,
        tax_micros=9_990_000,
        display_number="#1001",
        lines=[
            order_pb2.OrderLine(
                line_id=str(number),
                product_id=str(7_000_000 + number),
                sku=f"SKU-{number:05d}",
                quantity=number,
                net_micros=16_660_000,
                tax_micros=3_330_000,
            )
            for number in (1, 2, 3)
        ],
    )
    return _logged(party, _EVENT_NAMES + TOUCHES, SECONDS_A_PARTY, identifiers=named, order=told)


def shuffled_visits(
    fresh: Sequence[Party], stored: Sequence[Party], late: Sequence[Party]
) -> Iterator[event_pb2.LoggedEvent]:
    """Ten events of each fresh party: eight touches and two orders.

    New people see and buy, and beside them one of `stored` comes back to look or to buy; every fourth time a touch is
    told late, in the session of one of `late` and before its order, which is to be decided anew.
    """
    for index, party in enumerate(fresh):
        again, missed = stored[index % len(stored)], late[index % len(late)]
        for number in (0, 1, 2, 3, 4, 5):
            yield touch(party, number)
        yield touch(party, 7, by=again)
        yield order(party)
        if index % 4:
            yield touch(party, 8)
        else:
            yield _at(touch(party, 9, by=missed, who=BUYER), missed.begin + SECONDS_A_PARTY // 2)
        second = party._replace(number=party.number + (1 << 30), begin=party.begin + 1)
        yield order(second, by=again if index % 2 else None)


def _at(logged: event_pb2.LoggedEvent, seconds: int) -> event_pb2.LoggedEvent:
    logged.event.occur_time.seconds = seconds
    return logged


def _value(party: Party | None, place: int) -> str:
    assert party is not None
    return party.identifier(place).value


def _logged(
    party: Party,
    name: int,
    after: int,
    *,
    identifiers: event_pb2.Identifiers,
    interaction: interaction_pb2.Interaction | None = None,
    order: order_pb2.Order | None = None,
) -> event_pb2.LoggedEvent:
    at = Timestamp(seconds=party.begin + after)
    event = event_pb2.Event(
        event_id=party.name(name), occur_time=at, identifiers=identifiers, interaction=interaction, order=order
    )
    return event_pb2.LoggedEvent(tenant_id=party.tenant_id, source=SOURCE, receive_time=at, event=event)
