"""What the system tells a collector: a delivery's way under one trace, the documented metrics, and nobody's data."""

import re
from pathlib import Path
from uuid import uuid4

from tests.mesh.collecting import Collector, Span
from tests.mesh.running import ROOT, until
from tests.mesh.shop import RECORDED_SECRET, Shop, recorded

DOCUMENTED = Path(ROOT) / "docs" / "telemetry.md"
WAY = {
    ("web", "POST /webhooks"),
    ("ingest", "append events"),
    ("identity", "apply events"),
    ("attribution", "apply events"),
    ("reporting", "apply events"),
    ("reporting", "apply credits"),
}
"""Which process does what with a delivery."""

CALLS = {"POST /v1", "GET /v1", "POST /webhooks", "touchstone.ingest.v1.EventService/AppendEvents", "apply events"}
SQL = re.compile(r"\b(select|insert into|update|delete from)\b.*\b(from|set|values|where)\b", re.IGNORECASE | re.DOTALL)
USUAL = {
    "web": {"touchstone.webhook.deliveries"},
    "ingest": {"touchstone.ingest.commit.entries", "rpc.server.call.duration"},
    "identity": {"touchstone.follow.entries", "touchstone.follow.lag", "touchstone.follow.apply.duration"},
    "attribution": {"touchstone.follow.entries", "touchstone.follow.lag", "touchstone.agreement.standing"},
    "reporting": {"touchstone.follow.entries", "touchstone.follow.lag", "touchstone.follow.apply.duration"},
}
"""What processes tell that nothing has happened to."""


def _sampled() -> tuple[str, str]:
    """A trace, and the header that a caller sends in it."""
    trace_id = uuid4().hex
    return trace_id, f"00-{trace_id}-00f067aa0ba902b7-01"


def test_a_delivery_is_one_trace_from_the_gateway_to_the_figures(shop: Shop, collector: Collector) -> None:
    shop.add_recorded_source()
    [order] = [one for one in recorded() if one.topic == "order.created"][:1]
    trace_id, header = _sampled()
    assert shop.deliver(order.source, [*order.headers, ("traceparent", header)], order.body).status_code == 200

    def whole() -> list[Span] | None:
        spans = collector.spans(trace_id)
        return spans if {span[:2] for span in spans} >= WAY else None

    spans = until("every process told its part of the trace", whole)
    [first] = [span for span in spans if span.process == "web"]
    assert first == Span("web", "POST /webhooks", "00f067aa0ba902b7")


def test_a_call_is_one_trace_too_and_what_fails_in_it_names_nobody(shop: Shop, collector: Collector) -> None:
    trace_id, header = _sampled()
    sent = {"traceparent": header}
    email = "Shopper.Telemetry@example.com"
    event = {
        "eventId": "said",
        "occurTime": "2026-01-15T10:00:00Z",
        "identifiers": {"email": email, "sessionId": "s-1"},
        "interaction": {"conversationId": "c-1", "channel": "CHAT", "action": "MESSAGE"},
    }
    shop.client.post("/v1/events", json={"events": [event]}, headers=sent).raise_for_status()
    assert shop.client.post("/v1/people:erase", json={"nobody": email}, headers=sent).status_code == 400
    assert shop.client.get(f"/v1/orders/{email}/attribution", headers=sent).status_code == 404
    shop.deliver("unknown", [("traceparent", header)], email.encode())

    until("the calls were told", lambda: {span.name for span in collector.spans(trace_id)} >= CALLS)
    until("all metrics were told", lambda: collector.metric_names().keys() >= USUAL.keys())
    for text in collector.texts():
        assert "@" not in text
        assert email.partition("@")[0].lower() not in text.lower()
        assert RECORDED_SECRET not in text
        assert "eyJ" not in text, "a token's beginning"
        assert not SQL.search(text)


def test_the_metrics_are_the_documented_ones(shop: Shop, collector: Collector) -> None:
    shop.settle()
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", DOCUMENTED.read_text(), re.MULTILINE))

    def told() -> bool:
        names = collector.metric_names()
        return all(usual <= names.get(process, set()) for process, usual in USUAL.items())

    until("every process told what it always tells", told)
    assert set().union(*collector.metric_names().values()) <= documented


def test_a_request_without_a_sampled_trace_leaves_no_mark(shop: Shop, collector: Collector) -> None:
    trace_id = uuid4().hex
    shop.client.get("/v1/settings", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-00"}).raise_for_status()
    seen, header = _sampled()
    shop.client.get("/v1/settings", headers={"traceparent": header}).raise_for_status()
    until("a later one was told", lambda: len(collector.spans(seen)) >= 2)
    assert collector.spans(trace_id) == []
