"""Finds a period's orders and the touches tied to them, out of columns, by joins."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import duckdb

from services.attribution.simulation import baskets, joining, talks
from services.attribution.simulation.cases import Cases, Numbers, Orders, Pairs, Touches
from services.attribution.simulation.joining import kind_name
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, Table, columns_of, event_names, last_told, read, within
from services.attribution.store.blocks import IDENTIFIERS, ORDERS, TOUCHES
from services.attribution.store.columns import EVERYWHEN
from services.attribution.store.facts import ORDER_KINDS, TOUCH_KINDS
from services.kernel.identifiers import Kind


class Loading(NamedTuple):
    """What is to be loaded: a period, its bounds included, and how far before it; `blocked` numbers name nobody.

    `amounts` and `values` are the columns of orders and touches that models ask for; `lines`, `carts` and
    `conversations` whether any asks for orders' lines, for what was seen of their products, or for whole conversations.
    """

    from_time: int
    through_time: int
    reach: int
    blocked: frozenset[int]
    amounts: frozenset[str]
    values: frozenset[str]
    lines: bool = False
    carts: bool = False
    conversations: bool = False
    count_crawlers: bool = False

    @property
    def times(self) -> tuple[int, int]:
        """The bounds of the touches that matter."""
        return self.from_time - self.reach, self.through_time


def load(source: Source, wanted: Loading, stop: Stop) -> Cases:
    """The period's cases.

    Raises FailedPreconditionError when there is more than is laid out in memory.
    """
    with joining.engine() as engine, stop.interrupting(engine.interrupt):
        # Beside each other: what was read is put in order while the next is read.
        with ThreadPoolExecutor(1) as beside:
            people = read(source, IDENTIFIERS, IDENTIFIERS.columns[1:])
            registered = beside.submit(joining.register_people, engine, people, wanted.blocked)
            orders = _read_orders(source, wanted)
            columns = ("occur_time", "marks", *map(kind_name, TOUCH_KINDS))
            touches = within(read(source, TOUCHES, columns, wanted.times), "occur_time", wanted.times)
            registered.result()
        stop.look()
        buyers_by = joining.resolve(engine, "buyer", orders, "order_time", ORDER_KINDS)
        reached_by = joining.resolve(engine, "reached", touches, "occur_time", TOUCH_KINDS)
        stop.look()
        pairs = _pairs(engine, wanted.reach, buyers_by & reached_by, source, touches)
        buyers, persons = (joining.nodes(engine, *one) for one in (("buyer", orders), ("reached", touches)))
        cases = Cases(
            orders=Orders(
                row=orders.row,
                time=orders.column("order_time"),
                marks=orders.column("marks"),
                status=orders.column("status"),
                currency=orders.column("currency"),
                node=buyers,
                amounts=columns_of(source, ORDERS, wanted.amounts, orders.row, EVERYWHEN),
            ),
            touches=Touches(
                row=touches.row,
                time=touches.column("occur_time"),
                marks=touches.column("marks"),
                node=persons,
                values=columns_of(source, TOUCHES, wanted.values, touches.row, wanted.times),
            ),
            pairs=pairs,
            from_time=wanted.from_time,
            through_time=wanted.through_time,
            reach=wanted.reach,
        )
        del orders, touches
        return _with_more(joining.Buyers(engine, source, buyers_by), cases, wanted, stop)


def complete(source: Source, cases: Cases, wanted: Loading, stop: Stop) -> Cases:
    """The cases with all that is wanted of them beside what they have."""
    orders, touches = cases.orders, cases.touches
    amounts, values = wanted.amounts - orders.amounts.keys(), wanted.values - touches.values.keys()
    if amounts:
        more = columns_of(source, ORDERS, amounts, orders.row, EVERYWHEN)
        cases = replace(cases, orders=replace(orders, amounts={**orders.amounts, **more}))
    if values:
        more = columns_of(source, TOUCHES, values, touches.row, (cases.from_time - cases.reach, cases.through_time))
        cases = replace(cases, touches=replace(touches, values={**touches.values, **more}))
    if not _lacks(cases, wanted):
        return cases
    with joining.engine() as engine, stop.interrupting(engine.interrupt):
        joining.register_people(engine, read(source, IDENTIFIERS, IDENTIFIERS.columns[1:]), wanted.blocked)
        kinds = columns_of(source, ORDERS, [kind_name(kind) for kind in ORDER_KINDS], orders.row, EVERYWHEN)
        there = {name: column if column.any() else None for name, column in kinds.items()}
        table = Table(orders.row, {"order_time": orders.time, **there})
        stop.look()
        buyers_by = joining.resolve(engine, "buyer", table, "order_time", ORDER_KINDS)
        return _with_more(joining.Buyers(engine, source, buyers_by), cases, wanted, stop)


def _lacks(cases: Cases, wanted: Loading) -> bool:
    return (
        (wanted.lines and cases.lines is None)
        or (wanted.carts and cases.carts is None)
        or (wanted.conversations and cases.conversations is None)
    )


def _with_more(buyers: joining.Buyers, cases: Cases, wanted: Loading, stop: Stop) -> Cases:
    """The cases with lines, carts and conversations where they are wanted."""
    if (wanted.lines or wanted.carts) and cases.lines is None:
        stop.look()
        lines, products = baskets.find_lines(buyers.source, cases)
        cases = replace(cases, lines=lines, products=products)
    if wanted.carts and cases.carts is None:
        stop.look()
        cases = replace(cases, carts=baskets.find_carts(buyers, cases, count_crawlers=wanted.count_crawlers))
    if wanted.conversations and cases.conversations is None:
        stop.look()
        cases = talks.with_conversations(buyers, cases)
    return cases


def _read_orders(source: Source, wanted: Loading) -> Table:
    columns = ("order_time", "order_key", "marks", "status", "currency", *map(kind_name, ORDER_KINDS))
    period = (wanted.from_time, wanted.through_time)
    return within(last_told(read(source, ORDERS, columns), "order_key"), "order_time", period)


def orders_between(source: Source, from_time: int, through_time: int) -> Numbers:
    """Where the store keeps the orders of a period."""
    told = last_told(read(source, ORDERS, ("order_time", "order_key")), "order_key")
    return within(told, "order_time", (from_time, through_time)).row


def _pairs(
    engine: "duckdb.DuckDBPyConnection", reach: int, common: Collection[Kind], source: Source, touches: Table
) -> Pairs:
    """Every order with every touch that shares a node with it, at most `reach` before it.

    `common` are the kinds that both name somebody by.
    """
    within = "reached.time BETWEEN buyer.time - $reach AND buyer.time"
    shown = f"""buyer.number AS "order", reached.number AS touch, buyer.time - reached.time AS age,
                CAST({joining.tier_between("buyer", "reached", common)} AS tinyint) AS tier,
                {joining.conflict_between("buyer", "reached", common)} AS conflict"""
    tied = "FROM buyer JOIN reached ON buyer.node = reached.node AND buyer.node <> 0"
    others = engine.execute("SELECT (SELECT count(*) FROM other_buyer) + (SELECT count(*) FROM other_reached)")
    if (others.fetchone() or (0,))[0]:
        tied = f"""FROM (SELECT DISTINCT mine.number AS buyer_number, theirs.number AS reached_number
                         FROM ({joining.every_node("buyer")}) AS mine
                         JOIN ({joining.every_node("reached")}) AS theirs USING (node))
                   JOIN buyer ON buyer.number = buyer_number JOIN reached ON reached.number = reached_number"""
    found = engine.execute(f"SELECT {shown} {tied} WHERE {within}", {"reach": reach}).fetchnumpy()
    return joining.in_total_order(
        lambda rows: event_names(source, rows), found, touches.row, touches.column("occur_time")
    )
