"""Trying a model on a large shop: the first question, loading included, and the next, beside DuckDB over Parquet."""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import psycopg

from tests.bench.figures import Figure
from tests.bench.simulated_shop import Shop, Size, keep
from tests.mesh.running import RunningSystem
from tests.mesh.shop import Shop as Tenant

FIRST_SECONDS = 10.0
WANTED_RATIO = 3.0
ROUNDS = 5
WINDOW_DAYS = 7
QUESTION = {"startDate": "2026-09-01", "endDate": "2026-10-31", "movedOrderCount": 10}
FIRST_MODEL = {"rule": "LAST_TOUCH", "window": "86400s", "helpfulOnly": True}
NEXT_MODEL = {"rule": "LINEAR", "window": f"{WINDOW_DAYS * 86_400}s", "helpfulOnly": True}

_SERVING = "SELECT 'attribution_' || generation FROM attribution.generation WHERE state = 'serving'"

# What a person would write who knows DuckDB: orders and touches joined by person once, then each model's winners, and
# its split in cents.
_SAME_QUESTION = f"""
    WITH tied AS (
        SELECT o.order_id, t.touch_id, t.channel, t.occur_time, o.order_time - t.occur_time AS age,
               o.currency, o.gross_micros, o.net_micros,
               CASE WHEN o.session <> 0 AND o.session = t.session THEN 1
                    WHEN o.email = t.email THEN 2
                    WHEN o.visitor <> 0 AND o.visitor = t.visitor THEN 3 ELSE 4 END AS step
        FROM read_parquet('{{directory}}/orders.parquet') AS o
        JOIN read_parquet('{{directory}}/touches.parquet') AS t
          ON t.person = o.person AND t.occur_time BETWEEN o.order_time - {WINDOW_DAYS * 86_400_000_000_000} AND o.order_time
        WHERE o.counted AND NOT t.crawler
          AND (t.answer = 1 OR (t.answer = 0 AND t.action = 3 AND t.channel IN (2, 3)))),
    simulated AS (
        SELECT *, count(*) OVER one AS n, row_number() OVER (one ORDER BY occur_time, touch_id) AS place
        FROM (SELECT *, min(step) OVER (PARTITION BY order_id) AS deciding FROM tied) WHERE step = deciding
        WINDOW one AS (PARTITION BY order_id)),
    compared AS (
        SELECT * FROM tied WHERE channel <= 4 AND age <= 86_400_000_000_000
        QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY step, occur_time, touch_id) = 1),
    parts AS (
        SELECT 'simulated' AS model, currency, channel, order_id,
               (gross_micros // 10_000 // n + (place <= gross_micros // 10_000 % n)::int) * 10_000 AS gross,
               (net_micros // 10_000 // n + (place <= net_micros // 10_000 % n)::int) * 10_000 AS net
        FROM simulated
        UNION ALL SELECT 'compared', currency, channel, order_id, gross_micros, net_micros FROM compared),
    moved AS (
        SELECT order_id
        FROM (SELECT order_id, any_value(step) AS step, array_agg(touch_id ORDER BY occur_time, touch_id) AS touches
              FROM simulated GROUP BY order_id) AS now
        FULL JOIN (SELECT order_id, step, [touch_id] AS touches FROM compared) AS before USING (order_id)
        WHERE now.step IS DISTINCT FROM before.step OR now.touches IS DISTINCT FROM before.touches)
    SELECT model, currency, channel, count(DISTINCT order_id), sum(gross)::bigint, sum(net)::bigint,
           (SELECT count(*) FROM moved)
    FROM parts GROUP BY model, currency, channel ORDER BY model, currency, channel"""

_CHANNELS = ("", "CHAT", "FAQ", "NUDGE", "MESSAGING", "RECOMMENDATION", "PERSONALIZATION", "JOURNEY")


def simulate(running: RunningSystem, size: Size | None = None) -> Figure:
    """The first question once, then the next in turn with the same in DuckDB; both must answer alike."""
    size = size or Size()
    tenant, database_url = Tenant(running), running.state()["database_url"]
    with psycopg.connect(database_url, autocommit=True) as connection:
        [schema] = connection.execute(_SERVING).fetchone() or ("",)
    shop = Shop(size)
    asyncio.run(keep(database_url, schema, tenant.tenant, shop))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    first, _ = _ask(tenant, FIRST_MODEL)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as directory:
        shop.write_parquet(Path(directory))
        for _ in range(ROUNDS):
            seconds, simulation = _ask(tenant, NEXT_MODEL)
            ours.append(seconds)
            seconds, rows = _by_hand(Path(directory))
            theirs.append(seconds)
            _compare(simulation, rows)
    value, beside = median(ours), median(theirs)
    return Figure(
        value=value,
        unit="s",
        reference=beside,
        ratio=value / beside,
        target=f"{WANTED_RATIO:.0f} times DuckDB, the first question {FIRST_SECONDS:.0f} s",
        met=value / beside <= WANTED_RATIO and first <= FIRST_SECONDS,
        runs=[
            {"orders": size.orders, "touches": size.touches, "first question s": first},
            *({"next question s": mine, "DuckDB s": other} for mine, other in zip(ours, theirs, strict=True)),
        ],
    )


def _ask(tenant: Tenant, model: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """How long the answer takes, with all that comes before it, and the answer."""
    began = time.monotonic()
    answer = tenant.client.post("/v1/models:simulate", json={**QUESTION, "model": model}, timeout=120)
    answer.raise_for_status()
    seconds = time.monotonic() - began
    simulation: dict[str, Any] = json.loads(answer.content)["simulation"]
    return seconds, simulation


def _by_hand(directory: Path) -> tuple[float, list[tuple[Any, ...]]]:
    with duckdb.connect(config={"threads": 2}) as engine:
        began = time.monotonic()
        rows = engine.execute(_SAME_QUESTION.format(directory=directory)).fetchall()
        return time.monotonic() - began, rows


def _compare(simulation: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    """Fails unless both say the same, to the cent."""
    ours = sorted(
        (
            side,
            currency["currencyCode"],
            channel["channel"],
            int(channel["orders"]),
            int(channel["amount"]["micros"]),
            int(channel["net"]["micros"]),
            int(simulation["moved"]),
        )
        for currency in simulation["currencies"]
        for side in ("compared", "simulated")
        for channel in currency[side]["byChannel"]
    )
    theirs = sorted((model, currency, _CHANNELS[channel], *rest) for model, currency, channel, *rest in rows)
    if ours != theirs or not ours:
        raise AssertionError(f"not the same answer: {ours[:3]} and {theirs[:3]}")
