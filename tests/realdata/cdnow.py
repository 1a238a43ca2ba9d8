"""CDNOW, the purchases of an American record shop's first customers of 1997, as a shop tells of its orders.

Each line of the file is a purchase of one customer on one day: an order of so many records, for so many dollars. It has
no number but its place in the file, and no hour: noon in New York.
"""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb

from tests.realdata.counts import Counts

ZONE: Final = ZoneInfo("America/New_York")
CURRENCY: Final = "USD"
RECORD: Final = "CD"


def events(file: Path) -> Iterator[dict[str, Any]]:
    """What the shop tells, in the sequence of the file."""
    packed = file.suffix == ".gz"
    with gzip.open(file, "rt") if packed else file.open() as lines:
        for number, line in enumerate(lines):
            if "customer_id" in line:
                continue
            # The sample names its customers by their number in the whole file, and by one of their own.
            customer, *_, day, units, dollars = line.split()
            whole, _, cents = dollars.partition(".")
            micros = str(int(whole) * 1_000_000 + int(cents) * 10_000)
            noon = datetime.strptime(day, "%Y%m%d").replace(hour=12, tzinfo=ZONE).astimezone(UTC).isoformat()
            yield {
                "eventId": str(number),
                "occurTime": noon,
                "identifiers": {"customerId": customer},
                "order": {
                    "orderId": str(number),
                    "platform": "CUSTOM",
                    "orderTime": noon,
                    "status": "completed",
                    "currencyCode": CURRENCY,
                    "totalMicros": micros,
                    "lines": [{"lineId": "1", "sku": RECORD, "quantity": units, "netMicros": micros}],
                },
            }


_READ = """
SELECT part[1] AS customer, strptime(part[-3], '%Y%m%d')::DATE AS day, CAST(part[-2] AS BIGINT) AS units,
       CAST(CAST(part[-1] AS DECIMAL(12, 2)) * 1000000 AS BIGINT) AS micros
FROM (SELECT regexp_split_to_array(trim(line), ' +') AS part
      FROM read_csv(?, columns = {'line': 'VARCHAR'}, header = false, delim = '\t', quote = '', escape = '')
      WHERE NOT contains(line, 'customer_id'))"""


def counted(file: Path) -> Counts:
    """What the file comes to by itself."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE sale AS {_READ}", [str(file)])
        days = connection.execute("SELECT day, count(*), sum(micros), sum(micros) FROM sale GROUP BY day").fetchall()
        [whole] = connection.execute("SELECT sum(units), 0, sum(micros), sum(micros) FROM sale").fetchall()
        customers = "SELECT count(*), sum(micros), sum(micros) FROM sale GROUP BY customer"
        return Counts(
            sold={day: tuple(row) for day, *row in days},
            products={RECORD: whole},
            customers=sorted(connection.execute(customers).fetchall()),
        )
