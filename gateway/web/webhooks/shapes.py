"""Reads a body into the objects that a platform's module declares, and passes over what nobody looks at."""

import re
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from gateway.web.webhooks.fields import UnusableError, parse_object

S = TypeVar("S", bound="Shape")

Gone: TypeAlias = tuple[()] | None
"""An object that isn't there: null, or the [] that PHP writes for an empty one."""

Told: TypeAlias = Any
"""A value as it was sent: what reads it says whether it can be used, since not every value is looked at."""

_PATH: Final = re.compile(r" - at `\$\.(.+)`$")


# What is read of JSON never holds itself: the collector needn't follow it.
class Shape(msgspec.Struct, gc=False):
    """An object within a body. null and what isn't there are the same."""


class Foreign:
    """A field that only bodies of other topics have, whatever its value."""


NOT_TOLD: Final = Foreign()
"""The default of a `Foreign` field."""


class BodyOf(Generic[S]):
    """Reads bodies that hold one object. Which topic a body is of is not signed: its fields' names have to tell.

    A field of the shape without a default is one that every such body has, be it with null.
    """

    def __init__(self, shape: type[S]) -> None:
        self._decoder = msgspec.json.Decoder(shape, dec_hook=_refuse)
        fields = msgspec.structs.fields(shape)
        self._own = frozenset(field.name for field in fields if field.required)
        self._foreign = frozenset(field.name for field in fields if field.type is Foreign)

    def read(self, body: bytes) -> S:
        """Raises `UnusableError` for a body of another topic, and where an object or a list is none."""
        try:
            # The decoder leaves open how a text is encoded that nobody looks at.
            _ = body.isascii() or body.decode()
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            # It stops at the first thing that is wrong: what comes after may be no JSON at all, or of another topic.
            told = parse_object(body).keys()
            if not self._own <= told or self._foreign & told:
                raise UnusableError("TOPIC_MISMATCH") from None
            path = _PATH.search(str(error))
            raise UnusableError("INVALID_FIELD", path[1] if path else "") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnusableError("INVALID_JSON") from error


def _refuse(_kind: type, _value: Any) -> Any:
    raise ValueError("of another topic")
