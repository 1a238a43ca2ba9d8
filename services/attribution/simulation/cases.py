"""A period's orders and the touches tied to them, as columns: what every model is tried on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
Products: TypeAlias = NDArray[np.int32]

HANDLED: Final = "handled"
"""Of touches' values, 1 where a human agent took part in the conversation; with conversations only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Orders of a period, one a row; `row` is where the store keeps each, numbers are those of `store.facts`.

    `node` is as for touches. `amounts` are gross and net of the bases that were loaded, by the store's columns.
    """

    row: Numbers
    time: Numbers
    marks: Numbers
    status: Numbers
    currency: Numbers
    node: Numbers
    amounts: Mapping[str, Numbers]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touches:
    """Touches of the period and of the time that windows may reach back before it, in the store's sequence.

    `node` is the person whom a touch reached, or what it names where nobody is known by that; 0 where it names nobody.
    `values` are the columns that were loaded for filters, by the store's names.
    """

    row: Numbers
    time: Numbers
    marks: Numbers
    node: Numbers
    values: Mapping[str, Numbers]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Orders and the touches tied to them that are not later: by order, and within one in the touches' total order.

    `order` and `touch` count rows of `Orders` and `Touches`, `age` is the time between them, `tier` the strongest that
    ties them; `conflict` where the touch names another contact than the order. `since` is the time between a touch's
    end and the order: less than `age` for conversations.
    """

    order: NDArray[np.int32]
    touch: NDArray[np.int32]
    age: Numbers
    since: Numbers
    tier: NDArray[np.int8]
    conflict: Flags

    def __len__(self) -> int:
        return len(self.order)

    @classmethod
    def none(cls) -> "Pairs":
        """Nothing that is tied."""
        number, time = np.zeros(0, np.int32), np.zeros(0, np.int64)
        return cls(order=number, touch=number, age=time, since=time, tier=np.zeros(0, np.int8), conflict=time != 0)

    def between(self, start: int, end: int) -> "Pairs":
        """Some of the pairs."""
        return Pairs(
            order=self.order[start:end],
            touch=self.touch[start:end],
            age=self.age[start:end],
            since=self.since[start:end],
            tier=self.tier[start:end],
            conflict=self.conflict[start:end],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The orders' lines, one a row: those of order i begin at `start[i]` and end at `start[i + 1]`.

    `names` are what a line's product is called, as places in what is `known`, -1 for nothing. Amounts in micros: without
    tax, the tax, and what was given back of each.
    """

    start: Numbers
    known: Numbers
    names: tuple[Products, ...]
    gross: Numbers
    tax: Numbers
    given_back: Numbers
    tax_given_back: Numbers

    def __len__(self) -> int:
        return len(self.gross)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The products that touches name, as lines do: those of touch i begin at `start[i]`; -1 for what nobody bought."""

    start: Numbers
    product: Products


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Everything there is to decide on. `reach` is how old a touch of a pair may be; times in nanoseconds.

    What models seldom ask for is None until one does. `carts` is of each line how long before the order its product was
    viewed and put in the cart, both, for the last time. `conversations` are whole ones, each as a touch: its row is that
    of its first message, or what `~` makes of the row of a step.
    """

    orders: Orders
    touches: Touches
    pairs: Pairs
    from_time: int
    through_time: int
    reach: int
    lines: Lines | None = None
    products: Named | None = None
    carts: Numbers | None = None
    conversations: Touches | None = None
    conversation_pairs: Pairs | None = None

    @property
    def row_count(self) -> int:
        """How many rows there are, of whatever kind."""
        more = (self.lines, self.conversations, self.conversation_pairs)
        rows = sum(len(one) for one in more if one is not None)
        return len(self.orders) + len(self.touches) + len(self.pairs) + rows
