"""What was told of an order, and which of it can still matter, whatever the sequence in which it came."""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import chain
from typing import NamedTuple

from services.kernel.identifiers import Identifier


class Platform(IntEnum):
    """Whose words a status uses; numbered as in `touchstone.ingest.v1.Order.Platform`."""

    CUSTOM = 1
    SHOPIFY = 2
    WOOCOMMERCE = 3


class Notice(IntEnum):
    """What is told; numbered as in `touchstone.ingest.v1.Order.Notice`."""

    STATE = 1
    TRASHED = 2
    RESTORED = 3
    DELETED = 4
    REFUND = 5


class Line(NamedTuple):
    """A product in an order. `net_micros` is after discount and without tax; names that weren't told are empty."""

    line_id: str
    product_id: str
    sku: str
    quantity: int
    net_micros: int
    tax_micros: int
    variant_id: str = ""


class Product(NamedTuple):
    """What a line is called, each by the newest state that says so: shops forget the names of deleted products."""

    product_id: str = ""
    variant_id: str = ""
    sku: str = ""


_NAMELESS = Product()


class RefundLine(NamedTuple):
    """The part of a refund that concerns one line; `net_micros` is without tax, `tax_micros` the tax on it."""

    line_id: str
    quantity: int
    net_micros: int
    tax_micros: int = 0


class Refund(NamedTuple):
    """Money given back, tax in. No lines: all but the part for shipping is spread over them. Time in nanoseconds."""

    refund_id: str
    amount_micros: int
    refund_time: int | None
    lines: tuple[RefundLine, ...]
    shipping_micros: int = 0


class State(NamedTuple):
    """A whole order as the shop told it at one moment. Times in nanoseconds since 1970, amounts in micros."""

    platform: Platform
    order_time: int
    status: str
    test: bool
    cancelled: bool
    formerly_trashed: bool
    currency_code: str
    total_micros: int
    tax_micros: int
    shipping_micros: int
    fee_micros: int
    lines: tuple[Line, ...]
    refunds: tuple[Refund, ...]
    display_number: str
    identifiers: tuple[Identifier, ...]


class Version(NamedTuple):
    """What makes one state newer than another; compared from left to right, and never by arrival.

    `cancelled` stands between the refunds and the hash: of two states that are equal so far, the cancelled one is
    further along than chance would say.
    """

    update_time: int
    status_rank: int
    refund_count: int
    cancelled: bool
    content_hash: bytes


class Told(NamedTuple):
    """One thing that was told of an order. The same content has the same `version` and the same `raw`.

    `state` is there for STATE alone, `refunds` for REFUND alone. `raw` is what the store keeps.
    """

    notice: Notice
    version: Version
    state: State | None
    refunds: tuple[Refund, ...]
    raw: bytes


REFUNDED = "refunded"
"""The status by which every platform says that all of an order was given back."""

NO_VERSION = Version(0, 0, 0, False, b"")
"""The version of a notice that carries nothing but itself: it holds whenever it was told."""

_SHOP_RANKS = ("checkout-draft", "pending", "failed", "on-hold", "processing", "completed", "cancelled", "refunded")
_SHOPIFY_RANKS = ("pending", "authorized", "partially_paid", "paid", "partially_refunded", "refunded", "voided")
_RANKS = {
    platform: {status: rank for rank, status in enumerate(statuses, start=1)}
    for platform, statuses in (
        (Platform.CUSTOM, _SHOP_RANKS),
        (Platform.WOOCOMMERCE, _SHOP_RANKS),
        (Platform.SHOPIFY, _SHOPIFY_RANKS),
    )
}


def status_rank(platform: Platform, status: str) -> int:
    """How far along a status is among its platform's; 0 for a word that the platform doesn't list."""
    return _RANKS[platform].get(status, 0)


def fold(*known: Iterable[Told]) -> tuple[Told, ...]:
    """Everything told that can still matter, each once, in one canonical sequence.

    Commutative, associative and idempotent: what is left out can never matter again, whatever is told later. Kept are
    the newest state, older states that alone name a line's product or alone show that the order left the bin, the
    first state to list each refund without a time, refunds announced after the newest state, and each plain notice.
    """
    matter = [one for one in chain.from_iterable(known) if one.refunds or one.notice is not Notice.REFUND]
    if len(matter) <= 1:
        return tuple(matter)
    told = {(one.notice, one.version): one for one in matter}
    if len(told) == 1:
        return tuple(told.values())
    newest_first = sorted(told.values(), key=lambda one: one.version, reverse=True)
    states = [one for one in newest_first if one.state is not None]
    refunds = [one for one in newest_first if one.notice is Notice.REFUND]
    plain = sorted(
        (one for one in newest_first if one.state is None and one.notice is not Notice.REFUND),
        key=lambda one: one.notice,
    )
    restored = any(one.notice is Notice.RESTORED for one in plain)
    return (*_states_that_matter(states, restored=restored), *_refunds_that_matter(refunds, states), *plain)


def _states_that_matter(newest_first: Sequence[Told], *, restored: bool) -> list[Told]:
    first_to_list = {told.version for told in _first_to_list(newest_first).values()}
    named: set[tuple[str, str]] = set()
    kept: list[Told] = []
    for one in newest_first:
        state = one.state
        if state is None:
            continue
        names = {(line.line_id, name) for line in state.lines for name in _names_told(line)} - named
        shows_restored = state.formerly_trashed and not restored
        if not kept or names or shows_restored or one.version in first_to_list:
            kept.append(one)
        named |= names
        restored = restored or state.formerly_trashed
    return kept


def _names_told(line: Line) -> list[str]:
    return [name for name in Product._fields if getattr(line, name)]


def _first_to_list(newest_first: Iterable[Told]) -> dict[str, Told]:
    """The oldest state that lists each refund without a time, by its id; by "" the oldest whose status is refunded."""
    return {refund_id: one for one in newest_first if one.state is not None for refund_id in _untimed(one.state)}


def _untimed(state: State) -> list[str]:
    listed = [refund.refund_id for refund in state.refunds if refund.refund_time is None]
    return [*listed, ""] if state.status == REFUNDED else listed


def _refunds_that_matter(newest_first: Sequence[Told], states: Sequence[Told]) -> list[Told]:
    since = states[0].version.update_time if states else None
    named: set[str] = set()
    kept: list[Told] = []
    for one in newest_first:
        names = {refund.refund_id for refund in one.refunds} - named
        if names and (since is None or one.version.update_time > since):
            kept.append(one)
        named |= names
    return kept


class KnownOrder(NamedTuple):
    """An order as it follows from everything that was told of it.

    `products` are the lines' names by the lines' ids. `refunded_since` is when it was first told to be refunded as a
    whole; None while it isn't.
    """

    state: State
    refunds: tuple[Refund, ...]
    products: dict[str, Product]
    trashed: bool
    deleted: bool
    refunded_since: int | None


def known_order(told: Sequence[Told]) -> KnownOrder | None:
    """The order behind a folded sequence; None while only notices were told.

    WooCommerce's bin: TRASHED holds also when it came before the order, unless RESTORED or a state that was in the
    bin was told. `products` names each line by the newest state that names it. A refund announced after the newest
    state is added to that state's own list, unless it stands there. A refund whose time the shop doesn't tell was
    made when it was first listed.
    """
    states = [one.state for one in told if one.state is not None]
    if not states:
        return None
    newest = states[0]
    notices = {one.notice for one in told}
    restored = Notice.RESTORED in notices or any(state.formerly_trashed for state in states)
    since: dict[str, int] = {}
    if newest.refunds or newest.status == REFUNDED:
        since = {refund_id: one.version.update_time for refund_id, one in _first_to_list(told).items()}
    timed = tuple(
        [
            refund._replace(refund_time=since[refund.refund_id]) if refund.refund_time is None else refund
            for refund in newest.refunds
        ]
    )
    return KnownOrder(
        state=newest,
        refunds=_with_announced(timed, told),
        products=_products(states),
        trashed=newest.status == "trash" or (Notice.TRASHED in notices and not restored),
        deleted=Notice.DELETED in notices,
        refunded_since=since[""] if newest.status == REFUNDED else None,
    )


def _products(newest_first: Sequence[State]) -> dict[str, Product]:
    products: dict[str, Product] = {}
    for state in reversed(newest_first):
        for line in state.lines:
            known = products.get(line.line_id, _NAMELESS)
            products[line.line_id] = Product(
                line.product_id or known.product_id, line.variant_id or known.variant_id, line.sku or known.sku
            )
    return products


def _with_announced(listed: tuple[Refund, ...], told: Sequence[Told]) -> tuple[Refund, ...]:
    """The newest state's refunds as it lists them, then those announced since, by id."""
    newest_first = [refund for one in told if one.notice is Notice.REFUND for refund in one.refunds]
    if not newest_first:
        return listed
    ids = {refund.refund_id for refund in listed}
    since = {refund.refund_id: refund for refund in reversed(newest_first) if refund.refund_id not in ids}
    return (*listed, *(since[refund_id] for refund_id in sorted(since)))
