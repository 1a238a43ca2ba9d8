"""Finds what orders consist of, and what was seen of it before, out of columns."""

from collections.abc import Collection
from typing import Final

import numpy as np

from services.attribution.simulation import joining
from services.attribution.simulation.cases import Cases, Lines, Named, Numbers, Products
from services.attribution.simulation.joining import kind_name
from services.attribution.simulation.tables import Source, arrow, listed, read
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


def find_carts(buyers: joining.Buyers, cases: Cases, *, count_crawlers: bool) -> Numbers:
    """How long before its order each line's product was both viewed and put in the cart; `NEVER` where it was not.

    What was seen longer ago than the cases reach is not looked at.
    """
    engine, source, buyers_by = buyers
    found = np.full(len(cases.lines or ()), NEVER)
    if cases.lines is None or not len(found):
        return found
    times = cases.from_time - cases.reach, cases.through_time
    seen = read(source, SEEN, ("occur_time", "marks", *map(kind_name, ORDER_KINDS)), times)
    shown = listed(source, SEEN, seen.row, times)
    product = _numbered(cases.lines.known, shown.lists["products"])
    number = np.repeat(np.arange(len(seen.row), dtype=np.int32), np.diff(shown.start))
    marks = seen.column("marks")[number]
    chosen = (product >= 0) & (count_crawlers | ((marks & SEEN_BY_CRAWLER_BIT) == 0))
    shown_columns = {
        "number": number[chosen],
        "product": product[chosen],
        "added": (marks[chosen] & ADDED_BIT).astype(np.int8),
    }
    seen_by = joining.resolve(engine, "saw", seen, "occur_time", ORDER_KINDS)
    engine.register("shown", arrow(shown_columns))
    engine.register("named_line", arrow(_named_lines(cases.lines)))
    common = frozenset(buyers_by) & seen_by
    last = engine.execute(
        f"""SELECT line, min(buyer.time - saw.time) FILTER (added = 0) AS last_viewed,
                   min(buyer.time - saw.time) FILTER (added = 1) AS last_added
            FROM (SELECT line, product, "order", node
                  FROM named_line JOIN ({joining.every_node("buyer")}) AS buyer ON buyer.number = "order") AS bought
            JOIN (SELECT shown.number, product, added, node
                  FROM shown JOIN ({joining.every_node("saw")}) AS saw USING (number)) AS looked_at
                 USING (node, product)
            JOIN buyer ON buyer.number = "order"
            JOIN saw ON saw.number = looked_at.number
            WHERE saw.time BETWEEN buyer.time - $reach AND buyer.time
              AND ({joining.tier_between("buyer", "saw", common)} <> {joining.PERSON_TIER}
                   OR NOT {joining.conflict_between("buyer", "saw", common)})
            GROUP BY line HAVING last_viewed IS NOT NULL AND last_added IS NOT NULL""",
        {"reach": cases.reach},
    ).fetchnumpy()
    found[last["line"]] = np.maximum(last["last_viewed"], last["last_added"])
    return found


def _known(names: Collection[Numbers]) -> Numbers:
    """What products are called, each name once, in ascending sequence."""
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *names]))
    found: Numbers = every[every != 0]
    return found


def _numbered(known: Numbers, names: Numbers) -> Products:
    """The place of each name among those known, -1 for another."""
    if not len(known):
        return np.full(len(names), -1, np.int32)
    places = np.minimum(np.searchsorted(known, names), len(known) - 1)
    return np.where(known[places] == names, places, -1).astype(np.int32)


def _named_lines(lines: Lines) -> dict[str, Products]:
    """Each line with each name of its product."""
    order = np.repeat(np.arange(len(lines.start) - 1, dtype=np.int32), np.diff(lines.start))
    line = np.arange(len(order), dtype=np.int32)
    chosen = [one >= 0 for one in lines.names]
    return {
        "order": np.concatenate([order[one] for one in chosen]),
        "line": np.concatenate([line[one] for one in chosen]),
        "product": np.concatenate([name[one] for name, one in zip(lines.names, chosen, strict=True)]),
    }
