"""A large shop's orders and touches, as attribution keeps them in columns and as Parquet files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.attribution.domain.conversations import Stage
from services.attribution.store import facts
from services.attribution.store.blocks import (
    IDENTIFIERS,
    ORDERS,
    SEEN,
    STEPS,
    TOUCHES,
    Block,
    Layout,
    append_blocks,
)
from services.chassis.database import open_database
from services.kernel.identifiers import Kind

START = 1_788_220_800
"""1 September 2026, in seconds: the period's first moment."""

DAYS = 60
_NANOS = 1_000_000_000
_BLOCK = 65_536
_EUR, _USD = facts.currency_number("EUR"), facts.currency_number("USD")
_PROCESSING, _PENDING = facts.number("status", "processing"), facts.number("status", "pending")
_WOOCOMMERCE = 3
_NO_HUB = facts.PERSON_BIT
_RECOMMENDATION = 5
_SHOWN, _LINES = 2, 2
"""Products of a recommendation, and lines of an order."""
_PRODUCTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the shop is."""

    orders: int = 1_000_000
    touches: int = 5_000_000

    @property
    def people(self) -> int:
        """A person has six touches, and somewhat more than one order."""
        return self.touches * 4 // 25


class Shop:
    """Columns drawn from a seed: touches by visit, orders in visits or without one, and whom identifiers name."""

    def __init__(self, size: Size) -> None:
        random = np.random.default_rng(20_261_101)
        self._random, people = random, size.people
        who, visit = random.integers(0, people, size.touches), random.integers(0, 3, size.touches)
        self.touches = {
            "occur_time": self._times(size.touches, DAYS),
            "marks": self._marks(size.touches),
            "session": _number(Kind.SESSION, who * 3 + visit),
            "visitor": _number(Kind.VISITOR, who),
            "email": np.where(random.random(size.touches) < 0.3, _number(Kind.EMAIL, who), 0),
            "conversation": np.where(visit == 0, _number(Kind.CONVERSATION, who * 3 + visit), 0),
            "person": _person(who),
        }
        recommended = (self.touches["marks"] & facts.CHANNEL_BITS) == _RECOMMENDATION
        self.touches["product_count"] = np.where(recommended, _SHOWN, 0)
        # Two different ones each.
        shown = random.integers(0, _PRODUCTS, int(recommended.sum()))
        shown = np.stack([shown, (shown + random.integers(1, _PRODUCTS, len(shown))) % _PRODUCTS], axis=1)
        self.touch_lists = {"products": _product(shown.reshape(-1))}
        buyer, placed = random.integers(0, people, size.orders), self._times(size.orders, DAYS)
        amount = random.integers(500, 30_000, size.orders) * 10_000
        self.orders = {
            "order_time": placed,
            "order_key": _number(Kind.CLICK, np.arange(size.orders)),
            "marks": np.full(size.orders, _WOOCOMMERCE),
            "status": np.where(random.random(size.orders) < 0.95, _PROCESSING, _PENDING),
            "currency": np.where(random.random(size.orders) < 0.8, _EUR, _USD),
            "gross_micros": amount,
            "net_micros": np.where(random.random(size.orders) < 0.05, amount // 20_000 * 10_000, amount),
            "session": np.where(
                random.random(size.orders) < 0.6,
                _number(Kind.SESSION, buyer * 3 + random.integers(0, 3, size.orders)),
                0,
            ),
            "visitor": np.where(random.random(size.orders) < 0.8, _number(Kind.VISITOR, buyer), 0),
            "email": _number(Kind.EMAIL, buyer),
            "person": _person(buyer),
            "line_count": np.full(size.orders, _LINES),
        }
        bought = random.integers(0, _PRODUCTS, size.orders)
        bought = np.stack([bought, (bought + random.integers(1, _PRODUCTS, size.orders)) % _PRODUCTS], axis=1)
        first = amount // 30_000 * 10_000
        worth = np.stack([first, amount - first], axis=1).reshape(-1)
        returned = np.where(self.orders["net_micros"] < amount, 1, 0).repeat(_LINES)
        self.order_lists = {
            "line_product": _product(bought.reshape(-1)),
            "line_gross": worth,
            "line_given_back": worth // 20_000 * 10_000 * returned,
        }
        # In every other order the first product was looked at and put in the cart; others look at anything.
        carts = np.flatnonzero(random.random(size.orders) < 0.5)
        looks = random.integers(0, people, size.orders)
        looker = np.concatenate([buyer[carts], buyer[carts], looks])
        ago = random.integers(60, 3_600, len(carts)) * _NANOS
        self.seen = {
            "occur_time": np.concatenate(
                [placed[carts] - ago, placed[carts] - ago // 2, self._times(len(looks), DAYS)]
            ),
            "marks": np.concatenate([np.zeros(len(carts)), np.ones(len(carts)), looks % 2]).astype(np.int64),
            "visitor": _number(Kind.VISITOR, looker),
            "person": _person(looker),
            "product_count": np.ones(len(looker), np.int64),
        }
        what = random.integers(0, _PRODUCTS, len(looks))
        self.seen_lists = {"products": _product(np.concatenate([bought[carts, 0], bought[carts, 0], what]))}
        handled = np.flatnonzero(random.random(people) < 0.5)
        self.steps = {
            "occur_time": np.sort(self._times(len(handled), DAYS)),
            "marks": np.full(len(handled), int(Stage.CLOSED) | facts.BY_AGENT_BIT),
            "conversation": _number(Kind.CONVERSATION, handled * 3),
        }
        everybody = np.arange(people)
        visits = np.arange(people * 3)
        self.identifiers = {
            kind: (_number(kind, own), _person(owner))
            for kind, own, owner in (
                (Kind.SESSION, visits, visits // 3),
                (Kind.VISITOR, everybody, everybody),
                (Kind.EMAIL, everybody, everybody),
                (Kind.CONVERSATION, visits[::3], everybody),
            )
        }

    def _times(self, count: int, days: int) -> np.ndarray:
        return START * _NANOS + np.sort(self._random.integers(0, days * 86_400 * 1_000, count)) * 1_000_000

    def _marks(self, count: int) -> np.ndarray:
        """Chat and FAQ above all; two answers in three help."""
        channel = self._random.choice([1, 2, 3, 4, 5, 6], count, p=[0.4, 0.2, 0.1, 0.1, 0.15, 0.05])
        action = self._random.choice([1, 2, 3], count, p=[0.6, 0.25, 0.15])
        answer = self._random.choice([0, 1, 2], count, p=[0.2, 0.65, 0.15])
        crawler = np.where(self._random.random(count) < 0.01, facts.CRAWLER_BIT, 0)
        marks: np.ndarray = channel | action << facts.ACTION_SHIFT | answer << facts.ANSWER_SHIFT | crawler
        return marks

    def blocks(self) -> Iterator[tuple[Layout, Block]]:
        """All that attribution keeps of the shop in columns."""
        yield from _blocks(TOUCHES, {**self.touches, **self.touch_lists}, "occur_time")
        yield from _blocks(ORDERS, {**self.orders, **self.order_lists}, "order_time")
        yield from _blocks(SEEN, {**self.seen, **self.seen_lists}, "occur_time")
        yield from _blocks(STEPS, self.steps, "occur_time")
        kinds = [
            {
                "told_time": np.zeros(len(own), np.int64),
                "identifier": own,
                "kind": np.full(len(own), int(kind)),
                "marks": np.full(len(own), _NO_HUB),
                "person_id": person,
            }
            for kind, (own, person) in self.identifiers.items()
        ]
        columns = {name: np.concatenate([one[name] for one in kinds]) for name in IDENTIFIERS.columns}
        # As people come together bit by bit, some are told twice.
        twice = self._random.integers(0, len(columns["identifier"]), len(columns["identifier"]) // 20)
        yield from _blocks(IDENTIFIERS, {name: column[twice] for name, column in columns.items()}, "told_time")
        yield from _blocks(IDENTIFIERS, columns, "told_time")

    def write_parquet(self, directory: Path) -> None:
        """The same as two files that a person would lay out for such a question: people already found."""
        channel = self.touches["marks"] & facts.CHANNEL_BITS
        action = self.touches["marks"] >> facts.ACTION_SHIFT & 7
        answer = self.touches["marks"] >> facts.ANSWER_SHIFT & 3
        told = {
            "touch_id": np.arange(len(channel)),
            **{
                name: self.touches[name]
                for name in ("occur_time", "session", "visitor", "email", "conversation", "person")
            },
            "channel": channel.astype(np.int8),
            "action": action.astype(np.int8),
            "answer": answer.astype(np.int8),
            "crawler": (self.touches["marks"] & facts.CRAWLER_BIT) > 0,
        }
        pq.write_table(pa.table(told), directory / "touches.parquet")
        recommended = np.repeat(np.arange(len(channel)), self.touches["product_count"])
        shown = {"touch_id": recommended, "product": self.touch_lists["products"]}
        pq.write_table(pa.table(shown), directory / "shown.parquet")
        seen = {name: self.seen[name] for name in ("occur_time", "person")}
        seen |= {"added": self.seen["marks"] == facts.ADDED_BIT, "product": self.seen_lists["products"]}
        pq.write_table(pa.table(seen), directory / "seen.parquet")
        lines = len(self.order_lists["line_gross"])
        told = {
            "order_id": np.arange(lines) // _LINES,
            "line": np.arange(lines) % _LINES,
            "product": self.order_lists["line_product"],
            "gross": self.order_lists["line_gross"],
            "net": self.order_lists["line_gross"] - self.order_lists["line_given_back"],
        }
        pq.write_table(pa.table(told), directory / "lines.parquet")
        steps = {name: self.steps[name] for name in ("occur_time", "conversation")}
        pq.write_table(pa.table(steps), directory / "steps.parquet")
        names = ("order_time", "gross_micros", "net_micros", "session", "visitor", "email", "person")
        orders = {
            "order_id": np.arange(len(self.orders["status"])),
            **{name: self.orders[name] for name in names},
            "currency": np.where(self.orders["currency"] == _EUR, "EUR", "USD"),
            "counted": self.orders["status"] == _PROCESSING,
        }
        pq.write_table(pa.table(orders), directory / "orders.parquet")


async def keep(database_url: str, schema: str, tenant_id: str, shop: Shop) -> None:
    """Keeps a shop where attribution does, as its follower would."""
    engine = open_database(database_url, schema=schema)
    try:
        for layout, block in shop.blocks():
            async with engine.begin() as connection:
                await append_blocks(connection, layout, {tenant_id: block})
    finally:
        await engine.dispose()


def _blocks(layout: Layout, columns: dict[str, np.ndarray], time: str) -> Iterator[tuple[Layout, Block]]:
    count = len(columns[time])
    ends = np.append(0, np.cumsum(columns[layout.columns[-1]])) if layout.lists else np.zeros(count + 1, np.int64)
    for start in range(0, count, _BLOCK):
        rows = slice(start, min(start + _BLOCK, count))
        listed = slice(ends[rows.start], ends[rows.stop])
        packed = [
            columns[name][rows].astype("<i8").tobytes() if name in columns and columns[name][rows].any() else b""
            for name in layout.columns
        ]
        lists = [columns[name][listed].astype("<i8").tobytes() if name in columns else b"" for name in layout.lists]
        numbers = range(rows.start, rows.stop)
        names = "".join(f"bench\0{layout.table}-{number:08}\0" for number in numbers) if layout.names else ""
        times = columns[time][rows]
        yield (
            layout,
            Block(
                rows.stop - rows.start,
                int(times.min()),
                int(times.max()),
                (*packed, *lists, names.encode()),
            ),
        )


def _number(kind: Kind, own: np.ndarray) -> np.ndarray:
    """Numbers as spread as hashes, and as unlikely to meet."""
    mixed = own.astype(np.uint64) * np.uint64(8) + np.uint64(kind)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))).view(np.int64)


def _product(numbers: np.ndarray) -> np.ndarray:
    known = np.array([facts.product_number(f"product-{number}") for number in range(_PRODUCTS)])
    return known.take(numbers)


def _person(who: np.ndarray) -> np.ndarray:
    return _number(Kind(7), who + (1 << 40))
