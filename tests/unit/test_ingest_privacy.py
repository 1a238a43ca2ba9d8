"""Who is asked for by hand, and what requests are called."""

from datetime import UTC, datetime, timedelta

import pytest
from touchstone.ingest.v1.privacy_service_pb2 import ErasePersonRequest

from services.ingest.domain.addresses import hashed_email, hashed_phone
from services.ingest.domain.events import Limits
from services.ingest.domain.privacy import DemandKind, Named, is_request_id, request_id
from services.ingest.domain.tenants import TenantTerms
from services.ingest.wire.privacy import erasure_of
from services.kernel.failures import InvalidArgumentError
from services.kernel.identifiers import Identifier, Kind

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ACME = TenantTerms("acme", 3, b"h" * 32, Limits(), {})


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"email": "  Jane@Example.com"}, Identifier(Kind.EMAIL, hashed_email(ACME.hash_key, "jane@example.com"))),
        ({"phone": "+34 600 000 000"}, Identifier(Kind.PHONE, hashed_phone(ACME.hash_key, "+34600000000", ""))),
        ({"visitor_id": "V-1"}, Identifier(Kind.VISITOR, "V-1")),
        ({"session_id": "s"}, Identifier(Kind.SESSION, "s")),
        ({"customer_id": "7"}, Identifier(Kind.CUSTOMER, "7")),
        ({"conversation_id": "c"}, Identifier(Kind.CONVERSATION, "c")),
        ({"click_id": "k"}, Identifier(Kind.CLICK, "k")),
    ],
)
def test_somebody_is_named_as_the_log_names_them(asked: dict[str, str], named: Identifier) -> None:
    demand = erasure_of(ErasePersonRequest(**asked), ACME, NOW)
    assert (demand.kind, demand.source, demand.named) == (DemandKind.ERASURE, "api", Named((named,)))
    assert Named.unpacked(demand.named.packed()) == demand.named


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({}, "exactly one"),
        ({"email": "jane@example.com", "visitor_id": "v"}, "email"),
        ({"email": "not an address"}, "email: is no valid address"),
        ({"phone": "600 000 000"}, "phone: is no valid address"),
        ({"visitor_id": "v" * 257}, "visitorId: is not 1 to 256"),
        ({"session_id": "\0"}, "sessionId"),
    ],
)
def test_whoever_can_be_nobody_or_two_is_refused(asked: dict[str, str], complaint: str) -> None:
    with pytest.raises(InvalidArgumentError, match=complaint) as refused:
        erasure_of(ErasePersonRequest(**asked), ACME, NOW)
    assert "jane" not in refused.value.message


def test_later_requests_have_greater_ids() -> None:
    ids = [request_id(NOW + timedelta(milliseconds=i), bytes([255 - i]) * 16) for i in range(9)]
    assert ids == sorted(ids)
    assert all(map(is_request_id, ids))
    assert not is_request_id("../1")


def test_the_same_names_are_packed_the_same() -> None:
    one, other = Identifier(Kind.EMAIL, "a"), Identifier(Kind.SESSION, "b")
    assert Named((one, other), ("2", "1")).packed() == Named((other, one, one), ("1", "2", "2")).packed()
