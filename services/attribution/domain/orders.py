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
    """A product in an order. `net_micros` is after discount and without tax; `sku` is empty when none was told."""

    line_id: str
    product_id: str
    sku: str
    quantity: int
    net_micros: int
    tax_micros: int


class RefundLine(NamedTuple):
    """The part of a refund that concerns one line, without tax."""

    line_id: str
    quantity: int
    net_micros: int


class Refund(NamedTuple):
    """Money given back, tax in. No lines: it is spread over all of them. `refund_time` in nanoseconds."""

    refund_id: str
    amount_micros: int
    refund_time: int | None
    lines: tuple[RefundLine, ...]


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
    the newest state, older states that alone name a line's SKU or alone show that the order left the bin, refunds
    announced after the newest state, and each plain notice.
    """
    told = {
        (one.notice, one.version): one
        for one in chain.from_iterable(known)
        if one.refunds or one.notice is not Notice.REFUND
    }
    if len(told) <= 1:
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
    named: set[str] = set()
    kept: list[Told] = []
    for one in newest_first:
        state = one.state
        if state is None:
            continue
        names = {line.line_id for line in state.lines if line.sku} - named
        shows_restored = state.formerly_trashed and not restored
        if not kept or names or shows_restored:
            kept.append(one)
        named |= names
        restored = restored or state.formerly_trashed
    return kept


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
    """An order as it follows from everything that was told of it."""

    state: State
    refunds: tuple[Refund, ...]
    skus: dict[str, str]
    trashed: bool
    deleted: bool


def known_order(told: Sequence[Told]) -> KnownOrder | None:
    """The order behind a folded sequence; None while only notices were told.

    WooCommerce's bin: TRASHED holds also when it came before the order, unless RESTORED or a state that was in the
    bin was told. `skus` names each line by the newest state that names it. A refund announced after the newest state
    is added to that state's own list, unless it stands there.
    """
    states = [one.state for one in told if one.state is not None]
    if not states:
        return None
    newest = states[0]
    notices = {one.notice for one in told}
    restored = Notice.RESTORED in notices or any(state.formerly_trashed for state in states)
    return KnownOrder(
        state=newest,
        refunds=_with_announced(newest.refunds, told),
        skus={line.line_id: line.sku for state in reversed(states) for line in state.lines if line.sku},
        trashed=newest.status == "trash" or (Notice.TRASHED in notices and not restored),
        deleted=Notice.DELETED in notices,
    )


def _with_announced(listed: tuple[Refund, ...], told: Sequence[Told]) -> tuple[Refund, ...]:
    """The newest state's refunds as it lists them, then those announced since, by id."""
    newest_first = [refund for one in told if one.notice is Notice.REFUND for refund in one.refunds]
    if not newest_first:
        return listed
    ids = {refund.refund_id for refund in listed}
    since = {refund.refund_id: refund for refund in reversed(newest_first) if refund.refund_id not in ids}
    return (*listed, *(since[refund_id] for refund_id in sorted(since)))
