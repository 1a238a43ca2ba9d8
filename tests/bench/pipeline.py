"""From the webhook to the figure: how far figures are behind at a steady rate, and how long one webhook takes."""

import http.client
import json
import pickle
import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import NamedTuple

from tests.bench.figures import Figure
from tests.bench.orders import SECRET, period, requests
from tests.bench.pacer import Job, Sent
from tests.bench.processors import each, used
from tests.mesh.running import ROOT, RunningSystem
from tests.mesh.shop import Shop

SUSTAINED_RATE = 700
SUSTAINED_SECONDS = 60
SUSTAINED_LAG_SECONDS = 3.0
SUSTAINED_LOOK_SECONDS = 0.5

SINGLE_RATE = 100
SINGLE_SECONDS = 30
SINGLE_P99_MS = 500.0
SINGLE_LOOK_SECONDS = 0.02

WARM_UP_SECONDS = 5
DRAIN_SECONDS = 120
SOURCE = "shop"


class Look(NamedTuple):
    """How many orders the statement had, and when that was known."""

    at: float
    orders: int


class Watcher:
    """Reads the statement of a shop again and again, as a dashboard would, over a kept connection."""

    def __init__(self, running: RunningSystem, shop: Shop) -> None:
        days = period()
        self._path = f"/v1/statement?startDate={days.first}&endDate={days.last}"
        self._headers = {"Authorization": f"Bearer {shop.token}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        self.looks: list[Look] = []

    def look(self) -> int:
        """How many orders there are now."""
        self._connection.request("GET", self._path, headers=self._headers)
        statement = json.loads(self._connection.getresponse().read())
        orders = int(statement["store"].get("orders", 0))
        self.looks.append(Look(time.monotonic(), orders))
        return orders

    @contextmanager
    def watching(self, pause: float) -> Iterator[None]:
        """Looks with this pause between two looks until the block ends."""
        ended = Event()

        def watch() -> None:
            while not ended.wait(pause):
                self.look()

        thread = Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def wait_for(self, orders: int, pause: float) -> None:
        """Looks until there are so many orders."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while (seen := self.look()) < orders:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{seen} of {orders} orders are in the figures after {DRAIN_SECONDS} s")
            time.sleep(pause)


def open_shop(running: RunningSystem) -> Shop:
    """A new tenant with a Shopify source whose secret the orders are signed with."""
    shop = Shop(running)
    shop.add_source(SOURCE, "shopify", SECRET)
    return shop


def pace(running: RunningSystem, shop: Shop, rate: int, seconds: int) -> Sent:
    """Sends so many orders a second for so many seconds."""
    made = requests(f"/webhooks/{shop.tenant}/{SOURCE}", rate * seconds)
    job = Job("127.0.0.1", running.port, rate, made)
    command = [sys.executable, "-c", "from tests.bench.pacer import main; main()"]
    done = subprocess.run(command, cwd=ROOT, input=pickle.dumps(job), stdout=subprocess.PIPE, check=True)
    sent: Sent = pickle.loads(done.stdout)
    return sent


def warm_up(running: RunningSystem) -> None:
    """A few seconds of work for a shop of its own, so that connections are open and plans are made."""
    shop = open_shop(running)
    sent = pace(running, shop, SINGLE_RATE, WARM_UP_SECONDS)
    Watcher(running, shop).wait_for(len(sent.accepted), SUSTAINED_LOOK_SECONDS)


def pipeline_sustained(running: RunningSystem) -> Figure:
    """A steady rate for a minute, with everything running: how old the oldest order is that no figure shows yet."""
    warm_up(running)
    shop = open_shop(running)
    watcher = Watcher(running, shop)
    before = used(running)
    with watcher.watching(SUSTAINED_LOOK_SECONDS):
        sent = pace(running, shop, SUSTAINED_RATE, SUSTAINED_SECONDS)
    watcher.wait_for(len(sent.accepted), SUSTAINED_LOOK_SECONDS)
    costs = each(before, used(running), len(sent.accepted))
    lags = [_behind(look, sent.accepted) for look in watcher.looks]
    rate = len(sent.accepted) / (sent.accepted[-1] - sent.due[0])
    run = {
        "orders": len(sent.accepted),
        "refused": sent.refused,
        "most seconds behind": max(lags),
        "median seconds behind": sorted(lags)[len(lags) // 2],
        "accepted p99 ms": quantile(sent.latencies, 0.99) * 1000,
        "processor time an order": costs,
    }
    return Figure(
        value=rate,
        unit="orders/s",
        target=f"{SUSTAINED_RATE}/s, at most {SUSTAINED_LAG_SECONDS:.0f} s behind",
        met=rate >= SUSTAINED_RATE * 0.99 and not sent.refused and max(lags) <= SUSTAINED_LAG_SECONDS,
        runs=[run],
    )


def webhook_to_figure_p99(running: RunningSystem) -> Figure:
    """From the moment when a webhook should be sent to the first answer whose statement counts it.

    Figures take orders in the sequence of the log, so the n-th order accepted is in the first statement that has n
    orders. The pause between two looks and the time of a look are part of what is measured.
    """
    warm_up(running)
    shop = open_shop(running)
    watcher = Watcher(running, shop)
    with watcher.watching(SINGLE_LOOK_SECONDS):
        sent = pace(running, shop, SINGLE_RATE, SINGLE_SECONDS)
    watcher.wait_for(len(sent.accepted), SINGLE_LOOK_SECONDS)
    return spans_figure(sent, watcher.looks, SINGLE_P99_MS, {"looks a second": len(watcher.looks) / SINGLE_SECONDS})


def spans_figure(sent: Sent, looks: Sequence[Look], wanted_p99_ms: float, details: Mapping[str, float]) -> Figure:
    """How long it took from the moment when each order should be sent to the first look that counts it."""
    counts = [look.orders for look in looks]
    spans = [
        looks[bisect_left(counts, number)].at - due for number, due in enumerate(sent.due[: len(sent.accepted)], 1)
    ]
    p99 = quantile(spans, 0.99) * 1000
    run = {
        "p50 ms": quantile(spans, 0.5) * 1000,
        "p99 ms": p99,
        "most ms": max(spans) * 1000,
        "orders": len(spans),
        "refused": sent.refused,
        **details,
    }
    return Figure(
        value=p99,
        unit="ms",
        target=f"under {wanted_p99_ms:.0f} ms at {SINGLE_RATE}/s",
        met=p99 < wanted_p99_ms and not sent.refused,
        runs=[run],
    )


def _behind(look: Look, accepted: list[float]) -> float:
    """Seconds since the oldest accepted order that the look did not show; 0 when it showed all."""
    if look.orders >= len(accepted):
        return 0.0
    return max(0.0, look.at - accepted[look.orders])


def quantile(values: list[float], part: float) -> float:
    """The value below which such a part of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
