"""Joins orders and what happened to their buyers by the people whom both name: an engine, its relations, and pairs."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from services.attribution.simulation.cases import Numbers, Pairs
from services.attribution.simulation.tables import Source, Table, arrow, last_told
from services.attribution.store.facts import HUB_BIT, PERSON_BIT, TOUCH_KINDS
from services.kernel.failures import FailedPreconditionError
from services.kernel.identifiers import Kind

_THREADS: Final = 2
_MOST_MEMORY: Final = "6GB"
"""Joins take no more than this; nothing is written to disk."""

_TIERS: Final = ((Kind.SESSION, 1), (Kind.EMAIL, 2), (Kind.PHONE, 3), (Kind.CUSTOMER, 4), (Kind.VISITOR, 5))
_CONTACTS: Final = (Kind.EMAIL, Kind.PHONE, Kind.CUSTOMER)
PERSON_TIER: Final = 6
"""The tier of what is tied through people alone."""


class Buyers(NamedTuple):
    """Orders of which an engine has a table `buyer` that is resolved, the kinds that these name anybody by, and a source."""

    engine: "duckdb.DuckDBPyConnection"
    source: Source
    kinds: Collection[Kind]


Names = Callable[[Numbers], Mapping[int, tuple[str, ...]]]
"""Source and event id of events, by where the store keeps them."""


def kind_name(kind: Kind) -> str:
    """What the columns of a kind are called."""
    return kind.name.lower()


@contextmanager
def engine() -> Iterator["duckdb.DuckDBPyConnection"]:
    """An engine without any relation. Raises FailedPreconditionError for what needs more memory than there is."""
    config: dict[str, Any] = {
        "threads": _THREADS,
        "memory_limit": _MOST_MEMORY,
        "temp_directory": "",
        "preserve_insertion_order": "false",
    }
    opened = duckdb.connect(config=config)
    try:
        yield opened
    except duckdb.OutOfMemoryException as error:
        raise FailedPreconditionError(
            "PERIOD_TOO_LONG", "There is too much to try at once: ask for fewer days."
        ) from error
    finally:
        opened.close()


def register_people(engine: "duckdb.DuckDBPyConnection", told: Table, blocked: Collection[int]) -> None:
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
        engine.register(f"known_{kind_name(one)}", arrow(columns))


def resolve(
    engine: "duckdb.DuckDBPyConnection", name: str, table: Table, time: str, kinds: Sequence[Kind]
) -> frozenset[Kind]:
    """A table of whom rows name, with the kinds that they name anybody by.

    It has each kind's value, 0 where that names nobody, and as `node` the first of the nodes that a row names, 0 for
    none. Another table has the others: somebody may be several people for a moment, or because a person decided so.
    """
    there = [kind for kind in kinds if table.columns[kind_name(kind)] is not None]
    names = [kind_name(kind) for kind in there]
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
    others += ["SELECT 0 AS number, 0::bigint AS node WHERE false"]
    if engine.execute(f"SELECT 1 FROM {name} WHERE several LIMIT 1").fetchone() is None:
        others = others[-1:]
    engine.execute(
        f"""CREATE TABLE other_{name} AS
            WITH several_nodes AS ({resolved.format(chosen=chosen)}) {" UNION ".join(others)}"""
    )
    return frozenset(there)


def nodes(engine: "duckdb.DuckDBPyConnection", name: str, table: Table) -> Numbers:
    """The first node of each row of a table that was resolved."""
    found_nodes = np.zeros(len(table.row), np.int64)
    found = engine.execute(f"SELECT number, node FROM {name}").fetchnumpy()
    found_nodes[found["number"]] = found["node"]
    return found_nodes


def every_node(name: str) -> str:
    """A query of all nodes that the rows of a resolved table name, each as (number, node)."""
    return f"SELECT number, node FROM {name} WHERE node <> 0 UNION ALL SELECT number, node FROM other_{name}"


def tier_between(left: str, right: str, common: Collection[Kind]) -> str:
    """The strongest tier between rows of two resolved tables that have a node in common, by kinds that both have."""
    names = [(kind_name(kind), tier) for kind, tier in _TIERS if kind in common]
    tiers = [f"WHEN {left}.{one} <> 0 AND {left}.{one} = {right}.{one} THEN {tier}" for one, tier in names]
    return f"CASE {' '.join([*tiers, f'WHEN true THEN {PERSON_TIER}'])} END"


def conflict_between(left: str, right: str, common: Collection[Kind]) -> str:
    """Whether one row names another contact than the other."""
    names = [kind_name(kind) for kind in _CONTACTS if kind in common]
    found = [f"({left}.{one} <> 0 AND {right}.{one} <> 0 AND {left}.{one} <> {right}.{one})" for one in names]
    return f"({' OR '.join([*found, 'false'])})"


def tier_of(kind: str, left: str, value: str, common: Collection[Kind]) -> str:
    """As `tier_between`, of a single value whose kind stands in a column."""
    names = [(kind_name(one), int(one), tier) for one, tier in _TIERS if one in common]
    tiers = [f"WHEN {kind} = {number} AND {left}.{one} = {value} THEN {tier}" for one, number, tier in names]
    return f"CASE {' '.join([*tiers, f'WHEN true THEN {PERSON_TIER}'])} END"


def conflict_of(kind: str, left: str, value: str, common: Collection[Kind]) -> str:
    """As `conflict_between`, of a single value whose kind stands in a column."""
    names = [(kind_name(one), int(one)) for one in _CONTACTS if one in common]
    found = [f"({kind} = {number} AND {left}.{one} <> 0 AND {left}.{one} <> {value})" for one, number in names]
    return f"({' OR '.join([*found, 'false'])})"


def in_total_order(names: Names, pairs: Mapping[str, NDArray[Any]], rows: Numbers, time: Numbers) -> Pairs:
    """Pairs by order, and within one by the touches' time, source and event id.

    `rows` and `time` are the touches'; a pair has `order`, `touch`, `age`, `since`, `tier` and `conflict`.
    """
    rank = np.arange(len(time))
    if (time[1:] < time[:-1]).any():
        rank[np.argsort(time, kind="stable")] = rank.copy()
    # One number instead of two columns: that is sorted several times as fast.
    sequence = np.argsort(pairs["order"].astype(np.int64) << 32 | rank[pairs["touch"]])
    found = {name: column[sequence] for name, column in pairs.items()}
    order, touch, age = found["order"], found["touch"], found["age"]
    same = (order[1:] == order[:-1]) & (age[1:] == age[:-1])
    if same.any():
        among = np.append(same, False) | np.append([False], same)
        places = np.flatnonzero(among)
        ranks = name_ranks(names, rows[touch[places]])
        moved = places[np.lexsort((ranks, -age[places], order[places]))]
        found = {name: column.copy() for name, column in found.items()}
        for column in found.values():
            column[places] = column[moved]
    return Pairs(
        order=found["order"].astype(np.int32, copy=False),
        touch=found["touch"].astype(np.int32, copy=False),
        age=found["age"].astype(np.int64, copy=False),
        since=found["since" if "since" in found else "age"].astype(np.int64, copy=False),
        tier=found["tier"].astype(np.int8, copy=False),
        conflict=found["conflict"].astype(np.bool_, copy=False),
    )


def name_ranks(names: Names, rows: Numbers) -> Numbers:
    """Where each event stands among these by source and event id."""
    known = names(rows)
    rank = {row: number for number, row in enumerate(sorted(known, key=known.__getitem__))}
    return np.array([rank[row] for row in rows.tolist()], np.int64)
