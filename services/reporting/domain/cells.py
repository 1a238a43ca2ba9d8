"""Rollup cells: the families of sums that figures are read from, and what each is keyed by.

A key's fields and a family's measures are columns of the same names. Each family is one table, and no two families
have as many fields in their keys, so that keys of several families can stand in one mapping. Each edition of a
tenant's credits has cells of its own.
"""

from datetime import date
from enum import StrEnum
from typing import NamedTuple

Measures = tuple[int, ...]
"""What a cell sums, in the sequence of its family's measures."""


class Outcome(StrEnum):
    """What an order, or a part of its amount, came to under a model."""

    ATTRIBUTED = "ATTRIBUTED"
    UNATTRIBUTED = "UNATTRIBUTED"
    EXCLUDED = "EXCLUDED"


class StoreCell(NamedTuple):
    """Orders that the shop told of, whatever the models say. Measures: orders, gross_micros, net_micros."""

    tenant_id: str
    edition: int
    day: date
    currency_code: str
    counted: bool


class ProductCell(NamedTuple):
    """Units and revenue of a product in counted orders: of all with an empty model, else of those attributed by it.

    Measures: units, refunded_units, gross_micros, net_micros.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    currency_code: str
    sku: str


class OutcomeCell(NamedTuple):
    """Orders by what they came to. Measures: orders, gross_micros, net_micros.

    An order that the tenant excludes is so under every model: its cell names none. A model that counts it all the same
    has a cell with the opposite. `excluded_reason` and `tier` are empty where they
    don't apply.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    currency_code: str
    outcome: str
    excluded_reason: str
    tier: str


class CreditCell(NamedTuple):
    """What contacts of one kind earned. Measures: orders, gross_micros, net_micros.

    An order whose credits went to contacts of several kinds is in a cell for each of them. `contact_set` names all
    kinds of the order together, `place` is this one's among them, and `contacts` is how many there are. The cells of
    one set count the same orders, so whatever the kinds are grouped or filtered by, an order is counted once where one
    cell of each set is. What stands behind `place` follows from it.
    """

    tenant_id: str
    edition: int
    model: str
    day: date
    currency_code: str
    tier: str
    contact_set: str
    place: int
    contacts: int
    channel: str
    touchpoint: str
    bot: str
    agent: str
    campaign: str


Cell = StoreCell | ProductCell | OutcomeCell | CreditCell

MEASURES: dict[type[Cell], tuple[str, ...]] = {
    StoreCell: ("orders", "gross_micros", "net_micros"),
    ProductCell: ("units", "refunded_units", "gross_micros", "net_micros"),
    OutcomeCell: ("orders", "gross_micros", "net_micros"),
    CreditCell: ("orders", "gross_micros", "net_micros"),
}
"""The names of each family's measures; every family is here."""
