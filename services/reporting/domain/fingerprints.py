"""Fingerprints: very many cells compared with what they should be, without keeping any of them."""

import hashlib
from collections.abc import Iterable, Mapping

from services.reporting.domain.cells import Cell, Measures

_MODULUS = 2**128


def fingerprint(cells: Mapping[Cell, Measures]) -> int:
    """A number that tells cells from others: 0 for those that come to nothing.

    Those of two mappings, added, are the fingerprint of their sums, modulo `2**128`: what single facts add up to has the
    fingerprint of the cells, and other sums have it by a chance that is none.
    """
    total = 0
    for cell, measures in cells.items():
        key = repr((type(cell).__name__, *cell)).encode()
        for place, measure in enumerate(measures):
            if measure:
                digest = hashlib.blake2b(key, digest_size=16, salt=bytes([place])).digest()
                total += int.from_bytes(digest) * measure
    return total % _MODULUS


def fingerprint_of_rows(rows: Iterable[tuple[object, ...]]) -> int:
    """The same of rows, whatever their sequence: a row that is there twice counts twice."""
    digests = (hashlib.blake2b(repr(row).encode(), digest_size=16).digest() for row in rows)
    return sum(map(int.from_bytes, digests)) % _MODULUS


def together(*fingerprints: int) -> int:
    """The fingerprint of sums, from those of what is summed."""
    return sum(fingerprints) % _MODULUS
