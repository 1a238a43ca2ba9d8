"""Figures of many rows as bytes of their messages, all written at once: one by one takes longer than to compute them."""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from touchstone.reporting.v1 import report_pb2

from services.reporting.wire.report_columns import Column, Title, put

_WHOLE: Final = -1
_WHOLE_BYTES: Final = b"\xff" * 9 + b"\x01"
"""The longest whole number as it is written: seven bits a byte, the eighth says that more follow."""

_FLOAT: Final = -1.1e-233
_FLOAT_BYTES: Final = struct.pack("<d", _FLOAT)

_SEVENS: Final = np.arange(0, 7 * len(_WHOLE_BYTES), 7, dtype=np.uint64)
_MORE: Final = np.array([0x80] * (len(_WHOLE_BYTES) - 1) + [0], dtype=np.uint8)


class _Template(NamedTuple):
    """A row's figures with some value each, and where in it each byte of the whole and of the other values stands.

    `lengths` are those of the figures.
    """

    row: npt.NDArray[np.uint8]
    whole: npt.NDArray[np.intp]
    floats: npt.NDArray[np.intp]
    lengths: npt.NDArray[np.intp]


def blocks(columns: Sequence[Column], currency: str) -> list[bytes]:
    """What each row's message is with these figures alone; to be merged into it. Amounts are in `currency`.

    Raises `OverflowError` for a whole number of more than 64 bits.
    """
    template = _template(tuple(column.title for column in columns), currency)
    told = [_told(column) for column in columns]
    count = len(columns[0].values)
    rows = np.tile(template.row, (count, 1))
    if whole := [values for (values, _), column in zip(told, columns, strict=True) if column.title.whole]:
        parts = np.array(whole).T.view(np.uint64)[:, :, None] >> _SEVENS & np.uint64(0x7F)
        rows[:, template.whole] = (parts.astype(np.uint8) | _MORE).reshape(count, -1)
    if floats := [values for (values, _), column in zip(told, columns, strict=True) if not column.title.whole]:
        rows[:, template.floats] = np.ascontiguousarray(np.array(floats, dtype="<f8").T).view(np.uint8)
    if all(present is None for _, present in told):
        size = len(template.row)
        together = rows.tobytes()
        return [together[start : start + size] for start in range(0, count * size, size)]
    everywhere = np.ones(count, dtype=np.bool_)
    there = np.repeat(
        np.array([everywhere if present is None else present for _, present in told]).T, template.lengths, axis=1
    )
    together = rows[there].tobytes()
    ends = np.cumsum(there.sum(axis=1)).tolist()
    return [together[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _told(column: Column) -> tuple[npt.NDArray[np.int64 | np.float64], npt.NDArray[np.bool_] | None]:
    """The values, something where there is none, and in which rows there is one; None for all."""
    if column.title.whole:
        try:
            return np.array(column.values, dtype=np.int64), None
        except TypeError:  # what is not told is no number
            present = np.array([value is not None for value in column.values])
            return np.array([value or 0 for value in column.values], dtype=np.int64), present
    values = np.array(column.values, dtype=np.float64)
    absent = np.isnan(values)
    return values, ~absent if absent.any() else None


@lru_cache(maxsize=512)
def _template(titles: tuple[Title, ...], currency: str) -> _Template:
    row = bytearray()
    places: dict[bool, list[int]] = {True: [], False: []}
    lengths = []
    for title in titles:
        message = report_pb2.ReportRow()
        put(message, title, _WHOLE if title.whole else _FLOAT, currency)
        written, value = message.SerializeToString(), _WHOLE_BYTES if title.whole else _FLOAT_BYTES
        start = len(row) + written.rindex(value)
        places[title.whole].extend(range(start, start + len(value)))
        lengths.append(len(written))
        row += written
    return _Template(
        np.frombuffer(bytes(row), dtype=np.uint8),
        np.array(places[True], dtype=np.intp),
        np.array(places[False], dtype=np.intp),
        np.array(lengths, dtype=np.intp),
    )
