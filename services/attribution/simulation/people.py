"""Whom rows name, out of columns."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from services.attribution.simulation.cases import Numbers
from services.attribution.simulation.lookup import Lookup, in_parts
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, Table, read
from services.attribution.store.blocks import IDENTIFIERS
from services.attribution.store.facts import ABSENT, HUB_BIT, PERSON_BIT
from services.kernel.identifiers import Kind


def kind_name(kind: Kind) -> str:
    """What the columns of a kind are called."""
    return kind.name.lower()


class People:
    """Whom identifiers name: a person, nobody, or, where nothing is known of one, itself."""

    def __init__(self, told: Table, blocked: Collection[int]) -> None:
        identifier, marks = told.column("identifier"), told.column("marks")
        node = np.where((marks & PERSON_BIT) != 0, told.column("person_id"), identifier)
        node[(marks & HUB_BIT) != 0] = 0
        # Said last, whatever was told of it; what isn't there names nobody, either.
        nobody = np.array([ABSENT, *sorted(blocked)], np.int64)
        self._node = np.append(node, np.zeros_like(nobody))
        self._places = Lookup(np.append(identifier, nobody))

    def nodes(self, identifiers: Numbers) -> Numbers:
        """Whom each names: 0 for nobody, also where there is none."""
        found = in_parts(len(identifiers), lambda rows: self.nodes_of_few(identifiers[rows]))
        return np.concatenate([identifiers[:0], *found])

    def nodes_of_few(self, identifiers: Numbers) -> Numbers:
        """As `nodes`, in this thread alone."""
        places = self._places.places_of_few(identifiers)
        return np.where(places >= 0, self._node[places], identifiers)


def told_of(source: Source) -> Table:
    """All that was told of identifiers."""
    return read(source, IDENTIFIERS, ("identifier", "marks", "person_id"))


class Named(NamedTuple):
    """Rows, where the store keeps each, and whom they name.

    `values` are those of each kind that names anybody, 0 where one names nobody. `node` is the first that a row names, 0
    for none. The others stand apart: somebody may be several people for a moment, or because a person decided so.
    """

    row: Numbers
    time: Numbers
    values: Mapping[Kind, Numbers]
    node: Numbers
    other_row: Numbers
    other_node: Numbers

    def every_node(self) -> tuple[Numbers, Numbers]:
        """All nodes that rows name: the rows, and the nodes."""
        rows = np.flatnonzero(self.node)
        nodes = self.node if len(rows) == len(self.node) else self.node[rows]
        if not len(self.other_row):
            return rows, nodes
        return np.append(rows, self.other_row), np.append(nodes, self.other_node)


class _Found(NamedTuple):
    """Of some rows the first node, those that name another, whom, and by kind those of which the value names nobody."""

    node: Numbers
    other_row: Numbers
    other_node: Numbers
    nobody: dict[Kind, Numbers]


def named(people: People, table: Table, time: str, kinds: Sequence[Kind], stop: Stop) -> Named:
    """Whom a table's rows name by these kinds."""
    values = {kind: column for kind in kinds if (column := table.columns[kind_name(kind)]) is not None}

    def find(part: slice) -> _Found:
        stop.look()
        node = np.zeros(part.stop - part.start, np.int64)
        nobody, rows, nodes = {}, [node[:0]], [node[:0]]
        for kind, column in values.items():
            value = column[part]
            mine = people.nodes_of_few(value)
            nobody[kind] = part.start + np.flatnonzero((mine == 0) & (value != 0))
            others = np.flatnonzero((mine != node) & (mine != 0) & (node != 0))
            rows.append(part.start + others)
            nodes.append(mine[others])
            node = np.where(node == 0, mine, node)
        return _Found(node, np.concatenate(rows), np.concatenate(nodes), nobody)

    found = in_parts(len(table.row), find)
    none = np.zeros(0, np.int64)
    for kind, column in values.items():
        nobody = np.concatenate([none, *(one.nobody[kind] for one in found)])
        if len(nobody):
            values[kind] = column.copy()
            values[kind][nobody] = 0
    return Named(
        row=table.row,
        time=table.column(time),
        values=values,
        node=np.concatenate([none, *(one.node for one in found)]),
        other_row=np.concatenate([none, *(one.other_row for one in found)]),
        other_node=np.concatenate([none, *(one.other_node for one in found)]),
    )


class Buyers(NamedTuple):
    """Whom orders name, and where that and more comes from."""

    source: Source
    people: People
    named: Named
