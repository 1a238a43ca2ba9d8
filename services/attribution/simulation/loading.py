"""Finds a period's orders and the touches tied to them, out of columns, by joins."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from services.attribution.simulation import baskets, joining, talks
from services.attribution.simulation.cases import Cases, Numbers, Orders, Pairs, Touches
from services.attribution.simulation.people import Buyers, People, kind_name, named, told_of
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, Table, columns_of, event_names, last_told, read, within
from services.attribution.store.blocks import ORDERS, TOUCHES
from services.attribution.store.columns import EVERYWHEN
from services.attribution.store.facts import ORDER_KINDS, TOUCH_KINDS


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
    # Beside each other: what was read is put in order while the next is read.
    with ThreadPoolExecutor(1) as beside:
        finding = beside.submit(People, told_of(source), wanted.blocked)
        orders = _read_orders(source, wanted)
        naming = beside.submit(lambda told: named(finding.result(), told, "order_time", ORDER_KINDS, stop), orders)
        touches = _read_touches(source, wanted)
        people, buyers = finding.result(), naming.result()
        reached = named(people, touches, "occur_time", TOUCH_KINDS, stop)
        names = partial(event_names, source)
        tying = beside.submit(joining.pairs_between, buyers, reached, wanted.reach, names, stop)
        cases = Cases(
            orders=Orders(
                row=orders.row,
                time=orders.column("order_time"),
                marks=orders.column("marks"),
                status=orders.column("status"),
                currency=orders.column("currency"),
                node=buyers.node,
                amounts=columns_of(source, ORDERS, wanted.amounts, orders.row, EVERYWHEN),
            ),
            touches=Touches(
                row=touches.row,
                time=touches.column("occur_time"),
                marks=touches.column("marks"),
                node=reached.node,
                values=columns_of(source, TOUCHES, wanted.values, touches.row, wanted.times),
            ),
            # These come last: nothing else that is found waits for them.
            pairs=Pairs.none(),
            from_time=wanted.from_time,
            through_time=wanted.through_time,
            reach=wanted.reach,
        )
        del orders, touches, reached
        cases = _with_more(Buyers(source, people, buyers), cases, wanted, stop)
        return replace(cases, pairs=tying.result())


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
    people = People(told_of(source), wanted.blocked)
    kinds = columns_of(source, ORDERS, [kind_name(kind) for kind in ORDER_KINDS], orders.row, EVERYWHEN)
    there = {name: column if column.any() else None for name, column in kinds.items()}
    stop.look()
    buyers = named(people, Table(orders.row, {"order_time": orders.time, **there}), "order_time", ORDER_KINDS, stop)
    return _with_more(Buyers(source, people, buyers), cases, wanted, stop)


def _lacks(cases: Cases, wanted: Loading) -> bool:
    return (
        (wanted.lines and cases.lines is None)
        or (wanted.carts and cases.carts is None)
        or (wanted.conversations and cases.conversations is None)
    )


def _with_more(buyers: Buyers, cases: Cases, wanted: Loading, stop: Stop) -> Cases:
    """The cases with lines, carts and conversations where they are wanted."""
    if (wanted.lines or wanted.carts) and cases.lines is None:
        stop.look()
        lines, products = baskets.find_lines(buyers.source, cases)
        cases = replace(cases, lines=lines, products=products)
    if wanted.carts and cases.carts is None:
        stop.look()
        cases = replace(cases, carts=baskets.find_carts(buyers, cases, stop, count_crawlers=wanted.count_crawlers))
    if wanted.conversations and cases.conversations is None:
        stop.look()
        cases = talks.with_conversations(buyers, cases, stop)
    return cases


def _read_orders(source: Source, wanted: Loading) -> Table:
    columns = ("order_time", "order_key", "marks", "status", "currency", *map(kind_name, ORDER_KINDS))
    period = (wanted.from_time, wanted.through_time)
    return within(last_told(read(source, ORDERS, columns), "order_key"), "order_time", period)


def _read_touches(source: Source, wanted: Loading) -> Table:
    columns = ("occur_time", "marks", *map(kind_name, TOUCH_KINDS))
    return within(read(source, TOUCHES, columns, wanted.times), "occur_time", wanted.times)


def orders_between(source: Source, from_time: int, through_time: int) -> Numbers:
    """Where the store keeps the orders of a period."""
    told = last_told(read(source, ORDERS, ("order_time", "order_key")), "order_key")
    return within(told, "order_time", (from_time, through_time)).row
