"""Files of records: what they are called, and how they say what a record says."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

import orjson

from services.kernel.failures import InvalidArgumentError
from services.reporting.domain.periods import Period
from services.reporting.domain.records import CURRENCIES, Column, Is, RecordKind

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Format(Enum):
    """What a file is written in: its name and its content type."""

    CSV = ("csv", "text/csv; charset=utf-8; header=present")
    XLSX = ("xlsx", _XLSX)
    JSON = ("json", "application/json")
    NDJSON = ("ndjson", "application/x-ndjson")

    @property
    def extension(self) -> str:
        """How a file's name ends; a request names the format by it."""
        return self.value[0]

    @property
    def content_type(self) -> str:
        """The media type."""
        return self.value[1]


def format_of(name: str) -> Format:
    """The format of a name; raises `InvalidArgumentError`."""
    for one in Format:
        if one.extension == name:
            return one
    raise InvalidArgumentError.of("format", "is none of " + ", ".join(one.extension for one in Format))


def file_name(tenant_id: str, kind: str, period: Period, format_: Format) -> str:
    """What a file is called: "touchstone-acme-orders-2026-11-01-2026-11-21.csv"."""
    tenant = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in tenant_id
    )
    return f"touchstone-{tenant}-{kind}-{period.start.isoformat()}-{period.end.isoformat()}.{format_.extension}"


def csv_header(kind: RecordKind) -> bytes:
    """The first line of CSV."""
    return ",".join(column.name for column in kind.columns).encode() + b"\r\n"


def json_objects(kind: RecordKind, rows: Sequence[Sequence[Any]]) -> list[bytes]:
    """Records as in the API: names in camel case, nothing where there is no value, 64-bit numbers as text."""
    names = [_camel_case(column.name) for column in kind.columns]
    columns = [column.name for column in kind.columns]
    money = columns.index("currency_code") if "currency_code" in columns else 0
    counted = columns.index("counted_currency_code") if "counted_currency_code" in columns else 0
    writers = [_writer(column) for column in kind.columns]
    currencies = [counted if column.holds is Is.COUNTED else money for column in kind.columns]
    return [
        orjson.dumps(
            {
                name: write(value, row[currency])
                for name, write, currency, value in zip(names, writers, currencies, row, strict=True)
                if write is not None and value is not None and value != ""
            },
            option=orjson.OPT_UTC_Z,
        )
        for row in rows
    ]


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _writer(column: Column) -> Callable[[Any, str], Any] | None:
    # The currency stands with each amount.
    return None if column.name in CURRENCIES else _WRITERS[column.holds]


_WRITERS: Final[dict[Is, Callable[[Any, str], Any]]] = {
    Is.TEXT: lambda value, _: value,
    Is.WORD: lambda value, _: value,
    Is.COUNT: lambda value, _: value,
    Is.MOMENT: lambda value, _: datetime.fromtimestamp(value, UTC),
    Is.MONEY: lambda value, currency: {"currencyCode": currency, "micros": str(value)},
    Is.FRACTION: lambda value, _: value / 1_000_000,
    Is.COUNTED: lambda value, currency: {"currencyCode": currency, "micros": str(value)},
    Is.RATE: lambda value, _: value,
    Is.DAY: lambda value, _: value,
}
