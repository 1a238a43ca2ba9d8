"""Finds a period's orders and the touches tied to them, out of columns, by joins."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from services.attribution.simulation.cases import Cases, Numbers, Orders, Pairs, Touches
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, Table, arrow, last_told, read, within
from services.attribution.store.blocks import IDENTIFIERS, ORDERS, TOUCHES, Layout
from services.attribution.store.columns import EVERYWHEN
from services.attribution.store.facts import HUB_BIT, ORDER_KINDS, PERSON_BIT, TOUCH_KINDS
from services.kernel.failures import FailedPreconditionError
from services.kernel.identifiers import Kind

_THREADS: Final = 2
_MOST_MEMORY: Final = "6GB"
"""Joins take no more than this; nothing is written to disk."""

_TIERS: Final = ((Kind.SESSION, 1), (Kind.EMAIL, 2), (Kind.PHONE, 3), (Kind.CUSTOMER, 4), (Kind.VISITOR, 5))
_PERSON_TIER: Final = 6
_CONTACTS: Final = (Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER)


class Loading(NamedTuple):
    """What is to be loaded: a period, its bounds included, and how far before it; `blocked` numbers name nobody.

    `amounts` and `values` are the columns of orders and touches that models ask for.
    """

    from_time: int
    through_time: int
    reach: int
    blocked: frozenset[int]
    amounts: frozenset[str]
    values: frozenset[str]

    @property
    def times(self) -> tuple[int, int]:
        """The bounds of the touches that matter."""
        return self.from_time - self.reach, self.through_time


def load(source: Source, wanted: Loading, stop: Stop) -> Cases:
    """The period's cases.

    Raises FailedPreconditionError when there is more than is laid out in memory.
    """
    with _engine() as engine, stop.interrupting(engine.interrupt):
        # Beside each other: what was read is put in order while the next is read.
        with ThreadPoolExecutor(1) as beside:
            people = read(source, IDENTIFIERS, IDENTIFIERS.columns[1:])
            registered = beside.submit(_register_people, engine, people, wanted.blocked)
            orders = _read_orders(source, wanted)
            columns = ("occur_time", "marks", *map(_name, TOUCH_KINDS))
            touches = within(read(source, TOUCHES, columns, wanted.times), "occur_time", wanted.times)
            registered.result()
        stop.look()
        common = _resolve(engine, "buyer", orders, "order_time", ORDER_KINDS)
        common &= _resolve(engine, "reached", touches, "occur_time", TOUCH_KINDS)
        stop.look()
        pairs = _pairs(engine, wanted.reach, common, touches)
        buyers, persons = (_nodes(engine, name, table) for name, table in (("buyer", orders), ("reached", touches)))
    return Cases(
        orders=Orders(
            row=orders.row,
            time=orders.column("order_time"),
            marks=orders.column("marks"),
            status=orders.column("status"),
            currency=orders.column("currency"),
            node=buyers,
            amounts=_more(source, ORDERS, wanted.amounts, orders.row, EVERYWHEN),
        ),
        touches=Touches(
            row=touches.row,
            time=touches.column("occur_time"),
            marks=touches.column("marks"),
            node=persons,
            values=_more(source, TOUCHES, wanted.values, touches.row, wanted.times),
        ),
        pairs=_in_total_order(source, pairs, touches),
        from_time=wanted.from_time,
        through_time=wanted.through_time,
        reach=wanted.reach,
    )


def _read_orders(source: Source, wanted: Loading) -> Table:
    columns = ("order_time", "order_key", "marks", "status", "currency", *map(_name, ORDER_KINDS))
    period = (wanted.from_time, wanted.through_time)
    return within(last_told(read(source, ORDERS, columns), "order_key"), "order_time", period)


def orders_between(source: Source, from_time: int, through_time: int) -> Numbers:
    """Where the store keeps the orders of a period."""
    told = last_told(read(source, ORDERS, ("order_time", "order_key")), "order_key")
    return within(told, "order_time", (from_time, through_time)).row


def complete(source: Source, cases: Cases, wanted: Loading) -> Cases:
    """The cases with the columns that are wanted of them beside those that they have."""
    orders, touches = cases.orders, cases.touches
    amounts, values = wanted.amounts - orders.amounts.keys(), wanted.values - touches.values.keys()
    if not amounts and not values:
        return cases
    times = (cases.from_time - cases.reach, cases.through_time)
    return replace(
        cases,
        orders=replace(orders, amounts={**orders.amounts, **_more(source, ORDERS, amounts, orders.row, EVERYWHEN)}),
        touches=replace(touches, values={**touches.values, **_more(source, TOUCHES, values, touches.row, times)}),
    )


def _more(
    source: Source, layout: Layout, columns: Collection[str], rows: Numbers, times: tuple[int, int]
) -> dict[str, Numbers]:
    """More columns of some rows, in ascending sequence, that are within the times."""
    if not columns:
        return {}
    table = read(source, layout, sorted(columns), times)
    places = np.searchsorted(table.row, rows)
    return {name: table.column(name)[places] for name in columns}


def _name(kind: Kind) -> str:
    return kind.name.lower()


@contextmanager
def _engine() -> Iterator["duckdb.DuckDBPyConnection"]:
    config: dict[str, Any] = {
        "threads": _THREADS,
        "memory_limit": _MOST_MEMORY,
        "temp_directory": "",
        "preserve_insertion_order": "false",
    }
    engine = duckdb.connect(config=config)
    try:
        yield engine
    except duckdb.OutOfMemoryException as error:
        raise FailedPreconditionError(
            "PERIOD_TOO_LONG", "There is too much to try at once: ask for fewer days."
        ) from error
    finally:
        engine.close()


def _register_people(engine: "duckdb.DuckDBPyConnection", told: Table, blocked: Collection[int]) -> None:
    """A relation of each kind: `node` is whom an identifier names, 0 where it names nobody."""
    known = last_told(told, "identifier")
    identifier, kind, marks = known.column("identifier"), known.column("kind"), known.column("marks")
    refused = np.array(sorted(blocked), np.int64)
    nobody = (marks & HUB_BIT) != 0
    if blocked:
        nobody |= np.isin(identifier, refused)
        # A value that was never told of may be of any kind, and names nobody in each.
        refused = np.setdiff1d(refused, identifier)
    node = np.where(nobody, 0, known.column("person_id"))
    names = nobody | ((marks & PERSON_BIT) != 0)
    for one in TOUCH_KINDS:
        mine = np.flatnonzero(names & (kind == one))
        columns = {
            "identifier": np.concatenate([identifier[mine], refused]),
            "node": np.concatenate([node[mine], np.zeros(len(refused), np.int64)]),
        }
        engine.register(f"known_{_name(one)}", arrow(columns))


def _resolve(
    engine: "duckdb.DuckDBPyConnection", name: str, table: Table, time: str, kinds: Sequence[Kind]
) -> frozenset[Kind]:
    """A table of whom rows name, with the kinds that they name anybody by.

    It has each kind's value, 0 where that names nobody, and as `node` the first of the nodes that a row names, 0 for
    none. Another table has the others: somebody may be several people for a moment, or because a person decided so.
    """
    there = [kind for kind in kinds if table.columns[_name(kind)] is not None]
    names = [_name(kind) for kind in there]
    told = {"time": table.column(time), **{one: table.column(one) for one in names}}
    engine.register(f"told_{name}", arrow({"number": np.arange(len(table.row), dtype=np.int32), **told}))
    values = [f"CASE WHEN {one}.node = 0 THEN 0 ELSE told.{one} END AS {one}" for one in names]
    nodes = [f"coalesce({one}.node, told.{one}) AS {one}_node" for one in names]
    joins = " ".join(f"LEFT JOIN known_{one} AS {one} ON {one}.identifier = told.{one}" for one in names)
    first = ", ".join([*(f"nullif({one}_node, 0)" for one in names), "0"])
    several = " OR ".join([*(f"{one}_node NOT IN (0, node)" for one in names), "false"])
    resolved = f"""SELECT *, coalesce({first}) AS node
                   FROM (SELECT told.number, told.time, {", ".join([*values, *nodes, "0 AS nothing"])}
                         FROM told_{name} AS told {joins} WHERE {{chosen}})"""
    engine.execute(
        f"""CREATE TABLE {name} AS
            SELECT {", ".join(["number", "time", *names, "node"])}, ({several}) AS several
            FROM ({resolved.format(chosen="true")})"""
    )
    chosen = f"told.number IN (SELECT number FROM {name} WHERE several)"
    others = [
        f"SELECT number, {one}_node AS node FROM several_nodes WHERE {one}_node NOT IN (0, node)" for one in names
    ]
    others += ["SELECT 0, 0::bigint WHERE false"]
    if engine.execute(f"SELECT 1 FROM {name} WHERE several LIMIT 1").fetchone() is None:
        others = others[-1:]
    engine.execute(
        f"""CREATE TABLE other_{name} AS
            WITH several_nodes AS ({resolved.format(chosen=chosen)}) {" UNION ".join(others)}"""
    )
    return frozenset(there)


def _nodes(engine: "duckdb.DuckDBPyConnection", name: str, table: Table) -> Numbers:
    nodes = np.zeros(len(table.row), np.int64)
    found = engine.execute(f"SELECT number, node FROM {name}").fetchnumpy()
    nodes[found["number"]] = found["node"]
    return nodes


def _pairs(
    engine: "duckdb.DuckDBPyConnection", reach: int, common: Collection[Kind], touches: Table
) -> Mapping[str, NDArray[Any]]:
    """Every order with every touch that shares a node with it, at most `reach` before it.

    `common` are the kinds that both name somebody by.
    """
    alike = [(_name(kind), tier) for kind, tier in _TIERS if kind in common]
    tiers = [f"WHEN buyer.{one} <> 0 AND buyer.{one} = reached.{one} THEN {tier}" for one, tier in alike]
    contacts = [_name(kind) for kind in _CONTACTS if kind in common]
    conflict = [f"(buyer.{one} <> 0 AND reached.{one} <> 0 AND buyer.{one} <> reached.{one})" for one in contacts]
    within = "reached.time BETWEEN buyer.time - $reach AND buyer.time"
    shown = f"""buyer.number AS "order", reached.number AS touch, buyer.time - reached.time AS age,
                CAST(CASE {" ".join([*tiers, f"WHEN true THEN {_PERSON_TIER}"])} END AS tinyint) AS tier,
                {" OR ".join([*conflict, "false"])} AS conflict"""
    tied = "FROM buyer JOIN reached ON buyer.node = reached.node AND buyer.node <> 0"
    others = engine.execute("SELECT (SELECT count(*) FROM other_buyer) + (SELECT count(*) FROM other_reached)")
    if (others.fetchone() or (0,))[0]:
        every = "SELECT number, node FROM {0} WHERE node <> 0 UNION SELECT * FROM other_{0}"
        tied = f"""FROM (SELECT DISTINCT mine.number AS buyer_number, theirs.number AS reached_number
                         FROM ({every.format("buyer")}) AS mine JOIN ({every.format("reached")}) AS theirs USING (node))
                   JOIN buyer ON buyer.number = buyer_number JOIN reached ON reached.number = reached_number"""
    found = engine.execute(f"SELECT {shown} {tied} WHERE {within}", {"reach": reach}).fetchnumpy()
    return _sorted(found, touches)


def _sorted(pairs: Mapping[str, NDArray[Any]], touches: Table) -> Mapping[str, NDArray[Any]]:
    """The pairs by order, and within one by the touches' time, then by where they are kept."""
    time = touches.column("occur_time")
    rank = np.arange(len(time))
    if (time[1:] < time[:-1]).any():
        rank[np.argsort(time, kind="stable")] = rank.copy()
    # One number instead of two columns: that is sorted several times as fast.
    sequence = np.argsort(pairs["order"].astype(np.int64) << 32 | rank[pairs["touch"]])
    return {name: column[sequence] for name, column in pairs.items()}


def _in_total_order(source: Source, found: Mapping[str, NDArray[Any]], touches: Table) -> Pairs:
    """The pairs, those of one order and moment by the touches' source and event id."""
    order, touch, age = found["order"], found["touch"], found["age"]
    same = (order[1:] == order[:-1]) & (age[1:] == age[:-1])
    if same.any():
        among = np.append(same, False) | np.append([False], same)
        places = np.flatnonzero(among)
        rows = touches.row[touch[places]]
        names = source.names(TOUCHES, rows)
        rank = {row: number for number, row in enumerate(sorted(names, key=lambda row: names[row]))}
        ranks = np.array([rank[row] for row in rows.tolist()], np.int64)
        sequence = places[np.lexsort((ranks, -age[places], order[places]))]
        touch = touch.copy()
        kept = {name: column.copy() for name, column in found.items()}
        for name, column in found.items():
            kept[name][places] = column[sequence]
        found = kept
    return Pairs(
        order=found["order"].astype(np.int32, copy=False),
        touch=found["touch"].astype(np.int32, copy=False),
        age=found["age"].astype(np.int64, copy=False),
        tier=found["tier"].astype(np.int8, copy=False),
        conflict=found["conflict"].astype(np.bool_, copy=False),
    )
