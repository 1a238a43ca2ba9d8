"""Orders for the benchmarks: signed, distinct, and the same for everybody who measures on the same day."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tests.mesh.running import ROOT

SECRET = "a secret for the benchmark"
HERE = Path(__file__).parent
_KEPT = ROOT / "build" / "bench"


class Period(NamedTuple):
    """The days that hold every order, in any zone."""

    first: str
    last: str


def order_file(count: int) -> Path:
    """A file with so many orders, as `load.lua` reads it; made once a day."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    file = _KEPT / f"orders-{datetime.now(UTC):%Y%m%d}-{count}.tsv"
    if not file.exists():
        draft = file.with_suffix(".new")
        with draft.open("wb") as output:
            command = [sys.executable, str(HERE / "make_orders.py"), str(count), SECRET]
            subprocess.run(command, stdout=output, check=True)
        draft.rename(file)
    return file


def period() -> Period:
    """The orders are placed yesterday, in UTC."""
    today = datetime.now(UTC).date()
    return Period((today - timedelta(days=2)).isoformat(), today.isoformat())


def requests(path: str, count: int) -> list[bytes]:
    """So many whole HTTP requests, each telling of another order."""
    with order_file(count).open("rb") as lines:
        return [_request(path, number, line.rstrip(b"\n")) for number, line in enumerate(lines)]


def _request(path: str, number: int, line: bytes) -> bytes:
    signature, _, body = line.partition(b"\t")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: touchstone\r\nContent-Type: application/json\r\n"
        f"X-Shopify-Topic: orders/paid\r\nX-Shopify-Shop-Domain: acme.myshopify.com\r\n"
        f"X-Shopify-Webhook-Id: w-{number}\r\nX-Shopify-Event-Id: e-{number}\r\n"
        f"Content-Length: {len(body)}\r\nX-Shopify-Hmac-Sha256: "
    )
    return head.encode() + signature + b"\r\n\r\n" + body
