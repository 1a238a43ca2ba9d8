"""A million orders as files: CSV beside COPY of the same rows from Postgres, and XLSX; and the memory that they take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from zipfile import ZipFile

import psycopg

from tests.bench.figures import Figure
from tests.mesh.running import ROOT, RunningSystem
from tests.mesh.shop import Shop

ORDERS = 1_000_000
ROUNDS = 7
CSV_WANTED_RATIO = 2.5
XLSX_WANTED_SECONDS = 120.0
WANTED_MEGABYTES = 300.0
PERIOD = {"startDate": "2026-10-01", "endDate": "2026-10-31"}
_PROGRAMS = ("reporting", "web")

_SERVING = "SELECT 'reporting_' || generation FROM reporting.generation WHERE state = 'serving'"

# A third of the orders is attributed, one in twenty cancelled; an order each second and a half of October.
_SEED = """
    INSERT INTO {schema}.order_fact (
        tenant_id, edition, source, order_id, credit_position, payload, order_seconds, display_number, status,
        currency_code, excluded_reason, gross_micros, net_micros, tax_micros, shipping_micros, models)
    SELECT %(tenant)s, 0, 'woo', CAST(100000 + i AS text), i, decode(repeat(md5(CAST(i AS text)), 20), 'hex'),
           1790812800 + i * (30 * 86400) / %(orders)s, '#' || i, 'completed', 'EUR',
           CASE WHEN i %% 20 = 0 THEN 'CANCELLED' ELSE '' END,
           i %% 20000 * 10000, i %% 20000 * 10000, i %% 2000 * 10000, 4900000,
           CASE WHEN i %% 3 = 0 AND i %% 20 <> 0 THEN jsonb_build_object('conversations', jsonb_build_object(
               't', 'SESSION', 'g', i %% 20000 * 10000, 'n', i %% 20000 * 10000, 's', 'CHAT',
               'c', jsonb_build_array(jsonb_build_array(
                   1790812800 + i, 'CHAT', 'website', 'c-' || i, 'assistant', '', '', 'e-' || i, '', 1000000,
                   i %% 20000 * 10000, i %% 20000 * 10000)))) END
    FROM generate_series(CAST(1 AS bigint), %(orders)s) AS i"""

# The columns of the file, as they are stored.
_SAME_ROWS = """
    COPY (SELECT order_seconds, source, order_id, display_number, status, currency_code, gross_micros, net_micros,
                 tax_micros, shipping_micros, excluded_reason, said ->> 't', said ->> 's',
                 jsonb_array_length(said -> 'c'), said ->> 'g', said ->> 'n',
                 currency_code, gross_micros, net_micros, said ->> 'g', said ->> 'n', '', ''
          FROM (SELECT *, models -> 'conversations' AS said FROM {schema}.order_fact
                WHERE tenant_id = %(tenant)s AND edition = 0 AND order_seconds BETWEEN 1790000000 AND 1800000000
                ORDER BY order_seconds, source, order_id OFFSET 0) AS placed) TO STDOUT"""


def export_csv(running: RunningSystem, orders: int = ORDERS) -> Figure:
    """Both in turn, some times."""
    ours, theirs, used = [], [], []
    with _orders(running, orders) as (tenant, copied):
        for _ in range(ROUNDS):
            theirs.append(copied())
            seconds, megabytes = _export(tenant, "csv", orders, _lines)
            ours.append(seconds)
            used.append(megabytes)
    value, beside, most = median(ours), median(theirs), _most(used)
    return Figure(
        value=value,
        unit="s",
        reference=beside,
        ratio=value / beside,
        target=f"{CSV_WANTED_RATIO} times COPY, {WANTED_MEGABYTES:.0f} MB",
        met=value / beside <= CSV_WANTED_RATIO and max(most.values()) <= WANTED_MEGABYTES,
        runs=[
            {"orders": orders, "most MB": most},
            *({"export s": mine, "COPY s": other} for mine, other in zip(ours, theirs, strict=True)),
        ],
    )


def export_xlsx(running: RunningSystem, orders: int = ORDERS) -> Figure:
    """Once: it takes long enough."""
    with _orders(running, orders) as (tenant, _):
        seconds, most = _export(tenant, "xlsx", orders, _rows)
    return Figure(
        value=seconds,
        unit="s",
        target=f"{XLSX_WANTED_SECONDS:.0f} s, {WANTED_MEGABYTES:.0f} MB",
        met=seconds <= XLSX_WANTED_SECONDS and max(most.values()) <= WANTED_MEGABYTES,
        runs=[{"orders": orders, "most MB": most}],
    )


@contextmanager
def _orders(running: RunningSystem, orders: int) -> Iterator[tuple[Shop, Callable[[], float]]]:
    """A tenant with so many orders, and how long COPY takes for them; both are gone again afterwards."""
    tenant = Shop(running)
    with psycopg.connect(running.state()["database_url"], autocommit=True) as connection:
        [schema] = connection.execute(_SERVING).fetchone() or ("",)
        bound = {"tenant": tenant.tenant, "orders": orders}
        connection.execute(_SEED.format(schema=schema), bound)
        connection.execute(f"VACUUM ANALYZE {schema}.order_fact")
        connection.execute("CHECKPOINT")

        def copied() -> float:
            began, rows = time.monotonic(), 0
            with connection.cursor().copy(_SAME_ROWS.format(schema=schema), bound) as copy:
                for _ in copy:
                    rows += 1
            if rows != orders:
                raise AssertionError(f"{rows} rows copied")
            return time.monotonic() - began

        yield tenant, copied
        connection.execute(f"DELETE FROM {schema}.order_fact WHERE tenant_id = %(tenant)s", bound)
        connection.execute(f"VACUUM {schema}.order_fact")


def _export(tenant: Shop, format_: str, orders: int, count: Callable[[Path], int]) -> tuple[float, dict[str, float]]:
    """How long the download takes, and how much memory programs came to have; fails where a record is missing."""
    file = ROOT / "build" / f"export.{format_}"
    file.parent.mkdir(exist_ok=True)
    asked = {**PERIOD, "format": format_}
    _forget_peaks(tenant.running)
    began = time.monotonic()
    with tenant.client.stream("GET", "/v1/exports/orders", params=asked, timeout=600) as answer, file.open("wb") as to:
        answer.raise_for_status()
        for part in answer.iter_raw():
            to.write(part)
    seconds = time.monotonic() - began
    counted = count(file)
    file.unlink()
    if counted != orders or answer.headers["touchstone-records"] != str(orders):
        raise AssertionError(f"{counted} of {orders} orders")
    return seconds, _memory(tenant.running)


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\r\n") - 1


def _rows(file: Path) -> int:
    rows = 0
    with ZipFile(file).open("xl/worksheets/sheet1.xml") as sheet:
        rest = b""
        while part := sheet.read(1 << 20):
            rows += (rest + part).count(b"<row>")
            rest = part[-4:]
    return rows - 1


def _forget_peaks(running: RunningSystem) -> None:
    """Lets the kernel measure anew how much memory programs have at most: what came before is no part of an export."""
    for process in _processes(running).values():
        (process / "clear_refs").write_text("5")


def _memory(running: RunningSystem) -> dict[str, float]:
    """Megabytes that programs had at most since then, where the kernel tells."""
    found = {}
    for name, process in _processes(running).items():
        peak = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
        found[name] = int(peak.split()[1]) / 1024
    return found or {"unknown": 0.0}


def _processes(running: RunningSystem) -> dict[str, Path]:
    programs: dict[str, Any] = running.state()["programs"]
    places = {name: Path("/proc") / str(programs[name]["pid"]) for name in _PROGRAMS}
    return {name: place for name, place in places.items() if place.exists()}


def _most(used: list[dict[str, float]]) -> dict[str, float]:
    return {name: max(one[name] for one in used) for name in used[0]}
