"""UCI Online Retail, a British wholesaler's invoices of 2010 and 2011, as a shop of its own tells of its orders.

Each line of the file is a line of an invoice. How they are read:

- An invoice is an order in pounds, placed when its first line was written, on British time. Lines with units below
  0 and no C in the invoice's number are stock written off, no sale.
- An invoice with a C in its number takes something back, and doesn't say of which order. A line of it is a refund of
  the customer's latest order that has the product at the same price and was placed no later, on the last such line of
  the file; unless all that points to one line takes back more than was bought on it.
- What points to no order is told as an order that was cancelled: the file is a sample, most orders are not in it.
"""

import csv
import gzip
import io
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from tests.realdata.counts import Amounts, Counts

ZONE: Final = ZoneInfo("Europe/London")
CURRENCY: Final = "GBP"


class Row(NamedTuple):
    """A line of the file."""

    number: int
    invoice: str
    sku: str
    name: str
    units: int
    placed: datetime
    price: Decimal
    customer: str

    @property
    def micros(self) -> int:
        """What the line comes to, in millionths."""
        return int(abs(self.units) * self.price * 1_000_000)


def _rows(file: Path) -> list[Row]:
    with gzip.open(file, "rb") as packed:
        return [
            Row(
                number,
                told["InvoiceNo"],
                told["StockCode"],
                told["Description"].strip(),
                int(told["Quantity"]),
                datetime.fromisoformat(told["InvoiceDate"]),
                Decimal(told["UnitPrice"]),
                told["CustomerID"],
            )
            for number, told in enumerate(csv.DictReader(io.TextIOWrapper(packed, "utf-8-sig")))
        ]


def events(file: Path, since: date = date.min) -> Iterator[dict[str, Any]]:
    """What the shop tells, in the sequence of its invoices; an order from which something came back is told twice."""
    invoices: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(file):
        invoices[row.invoice].append(row)
    placed = {invoice: min(row.placed for row in rows) for invoice, rows in invoices.items()}
    invoices = {invoice: rows for invoice, rows in invoices.items() if placed[invoice].date() >= since}
    refunds = _refunds([row for rows in invoices.values() for row in rows], placed)
    refunded = {back.number for backs in refunds.values() for back in backs}
    for invoice, rows in invoices.items():
        cancelled = invoice.startswith("C")
        lines = [row for row in rows if (row.number not in refunded if cancelled else row.units > 0)]
        if not lines:
            continue
        status = "cancelled" if cancelled else "completed"
        yield _event(invoice, lines, placed[invoice], status, placed[invoice], [])
        given_back = [(back, row) for row in lines for back in refunds.get(row.number, ())]
        if given_back:
            last = max(placed[back.invoice] for back, _ in given_back)
            yield _event(invoice, lines, placed[invoice], status, last, _told_refunds(given_back, placed))


def _refunds(rows: list[Row], placed: dict[str, datetime]) -> dict[int, list[Row]]:
    """What takes back something of a line, by the line's number."""
    bought: dict[tuple[str, str, Decimal], list[Row]] = defaultdict(list)
    for row in rows:
        if row.customer and row.units > 0 and not row.invoice.startswith("C"):
            bought[row.customer, row.sku, row.price].append(row)
    found: dict[Row, list[Row]] = defaultdict(list)
    for back in rows:
        if back.invoice.startswith("C"):
            before = [
                row
                for row in bought.get((back.customer, back.sku, back.price), ())
                if placed[row.invoice] <= placed[back.invoice]
            ]
            if before:
                found[max(before, key=lambda row: (placed[row.invoice], row.number))].append(back)
    return {row.number: backs for row, backs in found.items() if row.units + sum(back.units for back in backs) >= 0}


def _told_refunds(given_back: list[tuple[Row, Row]], placed: dict[str, datetime]) -> list[dict[str, Any]]:
    invoices: dict[str, list[tuple[Row, Row]]] = defaultdict(list)
    for back, row in given_back:
        invoices[back.invoice].append((back, row))
    return [
        {
            "refundId": invoice,
            "amountMicros": str(sum(back.micros for back, _ in backs)),
            "refundTime": _time(placed[invoice]),
            "lines": [
                {"lineId": str(row.number), "quantity": str(-back.units), "netMicros": str(back.micros)}
                for back, row in backs
            ],
        }
        for invoice, backs in invoices.items()
    ]


def _event(
    invoice: str, lines: list[Row], placed: datetime, status: str, told: datetime, refunds: list[dict[str, Any]]
) -> dict[str, Any]:
    order = {
        "orderId": invoice,
        "platform": "CUSTOM",
        "notice": "STATE",
        "orderTime": _time(placed),
        "updateTime": _time(told),
        "status": status,
        "currencyCode": CURRENCY,
        "totalMicros": str(sum(row.micros for row in lines)),
        "lines": [
            {
                "lineId": str(row.number),
                "sku": row.sku,
                "displayName": row.name,
                "quantity": str(abs(row.units)),
                "netMicros": str(row.micros),
            }
            for row in lines
        ],
        "refunds": refunds,
    }
    event = {"eventId": f"{invoice}/{len(refunds)}", "occurTime": _time(told), "order": order}
    customer = lines[0].customer
    return {**event, "identifiers": {"customerId": customer}} if customer else event


def _time(wall: datetime) -> str:
    return wall.replace(tzinfo=ZONE).astimezone(UTC).isoformat()


# The same file by rules of the database's own: windows where the events are gathered by hand.
_PREPARED = """
CREATE TABLE line AS
SELECT *, inv LIKE 'C%' AS takes_back, CAST(abs(units) * price * 1000000 AS BIGINT) AS micros FROM (
    SELECT number, inv, sku, units, price, customer, min(written) OVER (PARTITION BY inv) AS placed FROM (
        SELECT row_number() OVER () AS number, InvoiceNo AS inv, StockCode AS sku, CAST(Quantity AS BIGINT) AS units,
               CAST(InvoiceDate AS TIMESTAMP) AS written, CAST(UnitPrice AS DECIMAL(18, 6)) AS price,
               nullif(CustomerID, '') AS customer
        FROM read_csv(?, all_varchar = true)))
WHERE CAST(placed AS DATE) >= ?;
CREATE TABLE back AS
SELECT * FROM (
    SELECT *, sum(returned) OVER (PARTITION BY number) AS returned_of_line FROM (
        SELECT bought.number, bought.units, taken.number AS by_number, -taken.units AS returned, taken.micros
        FROM line AS taken JOIN line AS bought USING (customer, sku, price)
        WHERE taken.takes_back AND NOT bought.takes_back AND bought.units > 0 AND bought.placed <= taken.placed
        QUALIFY row_number() OVER (PARTITION BY taken.number ORDER BY bought.placed DESC, bought.number DESC) = 1))
WHERE returned_of_line <= units;
CREATE TABLE sale AS
SELECT line.inv, line.sku, line.units, line.micros, line.customer, CAST(line.placed AS DATE) AS day,
       coalesce(returned, 0) AS returned, line.micros - coalesce(given, 0) AS kept
FROM line LEFT JOIN (SELECT number, sum(returned) AS returned, sum(micros) AS given FROM back GROUP BY number) USING (number)
WHERE NOT takes_back AND line.units > 0"""

_SOLD = "SELECT day, count(DISTINCT inv), sum(micros), sum(kept) FROM sale GROUP BY day"
_CANCELLED = """SELECT CAST(placed AS DATE), count(DISTINCT inv), sum(micros), sum(micros) FROM line
    WHERE takes_back AND number NOT IN (SELECT by_number FROM back) GROUP BY 1"""
_PRODUCTS = "SELECT sku, sum(units), sum(returned), sum(micros), sum(kept) FROM sale GROUP BY sku"
_CUSTOMERS = """SELECT count(DISTINCT inv), sum(micros), sum(kept) FROM sale
    WHERE customer IS NOT NULL GROUP BY customer"""


def counted(file: Path, since: date = date.min) -> Counts:
    """What the file comes to by itself."""
    with duckdb.connect() as connection:
        create, *more = _PREPARED.split(";\n")
        connection.execute(create, [str(file), since])
        for statement in more:
            connection.execute(statement)

        def rows(statement: str) -> list[tuple[Any, ...]]:
            found = connection.execute(statement).fetchall()
            return [tuple(int(one) if isinstance(one, int) else one for one in row) for row in found]

        return Counts(
            sold={day: _amounts(row) for day, *row in rows(_SOLD)},
            cancelled={day: _amounts(row) for day, *row in rows(_CANCELLED)},
            products={sku: tuple(row) for sku, *row in rows(_PRODUCTS)},
            customers=sorted(map(_amounts, rows(_CUSTOMERS))),
        )


def _amounts(row: Any) -> Amounts:
    orders, gross, net = row
    return orders, gross, net
