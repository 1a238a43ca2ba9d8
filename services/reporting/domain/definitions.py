"""What a metric's definition is made of: units, dimensions, the cells that it is summed from, and its formula."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import NamedTuple

from services.reporting.domain.cells import ActivityCell, Cell, UniqueCell

DAY, WEEK, MONTH = "day", "week", "month"
CHANNEL, TOUCHPOINT, TIER, BOT, AGENT, CAMPAIGN = "channel", "touchpoint", "tier", "bot", "agent", "campaign"
ORIGIN_TYPE, TAG, CLASSIFICATION, CLASSIFICATION_TYPE = "origin_type", "tag", "classification", "classification_type"
SKU, EXPERIENCE, JOURNEY, VARIANT, CURRENCY = "sku", "experience", "journey", "variant", "currency"
NOTIFICATION_CHANNEL = "notification_channel"
OPTION, LAST_MESSAGE, STEP, COMPLETION = "option", "last_message", "step", "completion"
JOURNEY_PATH = "journey_path"

TIMES = (DAY, WEEK, MONTH)
DIMENSIONS = (
    *TIMES,
    CHANNEL,
    TOUCHPOINT,
    TIER,
    BOT,
    AGENT,
    ORIGIN_TYPE,
    TAG,
    CLASSIFICATION,
    CLASSIFICATION_TYPE,
    SKU,
    CAMPAIGN,
    EXPERIENCE,
    JOURNEY,
    NOTIFICATION_CHANNEL,
    VARIANT,
    OPTION,
    LAST_MESSAGE,
    STEP,
    COMPLETION,
    JOURNEY_PATH,
    CURRENCY,
)
"""Every dimension there is."""

COLUMNS = {
    CURRENCY: "currency_code",
    OPTION: "label",
    LAST_MESSAGE: "label",
    COMPLETION: "label",
    JOURNEY_PATH: "label",
}
"""The field of the cells' keys that a dimension stands for, where its name is another one."""

CHANNELS = ("CHAT", "FAQ", "JOURNEY", "MESSAGING", "NUDGE", "PERSONALIZATION", "RECOMMENDATION")
TIERS = ("CUSTOMER", "EMAIL", "PERSON", "PHONE", "SESSION", "VISITOR")
ORIGIN_TYPES = ("AD", "CAMPAIGN", "INBOUND", "LINK")

KNOWN_VALUES = {CHANNEL: CHANNELS, TIER: TIERS, ORIGIN_TYPE: ORIGIN_TYPES}
"""The values of those dimensions that have no others."""


class Unit(IntEnum):
    """What a figure is measured in; numbered as in `touchstone.reporting.v1.Metric.Unit`."""

    COUNT = 1
    MONEY = 2
    RATIO = 3
    SECONDS = 4


class CostDay(NamedTuple):
    """What the assistant costs on a day, drawn from the tenant's settings; no rollup. Measure: shares.

    A day costs its month's part of the monthly cost: a share is a millionth of money, less than a unit by
    `COST_SHARES`, a number that the length of every month divides, so that shares are whole.
    """

    tenant_id: str
    day: date
    currency_code: str


COST_SHARES = 28 * 29 * 15 * 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The cells of one family that some metrics are summed from.

    `by_model` says that they are those of the request's model; else those of `model`, which is empty where no model
    matters. `led_by` are certain models that decide what is counted in cells which name none: where none of them is
    active, nothing is. `where` gives further fields of the key and their values. `dimensions` are what the cells can
    be told apart by. `awaited` says that some of what they count is not to be counted before a moment. `standing` says that
    all days up to a moment add up to what there is at that moment: the present one, or the end of the compared period.
    """

    family: type[Cell] | type[CostDay]
    by_model: bool
    where: tuple[tuple[str, str | bool], ...]
    dimensions: tuple[str, ...]
    model: str = ""
    led_by: tuple[str, ...] = ()
    awaited: bool = False
    standing: bool = False

    def models(self, asked: str) -> tuple[str, ...]:
        """Those of which one must be active, where `asked` is the request's: else a sum is no 0, but nothing known."""
        if self.by_model:
            return (asked,)
        return (self.model,) if self.model else self.led_by

    @property
    def by_days(self) -> bool:
        """True when what is summed over the days of a period is what there is in the period."""
        return not self.standing and self.family is not UniqueCell


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A measure summed over a slice, less another one where there is one, and in parts of which `divisor` make one.

    `may_be_absent` says that a sum of nothing is no 0, but that there is none.
    """

    slice: Slice
    measure: str
    less: str | None = None
    divisor: int = 1
    may_be_absent: bool = False

    @property
    def operands(self) -> tuple[str, ...]:
        """No other metric."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotient:
    """One metric, taken `scale` times, over another, both by name: 3,600 of them make a figure per second one per hour."""

    numerator: str
    denominator: str
    scale: int = 1

    @property
    def operands(self) -> tuple[str, ...]:
        """The metrics above and below the line."""
        return (self.numerator, self.denominator)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric less another, both by name."""

    minuend: str
    subtrahend: str

    @property
    def operands(self) -> tuple[str, ...]:
        """The metrics before and behind the minus."""
        return (self.minuend, self.subtrahend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Two metrics together, both by name: they count nothing twice."""

    first: str
    second: str

    @property
    def operands(self) -> tuple[str, ...]:
        """The two metrics."""
        return (self.first, self.second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure: its name in requests and for people, its unit, what it counts, and how it is computed.

    `slices` are those that it is computed from; the catalogue fills them in.
    """

    name: str
    label: str
    unit: Unit
    description: str
    formula: Sum | Quotient | Difference | Total
    slices: tuple[Slice, ...] = ()

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What it can be cut by: everything that all its slices can."""
        return tuple(name for name in DIMENSIONS if all(name in slice_.dimensions for slice_ in self.slices))

    @property
    def by_days(self) -> bool:
        """True when a period's figure follows from its days'."""
        return all(slice_.by_days for slice_ in self.slices)

    @property
    def depends_on_model(self) -> bool:
        """True when another model of the request gives another figure."""
        return any(slice_.by_model for slice_ in self.slices)

    def lacks(self, asked: str, active: Collection[str]) -> tuple[str, ...]:
        """The models for want of which it can't be told, `asked` being the request's; none when it can."""
        for slice_ in self.slices:
            models = slice_.models(asked)
            if models and not any(model in active for model in models):
                return models
        return ()


def summed(name: str, label: str, unit: Unit, formula: Sum, description: str) -> Metric:
    """A metric that is a sum."""
    return Metric(name=name, label=label, unit=unit, formula=formula, description=description)


def quotient(name: str, label: str, unit: Unit, over: tuple[str, str], description: str, *, scale: int = 1) -> Metric:
    """A metric that is one over another; in `SECONDS` it is a mean span."""
    formula = Quotient(numerator=over[0], denominator=over[1], scale=scale)
    return Metric(name=name, label=label, unit=unit, formula=formula, description=description)


def difference(name: str, label: str, unit: Unit, of: tuple[str, str], description: str) -> Metric:
    """A metric that is one less another."""
    formula = Difference(minuend=of[0], subtrahend=of[1])
    return Metric(name=name, label=label, unit=unit, formula=formula, description=description)


def total(name: str, label: str, unit: Unit, of: tuple[str, str], description: str) -> Metric:
    """A metric that is two together."""
    return Metric(name=name, label=label, unit=unit, formula=Total(first=of[0], second=of[1]), description=description)


def activity(figure: str, *dimensions: str) -> Slice:
    """The cells of one figure of activity, which can be cut by days, by currency, and by some dimensions."""
    return Slice(
        family=ActivityCell, by_model=False, where=(("figure", figure),), dimensions=(*TIMES, *dimensions, CURRENCY)
    )


def counted(name: str, label: str, description: str, *dimensions: str, unit: Unit = Unit.COUNT) -> Metric:
    """A metric that is the amount of the activity of the same name."""
    formula = Sum(slice=activity(name, *dimensions), measure="amount")
    return Metric(name=name, label=label, unit=unit, formula=formula, description=description)
