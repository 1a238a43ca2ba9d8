"""Orders: what was told of each, its credits as last published, and how orders are found by identifiers."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import LargeBinary, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.attribution.store.mentions import What, is_of
from services.chassis.arrays import flags, joined, numbers, texts
from services.kernel.identifiers import Identifier


class OrderKey(NamedTuple):
    """Names an order; two sources of a tenant may use the same id."""

    tenant_id: str
    order_id: str
    source: str


_NOTHING: Final[tuple[bytes | None, bool]] = (None, False)
"""What an order says of an edition in which it was not decided."""


class StoredOrder(NamedTuple):
    """An order as it is kept, with its credits in an edition, and in a next one where there are such.

    No credits while only notices were told of it.
    """

    key: OrderKey
    told: bytes
    credits: bytes | None
    open_to_people: bool
    edition: int = 0
    next_credits: bytes | None = None
    next_open: bool = False
    next_edition: int | None = None

    def under(self, in_force: int, coming: int | None) -> "StoredOrder":
        """The order with what it says of these two editions, and of no other."""
        if (self.edition, self.next_edition) == (in_force, coming):
            return self
        known: dict[int | None, tuple[bytes | None, bool]] = {
            self.edition: (self.credits, self.open_to_people),
            self.next_edition: (self.next_credits, self.next_open),
        }
        now, then = known.get(in_force, _NOTHING), known.get(coming, _NOTHING)
        return StoredOrder(self.key, self.told, *now, in_force, *then, coming)


class OrderIdentifier(NamedTuple):
    """An identifier of an order's newest state, by which the order is found."""

    key: OrderKey
    identifier: Identifier
    order_micros: int


_COLUMNS = """known.tenant_id, known.order_id, known.source, known.told, known.credits, known.open_to_people,
              known.edition, known.next_credits, known.next_open, known.next_edition"""

# LATERAL with OFFSET 0 holds the planner to one look-up by key for each row asked for, also while the table is young and
# its statistics say that it is empty.
_READ = text(
    f"""SELECT {_COLUMNS}
        FROM unnest(CAST(:tenant_ids AS text[]), CAST(:order_ids AS text[]), CAST(:sources AS text[]))
             AS asked (tenant_id, order_id, source)
        CROSS JOIN LATERAL (
            SELECT * FROM known_order
            WHERE tenant_id = asked.tenant_id AND order_id = asked.order_id AND source = asked.source
            OFFSET 0) AS known"""
)

_READ_PAGE = text(
    f"""SELECT {_COLUMNS} FROM known_order AS known
        WHERE known.tenant_id = :tenant_id AND (known.order_id, known.source) > (:order_id, :source)
        ORDER BY known.order_id, known.source LIMIT :count"""
)

# Over all tenants: for what looks at a few orders now and then, and at each in its turn.
_READ_ANY = text(
    f"""SELECT {_COLUMNS} FROM known_order AS known
        WHERE (known.tenant_id, known.order_id, known.source) > (:tenant_id, :order_id, :source)
        ORDER BY known.tenant_id, known.order_id, known.source LIMIT :count"""
)

_READ_NAMED = text(
    f"""SELECT {_COLUMNS} FROM known_order AS known
        WHERE known.tenant_id = :tenant_id AND known.order_id = :order_id AND known.credits IS NOT NULL
        ORDER BY known.source"""
)

_COUNT = text("SELECT count(*) FROM known_order WHERE tenant_id = :tenant_id AND credits IS NOT NULL")

_BYTES = [bindparam(name, type_=LargeBinary) for name in ("told", "credits")]

_SAVED = """unnest(CAST(:tenant_ids AS text[]), CAST(:order_ids AS text[]), CAST(:sources AS text[]),
                   CAST(:told_starts AS int[]), CAST(:told_lengths AS int[]), CAST(:credits_starts AS int[]),
                   CAST(:credits_lengths AS int[]), CAST(:open AS boolean[]), CAST(:editions AS bigint[])"""

_SAVED_COLUMNS = """tenant_id, order_id, source, told_start, told_length, credits_start, credits_length,
                    open_to_people, edition"""

_PUT = f"""
       INSERT INTO known_order (tenant_id, order_id, source, told, credits, open_to_people, edition)
       SELECT tenant_id, order_id, source, substring(:told FROM told_start FOR told_length),
              substring(:credits FROM credits_start FOR credits_length), open_to_people, edition
       FROM {_SAVED}) AS saved ({_SAVED_COLUMNS})"""

_PUT_STAGED = f"""
       INSERT INTO known_order (tenant_id, order_id, source, told, credits, open_to_people, edition,
                                next_credits, next_open, next_edition)
       SELECT tenant_id, order_id, source, substring(:told FROM told_start FOR told_length),
              substring(:credits FROM credits_start FOR credits_length), open_to_people, edition,
              substring(:next_credits FROM next_start FOR next_length), next_open, next_edition
       FROM {_SAVED}, CAST(:next_starts AS int[]), CAST(:next_lengths AS int[]), CAST(:next_open AS boolean[]),
                   CAST(:next_editions AS bigint[]))
            AS saved ({_SAVED_COLUMNS}, next_start, next_length, next_open, next_edition)"""

_CHANGING = """
       ON CONFLICT (tenant_id, order_id, source) DO UPDATE
       SET told = excluded.told, credits = excluded.credits, open_to_people = excluded.open_to_people,
           edition = excluded.edition, next_credits = excluded.next_credits, next_open = excluded.next_open,
           next_edition = excluded.next_edition"""

_ADD = text(_PUT).bindparams(*_BYTES)

_CHANGE = text(_PUT + _CHANGING).bindparams(*_BYTES)

_CHANGE_STAGED = text(_PUT_STAGED + _CHANGING).bindparams(*_BYTES, bindparam("next_credits", type_=LargeBinary))

_IDENTIFIERS = """unnest(CAST(:tenant_ids AS text[]), CAST(:kinds AS smallint[]), CAST(:values AS text[]),
                         CAST(:order_micros AS bigint[]), CAST(:order_ids AS text[]), CAST(:sources AS text[]))
                  AS told (tenant_id, kind, value, micros, id, source)"""

_INSERT_IDENTIFIERS = text(
    f"""INSERT INTO mention (tenant_id, what, kind, value, micros, id, source)
        SELECT tenant_id, {What.ORDER:d}, kind, value, micros, id, source FROM {_IDENTIFIERS}"""
)

_DELETE_IDENTIFIERS = text(
    f"""WITH gone AS MATERIALIZED (
            SELECT kept.place FROM {_IDENTIFIERS}
            CROSS JOIN LATERAL (
                SELECT ctid AS place FROM mention
                WHERE {is_of("mention", What.ORDER, "told", "told")}
                  AND micros = told.micros AND id = told.id AND source = told.source OFFSET 0) AS kept)
        DELETE FROM mention USING gone WHERE mention.ctid = gone.place"""
)


async def read_orders(connection: AsyncConnection, keys: Iterable[OrderKey]) -> list[StoredOrder]:
    """Those of the orders that are known."""
    wanted = list(keys)
    if not wanted:
        return []
    return _orders(await connection.execute(_READ, key_columns(wanted)))


async def read_page(
    connection: AsyncConnection, tenant_id: str, after: OrderKey | None, count: int
) -> list[StoredOrder]:
    """The tenant's next orders after one, by id and source."""
    _, order_id, source = after or ("", "", "")
    bound = {"tenant_id": tenant_id, "order_id": order_id, "source": source, "count": count}
    return _orders(await connection.execute(_READ_PAGE, bound))


async def read_any(connection: AsyncConnection, after: OrderKey, count: int) -> list[StoredOrder]:
    """The next orders after one, by tenant, id and source."""
    return _orders(await connection.execute(_READ_ANY, {**after._asdict(), "count": count}))


async def read_named(connection: AsyncConnection, tenant_id: str, order_id: str) -> list[StoredOrder]:
    """The tenant's orders by a shop's own id, one for each source that told of such an order."""
    return _orders(await connection.execute(_READ_NAMED, {"tenant_id": tenant_id, "order_id": order_id}))


async def count_orders(connection: AsyncConnection, tenant_id: str) -> int:
    """How many of the tenant's orders have credits to compare."""
    return int((await connection.execute(_COUNT, {"tenant_id": tenant_id})).scalar_one())


async def add_orders(connection: AsyncConnection, orders: Sequence[StoredOrder]) -> None:
    """Keeps orders that were not known: in half the time that it takes for those that may be."""
    if orders:
        await connection.execute(_CHANGE_STAGED if _staged(orders) else _ADD, _columns(orders))


async def change_orders(connection: AsyncConnection, orders: Sequence[StoredOrder]) -> None:
    """Keeps known orders as they now are."""
    if orders:
        await connection.execute(_CHANGE_STAGED if _staged(orders) else _CHANGE, _columns(orders))


def _staged(orders: Sequence[StoredOrder]) -> bool:
    return any(order.next_edition is not None for order in orders)


def _columns(orders: Sequence[StoredOrder]) -> dict[str, object]:
    told, credits_ = joined([order.told for order in orders]), joined([order.credits for order in orders])
    columns = {
        **key_columns([order.key for order in orders]),
        "told": told.together,
        "told_starts": told.starts,
        "told_lengths": told.lengths,
        "credits": credits_.together,
        "credits_starts": credits_.starts,
        "credits_lengths": credits_.lengths,
        "open": flags(order.open_to_people for order in orders),
        "editions": numbers(order.edition for order in orders),
    }
    if not _staged(orders):
        return columns
    coming = joined([order.next_credits for order in orders])
    return {
        **columns,
        "next_credits": coming.together,
        "next_starts": coming.starts,
        "next_lengths": coming.lengths,
        "next_open": flags(order.next_open for order in orders),
        "next_editions": [order.next_edition for order in orders],
    }


async def replace_identifiers(
    connection: AsyncConnection, gone: Sequence[OrderIdentifier], new: Sequence[OrderIdentifier]
) -> None:
    """Forgets identifiers that orders no longer have, and keeps those that they now have."""
    for statement, named in ((_DELETE_IDENTIFIERS, gone), (_INSERT_IDENTIFIERS, new)):
        if named:
            columns = {
                "kinds": numbers(one.identifier.kind for one in named),
                "values": texts(one.identifier.value for one in named),
                "order_micros": numbers(one.order_micros for one in named),
            }
            await connection.execute(statement, {**key_columns([one.key for one in named]), **columns})


def _orders(rows: Iterable[Any]) -> list[StoredOrder]:
    return [StoredOrder(OrderKey(*row[:3]), *row[3:]) for row in rows]


def key_columns(keys: Sequence[OrderKey]) -> dict[str, object]:
    """The keys as three parameters."""
    return {
        "tenant_ids": texts(key.tenant_id for key in keys),
        "order_ids": texts(key.order_id for key in keys),
        "sources": texts(key.source for key in keys),
    }
