"""Finds what orders consist of, and what was seen of it before, out of columns."""

from collections.abc import Collection
from typing import Final

import numpy as np

from services.attribution.simulation import joining, people
from services.attribution.simulation.cases import Cases, Flags, Lines, Named, Numbers, Products
from services.attribution.simulation.joining import Keyed
from services.attribution.simulation.lookup import Lookup, ranges
from services.attribution.simulation.people import Buyers, kind_name, named
from services.attribution.simulation.stopping import Stop
from services.attribution.simulation.tables import Source, Table, listed, read
from services.attribution.store.blocks import ORDERS, SEEN, TOUCHES
from services.attribution.store.facts import ADDED_BIT, ORDER_KINDS, SEEN_BY_CRAWLER_BIT

_NAMES: Final = ("line_product", "line_variant", "line_sku")

NEVER: Final = 2**62
"""Longer ago than any touch."""


def find_lines(source: Source, cases: Cases) -> tuple[Lines, Named]:
    """The lines of the cases' orders, and those of their products that touches name."""
    told = listed(source, ORDERS, cases.orders.row)
    names = [told.lists[name] for name in _NAMES]
    known = _known(names)
    touched = listed(source, TOUCHES, cases.touches.row, (cases.from_time - cases.reach, cases.through_time))
    found = Lines(
        start=told.start,
        known=known,
        names=tuple(_numbered(known, one) for one in names),
        gross=told.lists["line_gross"],
        tax=told.lists["line_tax"],
        given_back=told.lists["line_given_back"],
        tax_given_back=told.lists["line_tax_given_back"],
    )
    return found, Named(start=touched.start, product=_numbered(known, touched.lists["products"]))


def find_carts(buyers: Buyers, cases: Cases, stop: Stop, *, count_crawlers: bool) -> Numbers:
    """How long before its order each line's product was both viewed and put in the cart; `NEVER` where it was not.

    What was seen longer ago than the cases reach is not looked at.
    """
    source, whom, by = buyers
    if cases.lines is None or not len(cases.lines):
        return np.zeros(0, np.int64)
    times = cases.from_time - cases.reach, cases.through_time
    seen = read(source, SEEN, ("occur_time", "marks", *map(kind_name, ORDER_KINDS)), times)
    shown = _shown(source, seen, cases.lines.known, times, count_crawlers=count_crawlers)
    seen_by = named(whom, seen, "occur_time", ORDER_KINDS, stop)
    known, timeline = Lookup(by.every_node()[1]), joining.timeline(seen_by.time)
    stop.look()
    sold = _sold(known, by, cases.lines)
    shown_to = _shown_to(known, seen_by, shown)
    order = np.repeat(np.arange(len(cases.lines.start) - 1), np.diff(cases.lines.start))
    first, last = timeline.before(by.time, cases.reach)
    line, rank = joining.tied(
        sold, shown_to._replace(number=timeline.rank[shown_to.number]), (first[order], last[order]), stop
    )
    saw, order = timeline.row[rank], order[line]
    tier, conflict = joining.tiers_between(by, seen_by, order, saw)
    added = (seen.column("marks")[saw] & ADDED_BIT) != 0
    counts = (tier != joining.PERSON_TIER) | ~conflict
    ago = by.time[order] - seen_by.time[saw]

    def last_time(chosen: Flags) -> Numbers:
        """How long ago the last of these was: those of a line stand by time, and whoever is assigned last stays."""
        found = np.full(len(cases.lines or ()), NEVER)
        found[line[chosen]] = ago[chosen]
        return found

    return np.maximum(last_time(counts & added), last_time(counts & ~added))


def _shown(source: Source, seen: Table, known: Numbers, times: tuple[int, int], *, count_crawlers: bool) -> Named:
    """The known products that rows show, none of those that crawlers saw unless these count."""
    told = listed(source, SEEN, seen.row, times)
    product = _numbered(known, told.lists["products"])
    size = np.diff(told.start)
    chosen = product >= 0
    if not count_crawlers:
        chosen &= np.repeat((seen.column("marks") & SEEN_BY_CRAWLER_BIT) == 0, size)
    row = np.repeat(np.arange(len(size)), size)[chosen]
    return Named(start=np.append(0, np.cumsum(np.bincount(row, minlength=len(size)))), product=product[chosen])


def _sold(known: Lookup, by: people.Named, lines: Lines) -> Keyed:
    """Each line, with each name of its product for each node that its order names."""
    order, node = by.every_node()
    place, size = known.places(node).astype(np.int64) << 32, np.diff(lines.start)[order]
    line, place = ranges(lines.start[order], size), np.repeat(place, size)
    chosen = [name[line] >= 0 for name in lines.names]
    return Keyed(
        np.concatenate([line[one] for one in chosen]),
        np.concatenate([place[one] | name[line[one]] for one, name in zip(chosen, lines.names, strict=True)]),
    )


def _shown_to(known: Lookup, seen_by: people.Named, shown: Named) -> Keyed:
    """Each row, with each product that it shows for each node that it names, if orders name that, too."""
    row, node = seen_by.every_node()
    place = known.places(node)
    row, place = row[place >= 0], place[place >= 0].astype(np.int64) << 32
    size = np.diff(shown.start)[row]
    return Keyed(np.repeat(row, size), np.repeat(place, size) | shown.product[ranges(shown.start[row], size)])


def _known(names: Collection[Numbers]) -> Numbers:
    """What products are called, each name once, in ascending sequence."""
    return np.unique(np.concatenate([np.zeros(0, np.int64), *(one[one != 0] for one in names)]))


def _numbered(known: Numbers, names: Numbers) -> Products:
    """The place of each name among those known, -1 for another."""
    if not len(known):
        return np.full(len(names), -1, np.int32)
    places = np.minimum(np.searchsorted(known, names), len(known) - 1)
    return np.where(known[places] == names, places, -1).astype(np.int32)
