"""Which models can hold: every field at fault is told, by the name that JSON gives it."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from touchstone.ingest.v1 import counted_statuses_pb2, model_pb2

from services.attribution.domain.models import CONVERSATIONS, DAY, Anchor, Basis, Model, Rule
from services.attribution.domain.touches import Action, Channel
from services.attribution.wire import rules as rules_wire
from services.attribution.wire.times import nanos_long
from services.kernel.failures import FieldViolation, InvalidArgumentError

MOST_MODELS: Final = 20
"""Models of a tenant, at most."""

LONGEST_WINDOW: Final = 400 * DAY
"""Nanoseconds of a window, or of a half-life."""

_MOST_VALUES: Final = 100
_LONGEST_VALUE: Final = 256
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PLATFORMS: Final = frozenset({"custom", "shopify", "woocommerce"})
_VALUES: Final = ("touchpoints", "bot_names", "agent_ids", "campaigns", "experience_ids")
_CHANNELS: Final = frozenset(map(int, Channel))
_ACTIONS: Final = frozenset(map(int, Action))


def check_models(messages: Sequence[model_pb2.Model]) -> tuple[Model, ...]:
    """The models of a whole set. Raises InvalidArgumentError that names every field at fault.

    The model `conversations` may be changed, but is there and active: whoever names no model is told of that one.
    """
    found: list[FieldViolation] = []
    if not 0 < len(messages) <= MOST_MODELS:
        found.append(_wrong("models", f"must be 1 to {MOST_MODELS}"))
    named: set[str] = set()
    for index, message in enumerate(messages[:MOST_MODELS]):
        found += _violations(message, f"models[{index}]", learned=False)
        if message.name in named:
            found.append(_wrong(f"models[{index}].name", "is another model's name"))
        named.add(message.name)
    if not found and not any(message.name == CONVERSATIONS.name and message.active for message in messages):
        found.append(_wrong("models", f"must have an active one that is named {CONVERSATIONS.name}"))
    _refuse(found)
    return tuple(rules_wire.model(message) for message in messages)


def check_model(message: model_pb2.Model, field: str, *, learned: bool = False) -> Model:
    """One model, told in a field. Raises InvalidArgumentError that names every field at fault.

    `learned`: its weights are to be learned, so it needs none.
    """
    _refuse(list(_violations(message, field, learned=learned)))
    return rules_wire.model(message)


def _refuse(found: Sequence[FieldViolation]) -> None:
    if found:
        raise InvalidArgumentError("INVALID_FIELD", f"{found[0].field}: {found[0].description}", found)


def _wrong(field: str, description: str) -> FieldViolation:
    return FieldViolation(field=field, description=description)


def _violations(message: model_pb2.Model, field: str, *, learned: bool) -> Iterator[FieldViolation]:
    if not _NAME.fullmatch(message.name):
        yield _wrong(f"{field}.name", "must be a lower-case letter, then a-z, 0-9 and _, 63 in all")
    if len(message.display_name) > _LONGEST_VALUE:
        yield _wrong(f"{field}.displayName", f"must have {_LONGEST_VALUE} characters at most")
    for known, name in ((Anchor, "anchor"), (Rule, "rule"), (Basis, "basis")):
        if int(getattr(message, name)) not in {0, *known}:
            yield _wrong(f"{field}.{name}", "is not known")
    yield from _known(message.channels, _CHANNELS, f"{field}.channels")
    yield from _lengths(message, field)
    yield from _weights(message, field, learned=learned)
    if message.by_line and int(message.anchor) in (Anchor.CONVERSATION, Anchor.SESSION):
        yield _wrong(f"{field}.byLine", "needs the anchor TOUCH or CLICK: those name products")
    if message.filter.through_cart and not message.by_line:
        yield _wrong(f"{field}.filter.throughCart", "needs byLine")
    yield from _filter(message.filter, f"{field}.filter")
    yield from _statuses(message.counted_statuses, f"{field}.countedStatuses")


def _lengths(message: model_pb2.Model, field: str) -> Iterator[FieldViolation]:
    needs_none = int(message.anchor) == Anchor.SESSION
    if not _is_length(message.window) and not (needs_none and not nanos_long(message.window)):
        yield _wrong(f"{field}.window", "must be longer than nothing and at most 400 days")
    if int(message.rule) == Rule.TIME_DECAY and not _is_length(message.half_life):
        yield _wrong(f"{field}.halfLife", "must be longer than nothing and at most 400 days for TIME_DECAY")
    elif message.HasField("half_life") and not _is_length(message.half_life) and nanos_long(message.half_life):
        yield _wrong(f"{field}.halfLife", "must be at most 400 days, and not negative")


def _is_length(told: Duration) -> bool:
    return 0 <= told.nanos < 1_000_000_000 and 0 < nanos_long(told) <= LONGEST_WINDOW


def _weights(message: model_pb2.Model, field: str, *, learned: bool) -> Iterator[FieldViolation]:
    channels = Counter(entry.channel for entry in message.weights)
    for index, entry in enumerate(message.weights):
        where = f"{field}.weights[{index}]"
        if int(entry.channel) not in _CHANNELS:
            yield _wrong(f"{where}.channel", "is not known")
        elif channels[entry.channel] > 1:
            yield _wrong(f"{where}.channel", "has another weight too")
        if not math.isfinite(entry.weight) or entry.weight < 0:
            yield _wrong(f"{where}.weight", "must be a number, 0 or more")
    if int(message.rule) == Rule.DATA_DRIVEN and not learned and not any(entry.weight for entry in message.weights):
        yield _wrong(f"{field}.weights", "must have one above 0 for DATA_DRIVEN")


def _filter(message: model_pb2.TouchFilter, field: str) -> Iterator[FieldViolation]:
    yield from _known(message.actions, _ACTIONS, f"{field}.actions")
    for name in _VALUES:
        yield from _texts(getattr(message, name), f"{field}.{_json(name)}")


def _statuses(entries: Sequence[counted_statuses_pb2.CountedStatuses], field: str) -> Iterator[FieldViolation]:
    platforms = Counter(entry.platform for entry in entries)
    for index, entry in enumerate(entries):
        where = f"{field}[{index}]"
        if entry.platform not in _PLATFORMS:
            yield _wrong(f"{where}.platform", f"must be one of: {', '.join(sorted(_PLATFORMS))}")
        elif platforms[entry.platform] > 1:
            yield _wrong(f"{where}.platform", "is told twice")
        yield from _texts(entry.statuses, f"{where}.statuses")
        for place, status in enumerate(entry.statuses):
            if status != status.lower():
                yield _wrong(f"{where}.statuses[{place}]", "must be in lower case")


def _known(values: Iterable[int], known: frozenset[int], field: str) -> Iterator[FieldViolation]:
    for index, value in enumerate(values):
        if value not in known:
            yield _wrong(f"{field}[{index}]", "is not known")


def _texts(values: Sequence[str], field: str) -> Iterator[FieldViolation]:
    if len(values) > _MOST_VALUES:
        yield _wrong(field, f"must be {_MOST_VALUES} at most")
    for index, value in enumerate(values[:_MOST_VALUES]):
        if not 0 < len(value) <= _LONGEST_VALUE:
            yield _wrong(f"{field}[{index}]", f"must have 1 to {_LONGEST_VALUE} characters")


def _json(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.title, others))
