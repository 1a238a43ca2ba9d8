"""Shopify's mandatory topics about people's data, as demands."""

from typing import Any, Final, TypeAlias

from touchstone.ingest.v1.privacy_pb2 import PrivacyDemand

from gateway.web.webhooks.fields import UnusableError, claim, optional_identifier, parse_object, part, within
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


def demands(topic: str, body: bytes) -> list[DemandFields]:
    """What a body asks about people's data; nothing for any other topic. Raises `UnusableError`.

    The topic's header isn't signed: a body of another shape than the topic's is refused.
    """
    if topic not in _KINDS:
        return []
    told = parse_object(body)
    demand = {"demand_id": f"{topic}/{content_hash(body)}", "kind": _KINDS[topic]}
    if topic == "shop/redact":
        if not told or not _OF_A_SHOP.issuperset(told):
            raise UnusableError("TOPIC_MISMATCH")
        return [demand]
    if _ORDERS[topic] not in told or "customer" not in told:
        raise UnusableError("TOPIC_MISMATCH")
    customer = part(told, "customer")
    identifiers = {
        "customer_id": within(told, "customer", optional_identifier, "id"),
        "email": claim(customer.get("email")),
        "phone": claim(customer.get("phone")),
    }
    return [{**demand, "identifiers": identifiers, "order_ids": _order_ids(told, topic)}]


def _order_ids(told: dict[str, Any], topic: str) -> list[str]:
    listed = told[_ORDERS[topic]]
    if listed is None:
        return []
    if type(listed) is not list:
        raise UnusableError("INVALID_FIELD", _ORDERS[topic])
    ids = (optional_identifier({_ORDERS[topic]: one}, _ORDERS[topic]) for one in listed)
    return [order_id for order_id in ids if order_id]
