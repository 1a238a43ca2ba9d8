"""Path templates of google.api.http: `/v1/orders/{order_id}/attribution`, `/v1/reports:run`, `/v1/{name=a/*}`."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

_TOKENS: Final = re.compile(r"\{([a-z0-9_.]+)(?:=([^{}]+))?\}|\*\*|\*|[^{}*]+")


class TemplateError(ValueError):
    """A template that can't be read; its contract is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A path with variables."""

    text: str
    pattern: re.Pattern[str]
    variables: tuple[str, ...]
    """Paths of the request's fields, in the sequence of the pattern's groups."""

    def match(self, path: str) -> dict[str, str] | None:
        """The variables' values in a path as sent (still percent-encoded); None when it is another path.

        Raises UnicodeDecodeError when a value is no UTF-8.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = zip(self.variables, found.groups(), strict=True)
        return {name: unquote_to_bytes(value).decode() for name, value in values}

    @property
    def specificity(self) -> tuple[int, int]:
        """Sorts first what says more: fewer variables, then more text."""
        return len(self.variables), -len(self.text)


def parse(text: str) -> Template:
    """Reads a template. Raises `TemplateError`."""
    if not text.startswith("/"):
        raise TemplateError(text)
    variables: list[str] = []
    pattern = ""
    position = 0
    for token in _TOKENS.finditer(text):
        if token.start() != position:
            break
        position = token.end()
        if token[1]:
            variables.append(token[1])
            # A colon after the last slash begins a custom verb.
            last = "/" not in text[position:]
            pattern += f"({_segments(token[2] or '*', last=last)})"
        else:
            pattern += _segments(token[0], last="/" not in text[position:])
    if position != len(text):
        raise TemplateError(text)
    return Template(text=text, pattern=re.compile(pattern), variables=tuple(variables))


def _segments(text: str, *, last: bool) -> str:
    one = "[^/:]+" if last else "[^/]+"
    pieces = re.split(r"(\*\*|\*)", text)
    return "".join({"**": ".+", "*": one}.get(piece, re.escape(piece)) for piece in pieces)
