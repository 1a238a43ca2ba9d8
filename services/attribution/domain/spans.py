"""How long after an event orders may be concerned by it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.attribution.domain.models import DAY, Anchor, Model, longest_window
from services.attribution.domain.touches import Channel

EVER = 100 * 366 * DAY
"""So long that there is no order beyond."""


class Spans(NamedTuple):
    """Spans in nanoseconds, by what happened; None where it decides nothing.

    A touch, by its channel; a product seen; anything in a conversation, after the conversation's end. Touches on
    `session_channels` concern every later order of the session.
    """

    touch: Mapping[Channel, int | None]
    seen: int | None
    conversation: int | None
    session_channels: frozenset[Channel]

    @classmethod
    def of(cls, models: Iterable[Model]) -> "Spans":
        """The longest spans of those of the models that are applied."""
        applied = [model for model in models if model.applied]
        windowed = [model for model in applied if model.anchor not in (Anchor.SESSION, Anchor.CONVERSATION)]
        conversational = [model for model in applied if model.conversational]
        sessions = [model for model in applied if model.anchor is Anchor.SESSION]
        ever = any(model.anchor is Anchor.SESSION for model in conversational)
        return cls(
            touch={channel: _longest(model for model in windowed if model.looks_at(channel)) for channel in Channel},
            seen=_longest(model for model in applied if model.through_cart),
            conversation=EVER if ever else _longest(conversational),
            session_channels=frozenset(
                channel for channel in Channel if any(model.looks_at(channel) for model in sessions)
            ),
        )


def _longest(models: Iterable[Model]) -> int | None:
    deciding = list(models)
    return longest_window(deciding) if deciding else None
