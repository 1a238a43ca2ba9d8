"""Reads a body into the objects that a platform's module declares, and passes over what nobody looks at."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET

from gateway.web.webhooks.fields import UnusableError, parse_object

S = TypeVar("S", bound="Shape")

Gone: TypeAlias = tuple[()] | None
"""An object that isn't there: null, or the [] that PHP writes for an empty one."""

Told: TypeAlias = Any
"""A value as it was sent: what reads it says whether it can be used, since not every value is looked at."""

_PATH: Final = re.compile(r" - at `\$\.(.+)`$")


class Shape(msgspec.Struct, gc=False):
    """An object within a body. null and what isn't there are the same."""


class BodyOf(Generic[S]):
    """Reads bodies that hold one object. Which topic a body is of is not signed: its names have to tell.

    `own` are names that every such body has, be it with null, and `foreign` those that only others have: in the shape,
    these fields' default is `UNSET`.
    """

    def __init__(self, shape: type[S], *, own: Sequence[str] = (), foreign: Sequence[str] = ()) -> None:
        self._decoder = msgspec.json.Decoder(shape)
        self._own = own
        self._foreign = foreign

    def read(self, body: bytes) -> S:
        """Raises `UnusableError` for a body of another topic, and where an object or a list is none."""
        try:
            # The decoder leaves open how a text is encoded that nobody looks at.
            _ = body.isascii() or body.decode()
            found = self._decoder.decode(body)
        except msgspec.ValidationError as error:
            # It stops at the first thing of another kind: what comes after may be no JSON at all.
            told = parse_object(body)
            self._fit(lambda name: name in told)
            path = _PATH.search(str(error))
            raise UnusableError("INVALID_FIELD", path[1] if path else "") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnusableError("INVALID_JSON") from error
        self._fit(lambda name: getattr(found, name) is not UNSET)
        return found

    def _fit(self, is_told: Callable[[str], bool]) -> None:
        for name in self._own:
            if not is_told(name):
                raise UnusableError("TOPIC_MISMATCH")
        for name in self._foreign:
            if is_told(name):
                raise UnusableError("TOPIC_MISMATCH")
