"""Touches, orders and people as rows of whole numbers: what is kept in columns beside the entries themselves."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from itertools import chain
from typing import Final, NamedTuple

from services.attribution.domain.amounts import order_amount
from services.attribution.domain.baskets import Seen
from services.attribution.domain.conversations import Step
from services.attribution.domain.models import Basis
from services.attribution.domain.orders import Told
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

_TOUCH_PLACES: Final = {kind: place for place, kind in enumerate(TOUCH_KINDS)}
_ORDER_PLACES: Final = {kind: place for place, kind in enumerate(ORDER_KINDS)}
_SPACES: Final = {kind: str(int(kind)) for kind in Kind}
_NUMBER: Final = struct.Struct("<q")

_LINE: Final = 7
"""Numbers of a line."""

BASES: Final = (Basis.TOTAL, Basis.WITHOUT_TAX, Basis.WITHOUT_SHIPPING, Basis.WITHOUT_TAX_AND_SHIPPING)
"""What of an order's amount is kept, gross and net of each."""

# Bits of a touch's marks.
CHANNEL_BITS: Final = 0b111
ACTION_SHIFT: Final = 3
ACTION_BITS: Final = 0b111
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

# Bits of the marks of a step in a conversation.
STAGE_BITS: Final = 0b111
BY_AGENT_BIT: Final = 1 << 3

# Bits of the marks of products seen.
ADDED_BIT: Final = 1
SEEN_BY_CRAWLER_BIT: Final = 1 << 1

# Bits of an identifier's marks.
HUB_BIT: Final = 1
PERSON_BIT: Final = 2


class Row(NamedTuple):
    """A row of a block: its time first (0 where there is none), then its numbers, its names, and what it lists."""

    time: int
    numbers: tuple[int, ...]
    names: tuple[str, ...] = ()
    lists: tuple[tuple[int, ...], ...] = ()


@lru_cache(maxsize=4096)
def number(space: str, value: str) -> int:
    """A value as 64 bits, by which equal values of a space are found; `ABSENT` for an empty one.

    Two values of a tenant share a number by chance once in 2^64 pairs. Only what is tried, never what is stored,
    depends on it. Kept, since few words are said again and again.
    """
    return _number(space, value) if value else ABSENT


@lru_cache(maxsize=16_384)
def product_number(name: str) -> int:
    """What a product is called, as a number. Kept: the same are shown and bought again and again."""
    return _number("product", name) if name else ABSENT


@lru_cache(maxsize=65_536)
def identifier_number(identifier: Identifier) -> int:
    """An identifier's number: values compare only within their kind.

    Kept, since a visit names the same in each event, and the people log names all of them once more.
    """
    return _number(_SPACES[identifier.kind], identifier.value)


@cache
def _space(name: str) -> blake2b:
    return blake2b(digest_size=_NUMBER.size, person=name.encode())


def _number(space: str, value: str) -> int:
    # A copy of what has hashed nothing yet costs half of a new one.
    hashed = _space(space).copy()
    hashed.update(value.encode())
    return int(_NUMBER.unpack(hashed.digest())[0]) or 1


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
            *_of_kinds(touch.identifiers, _TOUCH_PLACES),
            number("touchpoint", touch.touchpoint),
            number("bot", touch.bot_name),
            number("agent", touch.agent_id),
            number("campaign", touch.campaign),
            number("experience", touch.experience_id),
            len(touch.product_ids),
        ),
        (touch.source, touch.event_id),
        (tuple(map(product_number, touch.product_ids)),),
    )


def step_row(step: Step) -> Row:
    """A step of a conversation as `store.blocks.STEPS` keeps it."""
    return Row(
        step.occur_time,
        (
            step.stage | (BY_AGENT_BIT if step.by_agent else 0),
            *_of_kinds(step.identifiers, _TOUCH_PLACES),
            number("touchpoint", step.touchpoint),
            number("bot", step.bot_name),
            number("agent", step.agent_id),
            number("campaign", step.campaign),
        ),
        (step.source, step.event_id),
    )


def seen_row(seen: Seen) -> Row:
    """Products seen as `store.blocks.SEEN` keeps them."""
    return Row(
        seen.occur_time,
        (
            (ADDED_BIT if seen.added else 0) | (SEEN_BY_CRAWLER_BIT if seen.crawler else 0),
            *_of_kinds(seen.identifiers, _ORDER_PLACES),
            len(seen.product_ids),
        ),
        lists=(tuple(map(product_number, seen.product_ids)),),
    )


def order_row(told: Sequence[Told], sale: Snapshot) -> Row | None:
    """An order as `store.blocks.ORDERS` keeps it; None while only notices were told."""
    state = next((one.state for one in told if one.state is not None), None)
    if state is None:
        return None
    standing = sale.standing
    marks = (
        standing.platform
        | (TEST_BIT if state.test else 0)
        | (DELETED_BIT if standing.deleted else 0)
        | (TRASHED_BIT if standing.trashed else 0)
        | (CANCELLED_BIT if standing.cancelled else 0)
    )
    return Row(
        sale.order_time,
        (
            _number("order", f"{sale.source}\0{sale.order_id}"),
            marks,
            number("status", sale.status),
            currency_number(sale.currency_code),
            *_amounts(sale),
            *_of_kinds(sale.identifiers, _ORDER_PLACES),
            len(sale.lines),
        ),
        (sale.source, sale.order_id),
        _lines(sale),
    )


def _lines(sale: Snapshot) -> tuple[tuple[int, ...], ...]:
    """Of each line what its product is called, and its amounts; a stock-keeping unit only where it is a name more."""
    named = [
        (
            product_number(line.product_id),
            product_number(line.variant_id),
            ABSENT if line.sku == line.product_id else product_number(line.sku),
            line.gross_micros,
            line.gross_tax_micros,
            line.gross_micros - line.net_micros,
            line.gross_tax_micros - line.net_tax_micros,
        )
        for line in sale.lines
    ]
    return tuple(zip(*named, strict=True)) if named else ((),) * _LINE


def _amounts(sale: Snapshot) -> Iterable[int]:
    if sale.shipping_micros or sale.net_micros != sale.gross_micros:
        return chain.from_iterable(order_amount(sale, basis) for basis in BASES)
    # Of most orders nothing is shipped for money or given back: tax alone makes a difference.
    return ((sale.gross_micros,) * 2 + (sale.gross_micros - sale.tax_micros,) * 2) * 2


def identifier_row(identifier: Identifier, person_id: int | None, *, hub: bool) -> Row:
    """What is known of an identifier as `store.blocks.IDENTIFIERS` keeps it."""
    marks = (HUB_BIT if hub else 0) | (0 if person_id is None else PERSON_BIT)
    return Row(0, (identifier_number(identifier), int(identifier.kind), marks, person_id or 1))


@lru_cache(maxsize=256)
def currency_number(code: str) -> int:
    """A currency's code as a number that `currency_code` reads again."""
    return int.from_bytes(code.encode()[:7], "big")


def currency_code(packed: int) -> str:
    """The code that `currency_number` was given."""
    return packed.to_bytes(7, "big").lstrip(b"\0").decode(errors="replace")


def _of_kinds(identifiers: Sequence[Identifier], places: Mapping[Kind, int]) -> list[int]:
    numbers = [ABSENT] * len(places)
    for identifier in identifiers:
        place = places.get(identifier.kind)
        if place is not None:
            numbers[place] = identifier_number(identifier)
    return numbers
