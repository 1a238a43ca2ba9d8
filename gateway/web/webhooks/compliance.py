"""Shopify's mandatory topics about people's data, as demands."""

from typing import Any, Final, TypeAlias

from touchstone.ingest.v1.privacy_pb2 import PrivacyDemand

from gateway.web.webhooks.fields import UnusableError, claim, optional_identifier, parse_object
from gateway.web.webhooks.shapes import BodyOf
from gateway.web.webhooks.shopify_shapes import Customer, DataRequest, RedactRequest
from gateway.web.webhooks.translation import content_hash

DemandFields: TypeAlias = dict[str, Any]
"""A demand in the keyword form of its message, `PrivacyDemand(**fields)`."""

_ORDERS: Final = {"customers/data_request": "orders_requested", "customers/redact": "orders_to_redact"}
_KINDS: Final = {
    "customers/data_request": PrivacyDemand.ACCESS,
    "customers/redact": PrivacyDemand.ERASURE,
    "shop/redact": PrivacyDemand.SHOP_ERASURE,
}
_OF_A_SHOP: Final = frozenset({"shop_id", "shop_domain"})

_REQUESTS: Final[dict[str, BodyOf[DataRequest] | BodyOf[RedactRequest]]] = {
    "customers/data_request": BodyOf(DataRequest),
    "customers/redact": BodyOf(RedactRequest),
}


def demands(topic: str, body: bytes) -> list[DemandFields]:
    """What a body asks about people's data; nothing for any other topic. Raises `UnusableError`.

    The topic's header isn't signed: a body of another shape than the topic's is refused.
    """
    if topic not in _KINDS:
        return []
    demand = {"demand_id": f"{topic}/{content_hash(body)}", "kind": _KINDS[topic]}
    if topic == "shop/redact":
        names = parse_object(body)
        if not names or not _OF_A_SHOP.issuperset(names):
            raise UnusableError("TOPIC_MISMATCH")
        return [demand]
    told = _REQUESTS[topic].read(body)
    customer = told.customer or Customer()
    identifiers = {
        "customer_id": optional_identifier(customer.id, "customer.id"),
        "email": claim(customer.email),
        "phone": claim(customer.phone),
    }
    return [
        {**demand, "identifiers": identifiers, "order_ids": _order_ids(getattr(told, _ORDERS[topic]), _ORDERS[topic])}
    ]


def _order_ids(listed: Any, name: str) -> list[str]:
    if listed is None:
        return []
    if type(listed) is not list:
        raise UnusableError("INVALID_FIELD", name)
    ids = (optional_identifier(one, name) for one in listed)
    return [order_id for order_id in ids if order_id]
