"""Signed order webhooks accepted and committed a second, through the edge, beside the reference behind its own."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
import psycopg

from tests.bench.figures import Figure
from tests.bench.orders import HERE, order_file
from tests.bench.pipeline import SOURCE, Watcher, open_shop, warm_up
from tests.bench.reference import reference
from tests.mesh.running import RunningSystem

ROUNDS = 5
SECONDS = 10
CONNECTIONS = 64
# More than either side takes in one round: what is sent again would be a duplicate, which costs less.
ORDERS = 100_000
WANTED_RATIO = 0.6
SETTLE_SECONDS = 2.0
DRAINED_LOOKS = 6


def webhook_accept(running: RunningSystem) -> Figure:
    """The two sides in turn, five times; the medians of what was committed a second."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise click.ClickException("webhook_accept needs wrk: apt-get install wrk (brew install wrk)")
    orders = order_file(ORDERS)
    warm_up(running)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_measure_ours(running, wrk, orders))
        theirs.append(_measure_theirs(running, wrk, orders))
    value, beside = (median(run["committed/s"] for run in runs) for runs in (ours, theirs))
    return Figure(
        value=value,
        unit="orders/s",
        reference=beside,
        ratio=value / beside,
        target=f"{WANTED_RATIO} of the reference",
        met=value / beside >= WANTED_RATIO,
        runs=[{"side": "touchstone", **run} for run in ours] + [{"side": "reference", **run} for run in theirs],
    )


def _measure_ours(running: RunningSystem, wrk: str, orders: Path) -> dict[str, Any]:
    """A new tenant each time, so that every order is new. Counted in its statement, once it stands still."""
    shop = open_shop(running)
    watcher = Watcher(running, shop)
    _settle(running)
    told = _load(wrk, orders, f"http://127.0.0.1:{running.port}", f"/webhooks/{shop.tenant}/{SOURCE}")
    began = time.monotonic()
    still = 0
    while still < DRAINED_LOOKS:
        before = watcher.looks[-1].orders if watcher.looks else -1
        still = still + 1 if watcher.look() == before else 0
        time.sleep(0.5)
    drained = time.monotonic() - began - DRAINED_LOOKS * 0.5
    return _run(told, watcher.looks[-1].orders) | {"figures complete after s": max(0.0, drained)}


def _measure_theirs(running: RunningSystem, wrk: str, orders: Path) -> dict[str, Any]:
    with reference(running) as side:
        _settle(running)
        told = _load(wrk, orders, side.url, "/")
        return _run(told, side.committed())


def _settle(running: RunningSystem) -> None:
    """Leaves neither side the writing that the other has put off."""
    with psycopg.connect(running.state()["database_url"], autocommit=True) as connection:
        connection.execute("CHECKPOINT")
    time.sleep(SETTLE_SECONDS)


def _load(wrk: str, orders: Path, url: str, path: str) -> dict[str, Any]:
    """What wrk found: requests, seconds, errors and latencies."""
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(HERE / "load.lua"), url]
    environment = {**os.environ, "ORDERS": str(orders), "PATH_": path, "THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return told


def _run(told: dict[str, Any], committed: int) -> dict[str, Any]:
    if committed >= ORDERS:
        raise click.ClickException(f"all {ORDERS} orders were sent in {SECONDS} s: raise ORDERS in {__file__}")
    return {
        "committed/s": committed / told["seconds"],
        "answered/s": told["requests"] / told["seconds"],
        "errors": told["errors"],
        "p99 ms": told["p99_ms"],
    }
