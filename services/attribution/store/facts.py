"""Touches, orders and people as rows of whole numbers: what is kept in columns beside the entries themselves."""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import chain
from typing import Final, NamedTuple

from services.attribution.domain.amounts import order_amount
from services.attribution.domain.models import Basis
from services.attribution.domain.orders import Told, known_order
from services.attribution.domain.snapshot import Snapshot
from services.attribution.domain.touches import Touch
from services.kernel.identifiers import Identifier, Kind

ABSENT: Final = 0
"""The number of a value that isn't there."""

TOUCH_KINDS: Final = (
    Kind.SESSION,
    Kind.VISITOR,
    Kind.EMAIL,
    Kind.PHONE,
    Kind.CUSTOMER,
    Kind.CONVERSATION,
    Kind.CLICK,
)
ORDER_KINDS: Final = (Kind.SESSION, Kind.VISITOR, Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER, Kind.CLICK)

BASES: Final = (Basis.TOTAL, Basis.WITHOUT_TAX, Basis.WITHOUT_SHIPPING, Basis.WITHOUT_TAX_AND_SHIPPING)
"""What of an order's amount is kept, gross and net of each."""

# Bits of a touch's marks.
CHANNEL_BITS: Final = 0b111
ACTION_SHIFT: Final = 3
ANSWER_SHIFT: Final = 6
CRAWLER_BIT: Final = 1 << 8
MARKS: Final = 1 << 9
"""How many different marks there are."""

# Bits of an order's marks.
PLATFORM_BITS: Final = 0b11
TEST_BIT: Final = 1 << 2
DELETED_BIT: Final = 1 << 3
TRASHED_BIT: Final = 1 << 4
CANCELLED_BIT: Final = 1 << 5

# Bits of an identifier's marks.
HUB_BIT: Final = 1
PERSON_BIT: Final = 2


class Row(NamedTuple):
    """A row of a block: its time first (0 where there is none), then its numbers, and its names."""

    time: int
    numbers: tuple[int, ...]
    names: tuple[str, ...] = ()


def number(space: str, value: str) -> int:
    """A value as 64 bits, by which equal values of a space are found; `ABSENT` for an empty one.

    Two values of a tenant share a number by chance once in 2^64 pairs. Only what is tried, never what is stored,
    depends on it.
    """
    if not value:
        return ABSENT
    digest = blake2b(value.encode(), digest_size=8, person=space.encode()).digest()
    return int.from_bytes(digest, "little", signed=True) or 1


def identifier_number(identifier: Identifier) -> int:
    """An identifier's number: values compare only within their kind."""
    return number(str(int(identifier.kind)), identifier.value)


def touch_marks(touch: Touch) -> int:
    """Channel, action, answer and crawler in one number below `MARKS`."""
    crawler = CRAWLER_BIT if touch.crawler else 0
    return touch.channel | touch.action << ACTION_SHIFT | touch.answer << ANSWER_SHIFT | crawler


def touch_row(touch: Touch) -> Row:
    """A touch as `store.blocks.TOUCHES` keeps it."""
    return Row(
        touch.occur_time,
        (
            touch_marks(touch),
            *_of_kinds(touch.identifiers, TOUCH_KINDS),
            number("touchpoint", touch.touchpoint),
            number("bot", touch.bot_name),
            number("agent", touch.agent_id),
            number("campaign", touch.campaign),
            number("experience", touch.experience_id),
        ),
        (touch.source, touch.event_id),
    )


def order_row(told: Sequence[Told], sale: Snapshot) -> Row | None:
    """An order as `store.blocks.ORDERS` keeps it; None while only notices were told."""
    known = known_order(told)
    if known is None:
        return None
    state = known.state
    marks = (
        state.platform
        | (TEST_BIT if state.test else 0)
        | (DELETED_BIT if known.deleted else 0)
        | (TRASHED_BIT if known.trashed else 0)
        | (CANCELLED_BIT if state.cancelled else 0)
    )
    return Row(
        sale.order_time,
        (
            number("order", f"{sale.source}\0{sale.order_id}"),
            marks,
            number("status", state.status),
            currency_number(sale.currency_code),
            *chain.from_iterable(order_amount(sale, basis) for basis in BASES),
            *_of_kinds(sale.identifiers, ORDER_KINDS),
        ),
        (sale.source, sale.order_id),
    )


def identifier_row(identifier: Identifier, person_id: int | None, *, hub: bool) -> Row:
    """What is known of an identifier as `store.blocks.IDENTIFIERS` keeps it."""
    marks = (HUB_BIT if hub else 0) | (0 if person_id is None else PERSON_BIT)
    return Row(0, (identifier_number(identifier), int(identifier.kind), marks, person_id or 1))


def currency_number(code: str) -> int:
    """A currency's code as a number that `currency_code` reads again."""
    return int.from_bytes(code.encode()[:7], "big")


def currency_code(packed: int) -> str:
    """The code that `currency_number` was given."""
    return packed.to_bytes(7, "big").lstrip(b"\0").decode(errors="replace")


def _of_kinds(identifiers: Sequence[Identifier], kinds: Sequence[Kind]) -> list[int]:
    named = {identifier.kind: identifier_number(identifier) for identifier in identifiers}
    return [named.get(kind, ABSENT) for kind in kinds]
