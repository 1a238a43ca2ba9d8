"""A shop's events as the webhook's door, attribution and reporting take them: what the system says it sold."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from touchstone.attribution.v1 import credit_pb2
from touchstone.ingest.v1.event_pb2 import Event, LoggedEvent

from gateway.web.webhooks import custom
from services.ingest.wire import shape
from services.reporting.domain.cells import Cell, Measures, OutcomeCell, ProductCell, StoreCell
from services.reporting.domain.contributions import add, contributions
from services.reporting.wire.orders import fact_of
from tests.attribution import oracle
from tests.realdata.counts import Amounts, Counts

TENANT = "shop"
SOURCE = "own"


def logged(events: Iterable[dict[str, Any]], seed: int = 1) -> list[LoggedEvent]:
    """The events as they stand in the log, in whatever sequence they came: some twice."""
    told = [LoggedEvent(tenant_id=TENANT, source=SOURCE, event=event) for event in _translated(iter(events))]
    dice = random.Random(seed)
    told += dice.sample(told, len(told) // 10)
    dice.shuffle(told)
    return told


def _translated(events: Iterator[dict[str, Any]]) -> Iterator[Event]:
    """Delivery by delivery, as many events in each as one may hold."""
    while delivery := list(islice(events, custom.MOST_EVENTS)):
        said = custom.translate(orjson.dumps({"events": delivery}))
        assert not said.unusable
        read = [Event(**fields) for fields in said.events]
        assert shape.fit(read)
        yield from read


def decided(log: Iterable[LoggedEvent]) -> list[credit_pb2.OrderCredits]:
    """The credit log's last word on every order."""
    return [credit_pb2.OrderCredits.FromString(entry) for entry in oracle.entries(log, (), TENANT).values()]


def counted(credits_: Iterable[credit_pb2.OrderCredits], zone: ZoneInfo) -> Counts:
    """What the rollups of these orders come to, and the customers by the keys that orders carry."""
    cells: dict[Cell, Measures] = {}
    customers: dict[str, list[Amounts]] = defaultdict(list)
    for entry in credits_:
        fact = fact_of(entry)
        add(cells, contributions(fact, zone))
        if entry.order.customer_key and not fact.excluded_reason:
            customers[entry.order.customer_key].append((1, fact.gross_micros, fact.net_micros))
    sold, cancelled, products = {}, {}, {}
    for cell, measures in cells.items():
        match cell:
            case StoreCell(counted=True):
                sold[cell.day] = measures
            case OutcomeCell(excluded_reason="CANCELLED", model=""):
                cancelled[cell.day] = measures
            case ProductCell(model=""):
                products[cell.sku] = tuple(map(int.__add__, products.get(cell.sku, (0, 0, 0, 0)), measures))
    return Counts(
        sold=sold,
        cancelled=cancelled,
        products=products,
        customers=sorted(tuple(map(sum, zip(*orders, strict=True))) for orders in customers.values()),
    )
