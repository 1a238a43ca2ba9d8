"""Facts: an order as it now is, with what every model says of it."""

from typing import NamedTuple


class Contact(NamedTuple):
    """What the touches of a report are told apart by; a touch without a value for one has an empty one."""

    channel: str
    touchpoint: str
    bot: str
    agent: str
    campaign: str
    experience: str = ""


class Credit(NamedTuple):
    """A part of an order that a touch earned, in millionths of the order's currency.

    `session_id` is the visit of the touch, empty where it isn't told; `product_ids` are the products that it named.
    `visitor_seconds` is when the visitor first wrote in the conversation credited, None where there is no such moment.
    """

    contact: Contact
    gross_micros: int
    net_micros: int
    session_id: str = ""
    product_ids: tuple[str, ...] = ()
    visitor_seconds: int | None = None


class Attribution(NamedTuple):
    """What one model says of an order. Without credits it is not attributed, and `tier` is empty.

    `excluded_reason` is the order's own, but under a model with statuses of its own: that may count what the tenant
    doesn't, and the other way round.
    """

    model: str
    tier: str
    credits: tuple[Credit, ...]
    excluded_reason: str = ""


class Line(NamedTuple):
    """A product in an order; amounts are after discount and without tax."""

    sku: str
    units: int
    refunded_units: int
    gross_micros: int
    net_micros: int
    product_id: str = ""


class OrderFact(NamedTuple):
    """An order, of one tenant; `excluded_reason` is empty when it counts as sold.

    `edition` is that of the credits: what is told of an order in one replaces nothing in another. `order_seconds` is
    when it was placed, in whole seconds of Unix time. None while only notices were told of it: such an order belongs to
    no period. `customer_key` and `session_id` are empty where the customer, or the visit that it was placed in, is not
    known.
    """

    tenant_id: str
    edition: int
    source: str
    order_id: str
    order_seconds: int | None
    currency_code: str
    gross_micros: int
    net_micros: int
    excluded_reason: str
    lines: tuple[Line, ...]
    attributions: tuple[Attribution, ...]
    customer_key: str = ""
    session_id: str = ""
