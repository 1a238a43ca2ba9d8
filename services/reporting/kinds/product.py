"""Products: the shop's catalogue as it tells it, and the names that a SKU goes by."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.ingest.v1 import event_pb2

from services.reporting.activities import Kind
from services.reporting.domain.cells import Cell, Measures
from services.reporting.domain.products import Gone, Product, Told, fold
from services.reporting.domain.tenants import Tenant

_NANOS: Final = 1_000_000_000


def _keys(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    if logged.event.WhichOneof("payload") != "product":
        return ()
    return (f"{logged.source}/{logged.event.product.product_id}",)


def _fold(state: bytes, events: Sequence[event_pb2.LoggedEvent]) -> bytes:
    restored = any(logged.event.product.restored for logged in events)
    product = fold(_read(state), (_news(logged.event) for logged in events), restored=restored)
    first = events[0]
    return _written(first.source, first.event.product.product_id, product)


def _news(event: event_pb2.Event) -> Told | Gone:
    product = event.product
    moment = _moment(event)
    if product.deleted:
        return Gone(moment or None)
    return Told(
        moment=moment,
        total_sales=product.total_sales if product.HasField("total_sales") else -1,
        event_id=event.event_id,
        sku=product.sku,
        display_name=product.display_name,
        parent_product_id=product.parent_product_id,
    )


def _moment(event: event_pb2.Event) -> int:
    """When the shop last changed it, in nanoseconds since 1970; 0 where it doesn't say."""
    told: Timestamp = event.product.update_time if event.product.HasField("update_time") else event.occur_time
    return told.seconds * _NANOS + told.nanos


def _written(source: str, product_id: str, product: Product) -> bytes:
    """The state: an object whose names the SQL of products reads, and what decides between tellings."""
    told = product.told
    return orjson.dumps(
        {
            "source": source,
            "product_id": product_id,
            "sku": told.sku if told else "",
            "display_name": told.display_name if told else "",
            "parent_product_id": told.parent_product_id if told else "",
            "total_sales": told.total_sales if told and told.total_sales >= 0 else None,
            "deleted": product.deleted,
            "moment": told.moment if told else None,
            "event_id": told.event_id if told else "",
            "deleted_at": product.deleted_at,
            "binned": product.binned,
            "restored": product.restored,
        }
    )


def _read(state: bytes) -> Product:
    if not state:
        return Product()
    held: dict[str, Any] = orjson.loads(state)
    told = None
    if held["moment"] is not None:
        total_sales = -1 if held["total_sales"] is None else held["total_sales"]
        told = Told(
            held["moment"],
            total_sales,
            held["event_id"],
            held["sku"],
            held["display_name"],
            held["parent_product_id"],
        )
    return Product(told, held["deleted_at"], held["binned"], held["restored"])


def _no_cells(_tenant: Tenant, _key: str, _state: bytes) -> Mapping[Cell, Measures]:
    return {}


PRODUCT = Kind(name="product", keys_of=_keys, fold=_fold, contributions=_no_cells)
"""A product of a shop, by source and the shop's id."""


def _names(logged: event_pb2.LoggedEvent) -> Iterable[str]:
    if logged.event.WhichOneof("payload") != "product" or not logged.event.product.display_name:
        return ()
    product = logged.event.product
    return dict.fromkeys(name for name in (product.sku, product.product_id) if name)


def _fold_name(state: bytes, events: Sequence[event_pb2.LoggedEvent]) -> bytes:
    told = [[_moment(logged.event), logged.event.event_id, logged.event.product.display_name] for logged in events]
    if state:
        told.append(orjson.loads(state))
    return orjson.dumps(max(told))


PRODUCT_NAME = Kind(name="product_name", keys_of=_names, fold=_fold_name, contributions=_no_cells)
"""What orders call a product by, its SKU or the shop's id, with the newest name for people; a deleted one keeps it."""
