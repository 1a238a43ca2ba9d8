"""What a tenant's settings and models mean to figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.kernel.failures import InvalidArgumentError

DEFAULT_MODEL = "conversations"
"""The model of a request that names none."""

DEFAULT_MODELS: Mapping[str, int] = dict.fromkeys(
    (DEFAULT_MODEL, "contact", "personalization", "recommendation_assisted", "recommendation_direct"), 1
)
"""The versions of the models that hold before a tenant has chosen any."""

UTC = "UTC"


EDITIONS = 2**43
"""More than there will be positions in a log, and so editions."""


def counting_of(book: int) -> int:
    """The counting that a book of figures belongs to."""
    return book // EDITIONS


class Cost(NamedTuple):
    """What the assistant costs a month, in millionths of a currency."""

    currency_code: str
    monthly_micros: int


OrderPlace = tuple[int, str, str]
"""A place in the sequence of a tenant's orders: edition, source and id."""

BEFORE_ALL_ORDERS: OrderPlace = (-1, "", "")

FactPlace = tuple[str, str]
"""A place in the sequence of a tenant's facts of activity: kind and key."""

BEFORE_ALL_FACTS: FactPlace = ("", "")
BEHIND_ALL_FACTS: FactPlace = ("~", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """A counting that is being made, under other settings than figures are counted by.

    Where it counts orders anew it has a book of its own, and `reached` is the last order in it; else it is None.
    `activity` is the last fact of activity of which is known what it will count as. `done` facts and orders of `total`
    were gone through; it is None until they are counted.
    """

    counting: int
    time_zone: str
    currency_code: str
    settings: bytes
    reached: OrderPlace | None
    activity: FactPlace = BEFORE_ALL_FACTS
    done: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant as figures see it. Before any settings: days in UTC, no reporting currency, the default models.

    `settings_position` is that in the event log which the settings come from; `edition` that of the credits which
    figures are made of, and `models` are those that it has. A newer one is kept beside it until it is complete.

    `counting` tells by which zone and currency orders are counted, among all by which they ever were. After a change
    all fields are as before, and `coming` has the settings told last, until everything is counted by them.
    """

    tenant_id: str
    partition: int
    time_zone: str = UTC
    currency_code: str = ""
    settings_position: int = 0
    models: Mapping[str, int] = field(default_factory=lambda: DEFAULT_MODELS)
    edition: int = 0
    settings: bytes = b""
    """The settings' document as it was told, for the kinds of activity that read more of it."""
    counting: int = 0
    coming: Coming | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose days are counted."""
        return ZoneInfo(self.time_zone)

    def model_version(self, model: str) -> int:
        """The version of an active model; raises `InvalidArgumentError` naming `model` for another one."""
        if model not in self.models:
            there_are = ", ".join(sorted(self.models)) or "none"
            raise InvalidArgumentError.of("model", f"there is no active model {model!r}; there are: {there_are}")
        return self.models[model]

    @property
    def book(self) -> int:
        """Which cells of orders figures are read from: those of one counting and one edition of credits."""
        return self.book_of(self.edition)

    def book_of(self, edition: int) -> int:
        """The cells of orders of an edition, as they are counted now. A newer counting's book is a greater number."""
        return self.counting * EDITIONS + edition

    @property
    def newest(self) -> "Tenant":
        """The tenant as it is counted when what is coming is complete."""
        if self.coming is None:
            return self
        return replace(
            self,
            time_zone=self.coming.time_zone,
            currency_code=self.coming.currency_code,
            settings=self.coming.settings,
            counting=self.coming.counting,
            coming=None,
        )

    @property
    def ways(self) -> tuple["Tenant", ...]:
        """The tenant in each counting that orders are kept in."""
        return (self, self.newest) if self.coming and self.coming.reached else (self,)

    def zone_of(self, book: int) -> ZoneInfo:
        """The zone whose days are counted in a book."""
        return self.newest.zone if self.coming and counting_of(book) == self.coming.counting else self.zone

    def told(self, position: int, time_zone: str, currency_code: str, settings: bytes) -> "Tenant":
        """The tenant after settings at a position of the event log, those at the greatest one being those that hold."""
        newest = self.newest
        if position <= self.settings_position:
            return self
        if settings == newest.settings:
            return replace(self, settings_position=position)
        again = (time_zone, currency_code) != (newest.time_zone, newest.currency_code)
        unfinished = self.coming is not None and self.coming.reached is not None
        coming = Coming(
            counting=newest.counting + again,
            time_zone=time_zone,
            currency_code=currency_code,
            settings=settings,
            reached=BEFORE_ALL_ORDERS if again else self.coming.reached if self.coming and unfinished else None,
        )
        return replace(self, settings_position=position, coming=coming)
