"""From the webhook to who watches: how long until a figure is pushed, at a steady rate."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from tests.bench.figures import Figure
from tests.bench.orders import period
from tests.bench.pipeline import (
    DRAIN_SECONDS,
    SINGLE_RATE,
    SINGLE_SECONDS,
    Look,
    open_shop,
    pace,
    spans_figure,
    warm_up,
)
from tests.mesh.running import RunningSystem
from tests.mesh.shop import Shop

P99_MS = 1_000.0


class Listener:
    """Reads the events of a shop's live figures as they come."""

    def __init__(self, running: RunningSystem, shop: Shop) -> None:
        days = period()
        self._connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        self._connection.request(
            "GET",
            f"/v1/live?metrics=store_orders&startDate={days.first}&endDate={days.last}",
            headers={"Authorization": f"Bearer {shop.token}", "Accept": "text/event-stream"},
        )
        self._answer = self._connection.getresponse()
        self._wanted: int | None = None
        self._complete = Event()
        self.looks: list[Look] = []

    def _read(self) -> None:
        while line := self._answer.readline():
            if not line.startswith(b"data: "):
                continue
            told = json.loads(line.removeprefix(b"data: "))
            orders = int(told["figures"]["totals"]["metrics"]["store_orders"]["count"])
            self.looks.append(Look(time.monotonic(), orders))
            if self._wanted is not None and orders >= self._wanted:
                break
        self._complete.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listens until all that `wait_for` was told of is there."""
        thread = Thread(target=self._read, daemon=True)
        thread.start()
        yield
        if not self._complete.wait(DRAIN_SECONDS):
            raise TimeoutError(f"{self.looks[-1].orders} of {self._wanted} orders are told after {DRAIN_SECONDS} s")
        thread.join()
        self._connection.close()

    def wait_for(self, orders: int) -> None:
        """Says how many orders there are to be told of."""
        self._wanted = orders
        if self.looks and self.looks[-1].orders >= orders:
            self._complete.set()


def live_p99(running: RunningSystem) -> Figure:
    """From the moment when a webhook should be sent to the first event whose figures count it.

    Figures take orders in the sequence of the log, so the n-th order accepted is in the first event that has n orders.
    Events come at most four times a second: half of that, on average, is part of what is measured.
    """
    warm_up(running)
    shop = open_shop(running)
    listener = Listener(running, shop)
    with listener.listening():
        sent = pace(running, shop, SINGLE_RATE, SINGLE_SECONDS)
        listener.wait_for(len(sent.accepted))
    return spans_figure(sent, listener.looks, P99_MS, {"events a second": len(listener.looks) / SINGLE_SECONDS})
