"""Pages of lists. A page's token is the name of its last element: the next page holds what comes after it."""

import re
from collections.abc import Sequence
from typing import TypeVar

from services.kernel.failures import InvalidArgumentError

_DEFAULT_SIZE = 100
_LARGEST_SIZE = 1_000
_NAME = re.compile(r"[a-z0-9-]{0,63}")

ElementT = TypeVar("ElementT")


def page_size(asked: int) -> int:
    """How many elements a page holds: as asked, 100 if 0, never more than 1,000."""
    if asked < 0:
        raise InvalidArgumentError.of("pageSize", "is negative")
    return min(asked or _DEFAULT_SIZE, _LARGEST_SIZE)


def page_start(token: str) -> str:
    """The name after which the page starts: the token, if it may be one."""
    if not _NAME.fullmatch(token):
        raise InvalidArgumentError.of("pageToken", "is not one that a page ended with")
    return token


def cut(found: Sequence[ElementT], size: int) -> tuple[Sequence[ElementT], ElementT | None]:
    """The page, and its last element when there are more: one element more than the page was looked for."""
    page = found[:size]
    return page, (page[-1] if len(found) > size else None)
