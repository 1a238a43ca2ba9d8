"""The app as its clients see it, in front of services that only remember and answer."""

import base64
import hmac
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import grpc
import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from touchstone.attribution.v1 import credit_service_pb2, credit_service_pb2_grpc
from touchstone.ingest.v1 import (
    event_service_pb2,
    event_service_pb2_grpc,
    source_service_pb2,
    source_service_pb2_grpc,
    tenant_service_pb2,
    tenant_service_pb2_grpc,
)
from touchstone.reporting.v1 import report_service_pb2, report_service_pb2_grpc

from gateway.web.app import build
from services.chassis import tokens
from services.chassis.channels import open_channel
from services.chassis.statuses import status_of
from services.kernel.failures import FailedPreconditionError, InvalidArgumentError, NotFoundError

SECRET = "s3cret"


class Events(event_service_pb2_grpc.EventServiceServicer):
    def __init__(self):
        self.seen = []
        self.refusing = 0

    async def AppendEvents(self, request, context):  # noqa: N802
        self.seen.append((dict(context.invocation_metadata())["authorization"], request))
        results = [{"event_id": event.event_id, "status": 1} for event in request.events]
        return event_service_pb2.AppendEventsResponse(results=results)

    async def AppendDeliveries(self, request, context):  # noqa: N802
        self.seen.append((dict(context.invocation_metadata())["authorization"], request))
        if any(one.topic == "orders/cancelled" for one in request.deliveries) or len(self.seen) <= self.refusing:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")
        results = [
            event_service_pb2.DeliveryResult(parked=sum(event.event_id == "refused" for event in one.events))
            for one in request.deliveries
        ]
        return event_service_pb2.AppendDeliveriesResponse(results=results)


class Sources(source_service_pb2_grpc.SourceServiceServicer):
    def __init__(self):
        self.kinds = {"shop": 2, "woo": 1, "own": 3}
        self.secrets = [SECRET]
        self.asked = 0
        self.parked = {}
        self.resolved = []

    async def ResolveSource(self, request, context):  # noqa: N802
        self.asked += 1
        if request.tenant_id != "acme" or request.source not in self.kinds:
            await refuse(context, NotFoundError("SOURCE_NOT_FOUND", "there is no such source"))
        source = {"source": request.source, "kind": self.kinds[request.source], "id_prefix": "_touchstone_"}
        return source_service_pb2.ResolveSourceResponse(source=source, secrets=self.secrets)

    async def ListParkedDeliveries(self, _request, _context):  # noqa: N802
        return source_service_pb2.ListParkedDeliveriesResponse(
            parked_deliveries=[{"parked_id": parked_id} for parked_id in sorted(self.parked)]
        )

    async def ReadParkedDeliveries(self, request, _context):  # noqa: N802
        chosen = [one for one in sorted(request.parked_ids) if one > request.after_parked_id and one in self.parked]
        return source_service_pb2.ReadParkedDeliveriesResponse(
            parked_deliveries=[{"parked_id": one, **self.parked[one]} for one in chosen]
        )

    async def ResolveParkedDeliveries(self, request, _context):  # noqa: N802
        self.resolved += request.parked_ids
        return source_service_pb2.ResolveParkedDeliveriesResponse(resolved=len(request.parked_ids))


changed: list[str] = []
"""The fields that settings were changed in, call by call."""


class Tenants(tenant_service_pb2_grpc.TenantServiceServicer):
    async def UpdateSettings(self, request, _context):  # noqa: N802
        assert request.HasField("update_mask")
        changed.append(",".join(request.update_mask.paths))
        return tenant_service_pb2.UpdateSettingsResponse(settings=request.settings)


class Credits(credit_service_pb2_grpc.CreditServiceServicer):
    async def ExplainOrder(self, request, context):  # noqa: N802
        if request.order_id == "gone":
            await refuse(context, NotFoundError("ORDER_NOT_FOUND", "there is no such order"))
        evidence = {"order_id": request.order_id, "source": request.source}
        return credit_service_pb2.ExplainOrderResponse(evidence=evidence)


class Reports(report_service_pb2_grpc.ReportServiceServicer):
    async def RunReport(self, request, context):  # noqa: N802
        if not request.metrics:
            await refuse(context, InvalidArgumentError.of("metrics", "is required"))
        row = {"dimensions": {"bot": ""}, "metrics": {"a": {"ratio": 0.0}, "b": {}}}
        return report_service_pb2.RunReportResponse(rows=[row])

    async def GetStatement(self, request, context):  # noqa: N802
        if request.model:
            await refuse(context, FailedPreconditionError("MODEL_INACTIVE", "switch it on first"))
        store = {"orders": 2, "amount": {"currency_code": "EUR", "micros": 56_090_000}}
        return report_service_pb2.GetStatementResponse(statement={"store": store})


async def refuse(context, failure):
    status = status_of(failure)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode[_NAMES[status.code]], status.message, details)


_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class Health(health_pb2_grpc.HealthServicer):
    serving = True
    differing = False

    async def Check(self, request, _context):  # noqa: N802
        good = not self.differing if request.service == "agreement" else self.serving
        return health_pb2.HealthCheckResponse(status=1 if good else 2)


class World:
    def __init__(self):
        self.events = Events()
        self.seen = self.events.seen
        self.sources = Sources()
        self.health = Health()

    def deliveries(self):
        return [one for _, call in self.seen for one in call.deliveries]


@asynccontextmanager
async def lifespan(app):
    """What a server does around the app's life."""
    import asyncio

    told, said = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    yield
    await told.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await task


@pytest.fixture
async def world():
    return World()


@pytest.fixture
def issue(tmp_path):
    key = tokens.signing_key(ec.generate_private_key(ec.SECP256R1()))
    (tmp_path / "jwks.json").write_bytes(orjson.dumps({"keys": [key.public_jwk()]}))
    return lambda *scopes: tokens.issue(key, "test", "acme", scopes, timedelta(hours=1))


@pytest.fixture
async def client(world, issue, tmp_path):
    server = grpc.aio.server()
    event_service_pb2_grpc.add_EventServiceServicer_to_server(world.events, server)
    source_service_pb2_grpc.add_SourceServiceServicer_to_server(world.sources, server)
    tenant_service_pb2_grpc.add_TenantServiceServicer_to_server(Tenants(), server)
    credit_service_pb2_grpc.add_CreditServiceServicer_to_server(Credits(), server)
    report_service_pb2_grpc.add_ReportServiceServicer_to_server(Reports(), server)
    health_pb2_grpc.add_HealthServicer_to_server(world.health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}", token="the mesh's own")
    names = ("ingest", "identity", "attribution", "reporting")
    app = build(dict.fromkeys(names, channel), tokens.Verifier(tmp_path / "jwks.json"))
    headers = {"authorization": f"Bearer {issue('events:write', 'reports:read', 'admin')}"}
    transport = httpx.ASGITransport(app)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://edge", headers=headers) as http:
        yield http
    await channel.close()
    await server.stop(None)


def signature(body, secret=SECRET):
    return base64.b64encode(hmac.digest(secret.encode(), body, "sha256")).decode()


def shopify(body, topic="orders/paid", secret=SECRET):
    return {"x-shopify-topic": topic, "x-shopify-hmac-sha256": signature(body, secret)}


def refused(answer, status, reason):
    told = answer.json()
    assert (answer.status_code, told["details"][0]["reason"]) == (status, reason), told
    assert told["details"][0]["domain"] == "touchstone"
    return told


ORDER = orjson.dumps(
    {
        "id": 5,
        "created_at": "2026-11-20T10:15:00Z",
        "currency": "EUR",
        "financial_status": "paid",
        "total_price": "10.00",
        "line_items": [],
    }
)


async def test_a_delivery(client, world):
    answer = await client.post("/webhooks/acme/shop", content=ORDER, headers=shopify(ORDER))
    assert (answer.status_code, answer.json()) == (200, {})
    ((token, _),) = world.seen
    assert token == "Bearer the mesh's own"
    (delivery,) = world.deliveries()
    assert (delivery.tenant_id, delivery.source, delivery.topic) == ("acme", "shop", "orders/paid")
    assert delivery.receive_time.seconds
    assert delivery.events[0].order.total_micros == 10_000_000


async def test_what_cannot_be_used_is_parked_and_answered_well(client, world):
    answer = await client.post("/webhooks/acme/shop", content=b"{", headers=shopify(b"{"))
    assert answer.status_code == 200
    (delivery,) = world.deliveries()
    assert [(part.reason, part.body) for part in delivery.unusable] == [("INVALID_JSON", b"{")]
    assert delivery.unusable[0].headers == {"x-shopify-topic": "orders/paid"}


async def test_topics_without_figures_are_told_without_events(client, world):
    await client.post("/webhooks/acme/shop", content=b"{}", headers=shopify(b"{}", "app/uninstalled"))
    (delivery,) = world.deliveries()
    assert (delivery.topic, len(delivery.events), len(delivery.unusable)) == ("app/uninstalled", 0, 0)


async def test_a_bad_signature_stores_nothing(client, world):
    for headers in ({}, shopify(ORDER, secret="other"), shopify(b"another body")):
        answer = await client.post("/webhooks/acme/shop", content=ORDER, headers=headers)
        refused(answer, 401, "BAD_SIGNATURE")
    assert not world.seen


async def test_a_new_secret_works_at_once(client, world):
    assert (await client.post("/webhooks/acme/shop", content=ORDER, headers=shopify(ORDER))).status_code == 200
    world.sources.secrets = ["new", SECRET]
    answer = await client.post("/webhooks/acme/shop", content=ORDER, headers=shopify(ORDER, secret="new"))
    assert answer.status_code == 200
    assert world.sources.asked == 2


async def test_a_new_source_works_at_once(client, world):
    refused(await client.post("/webhooks/acme/late", content=ORDER, headers=shopify(ORDER)), 404, "SOURCE_NOT_FOUND")
    world.sources.kinds["late"] = 2
    assert (await client.post("/webhooks/acme/late", content=ORDER, headers=shopify(ORDER))).status_code == 200


@pytest.mark.parametrize("path", ["/webhooks/other/shop", "/webhooks/acme/Shop", "/webhooks/acme", "/webhooks/a/b/c"])
async def test_unknown_addresses(client, path):
    refused(await client.post(path, content=ORDER, headers=shopify(ORDER)), 404, "SOURCE_NOT_FOUND")


async def test_only_post_delivers(client):
    answer = await client.get("/webhooks/acme/shop")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


async def test_what_is_not_stored_is_asked_for_again(client):
    headers = shopify(ORDER, "orders/cancelled")
    answer = await client.post("/webhooks/acme/shop", content=ORDER, headers=headers)
    refused(answer, 503, "NOT_STORED")
    assert answer.headers["retry-after"] == "1"


async def test_what_comes_only_once_is_tried_for_longer(client, world):
    world.events.refusing = 1
    headers = {"x-wc-webhook-topic": "order.deleted", "x-wc-webhook-signature": signature(b'{"id":29}')}
    assert (await client.post("/webhooks/acme/woo", content=b'{"id":29}', headers=headers)).status_code == 200
    assert len(world.seen) == 2


async def test_woocommerces_greeting(client, world):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post("/webhooks/acme/woo", content=b"webhook_id=7", headers=headers)).status_code == 200
    refused(await client.post("/webhooks/acme/shop", content=b"webhook_id=7"), 401, "BAD_SIGNATURE")
    refused(await client.post("/webhooks/acme/woo", content=b"webhook_id=x"), 401, "BAD_SIGNATURE")
    named = {"x-wc-webhook-topic": "order.created"}
    refused(await client.post("/webhooks/acme/woo", content=b"webhook_id=7", headers=named), 401, "BAD_SIGNATURE")
    assert not world.seen


async def test_bodies_too_large_to_keep(client, world):
    body = b" " * (5 * 1024 * 1024 + 1)
    refused(await client.post("/webhooks/acme/shop", content=body, headers=shopify(body)), 413, "REQUEST_TOO_LARGE")
    headers = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-signature": signature(body)}
    assert (await client.post("/webhooks/acme/woo", content=body, headers=headers)).status_code == 200
    (delivery,) = world.deliveries()
    assert [(part.reason, part.body) for part in delivery.unusable] == [("BODY_TOO_LARGE", b"")]
    headers["x-wc-webhook-signature"] = signature(body, "other")
    refused(await client.post("/webhooks/acme/woo", content=body, headers=headers), 401, "BAD_SIGNATURE")


async def test_a_custom_shops_events(client, world):
    body = orjson.dumps({"events": [{"eventId": "1", "order": {"orderId": "5"}}, {"eventId": "2", "odrer": {}}]})
    at = int(time.time())
    made = hmac.new(SECRET.encode(), b"%d.%b" % (at, body), "sha256").hexdigest()
    headers = {"x-touchstone-signature": f"t={at},v1={made}"}
    assert (await client.post("/webhooks/acme/own", content=body, headers=headers)).status_code == 200
    (delivery,) = world.deliveries()
    assert [event.order.order_id for event in delivery.events] == ["5"]
    (part,) = delivery.unusable
    assert part.reason == "INVALID_FIELD: events[1].odrer"
    assert orjson.loads(part.body) == {"events": [{"eventId": "2", "odrer": {}}]}


async def test_events_are_judged_one_by_one(client, world):
    sent = [
        {"eventId": "a", "interaction": {"channel": "CHAT", "action": "MESSAGE"}},
        {"eventId": "b", "interaction": {"channel": "CHAT!"}},
        7,
        {"eventId": "d"},
    ]
    answer = await client.post("/v1/events", json={"events": sent})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result.get("eventId") for result in results] == ["a", "b", None, "d"]
    assert [result["status"] for result in results] == ["ACCEPTED", "REJECTED", "REJECTED", "ACCEPTED"]
    assert results[1]["reason"].startswith("INVALID_FIELD: interaction.channel: must be one of CHAT, FAQ")
    ((token, request),) = world.seen
    assert token == client.headers["authorization"]
    assert [event.event_id for event in request.events] == ["a", "d"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", "body"),
        (b"{}", "events"),
        (b'{"events": {}}', "events"),
        (b'{"events": []}', "events"),
        (b'{"events": [], "more": 1}', "body"),
        (orjson.dumps({"events": [{}] * 1001}), "events"),
    ],
)
async def test_no_list_of_events(client, body, field):
    told = refused(await client.post("/v1/events", content=body), 400, "INVALID_FIELD")
    assert told["details"][1]["fieldViolations"][0]["field"] == field


async def test_events_need_a_token_that_may_write(client, issue):
    events = {"events": [{"x": 1}]}
    client.headers.pop("authorization")
    refused(await client.post("/v1/events", json=events), 401, "TOKEN_MISSING")
    refused(await client.post("/v1/events", json=events, headers={"authorization": "Bearer x"}), 401, "TOKEN_INVALID")
    headers = {"authorization": f"Bearer {issue('reports:read')}"}
    refused(await client.post("/v1/events", json=events, headers=headers), 403, "SCOPE_MISSING")


async def test_numbers_and_lists_are_always_there(client):
    told = (await client.get("/v1/statement?startDate=2026-11-01&endDate=2026-11-02")).json()
    assert told == {
        "store": {"orders": 2, "amount": {"currencyCode": "EUR", "micros": "56090000"}},
        "excluded": [],
        "parkedEvents": 0,
        "unconverted": [],
    }
    (row,) = (await client.post("/v1/reports:run", json={"metrics": ["a"]})).json()["rows"]
    assert row == {"dimensions": {"bot": ""}, "metrics": {"a": {"ratio": 0.0}, "b": {}}}


async def test_paths_are_decoded_once(client):
    told = (await client.get("/v1/orders/%2350%2F7%3A1%25/attribution?source=shop")).json()
    assert (told["orderId"], told["source"]) == ("#50/7:1%", "shop")


async def test_a_body_that_is_one_field(client):
    answer = await client.patch("/v1/settings?updateMask=timeZone", json={"timeZone": "Europe/Madrid"})
    assert answer.json()["settings"]["timeZone"] == "Europe/Madrid"
    for body in ({"countTestOrders": False, "linkHosts": []}, {}, {"timeZone": None}):
        (await client.patch("/v1/settings", json=body)).raise_for_status()
    assert changed == ["time_zone", "count_test_orders,link_hosts", "", ""]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("GET", "/v1/statement?startDate=2026-11-01&enDate=2026-11-02", None, "enDate"),
        ("GET", "/v1/statement?start_date=2026-11-01", None, "start_date"),
        ("GET", "/v1/statement?startDate=1&startDate=2", None, "startDate"),
        ("GET", "/v1/metrics?pageSize=ten", None, "pageSize"),
        ("GET", "/v1/metrics?pageSize=99999999999", None, "pageSize"),
        ("GET", "/v1/metrics?pageSize=%FF", None, "query"),
        ("GET", "/v1/metrics", {"pageSize": 1}, "body"),
        ("POST", "/v1/reports:run", {"metrics": ["a"], "fliters": []}, "fliters"),
        ("POST", "/v1/reports:run", {"metrics": ["a"], "filters": [{"dimension": "x", "vals": []}]}, "filters[0].vals"),
        ("POST", "/v1/reports:run", {"metrics": "a"}, "metrics"),
        ("POST", "/v1/reports:run", {"metrics": ["a"], "compareTo": "LAST_YEAR"}, "compareTo"),
        ("POST", "/v1/reports:run", {"orderBy": [{"metric": "a", "dimension": "b"}]}, "orderBy[0].dimension"),
        ("POST", "/v1/reports:run?model=x", {"metrics": ["a"]}, "model"),
        ("POST", "/v1/reports:run", {}, "metrics"),
        ("PATCH", "/v1/settings", {"timezone": "UTC"}, "settings.timezone"),
        ("PATCH", "/v1/settings?updateMask=time_zone", {}, "updateMask"),
        ("PATCH", "/v1/settings?settings.timeZone=UTC", {}, "settings"),
    ],
)
async def test_what_is_not_understood_is_refused_by_name(client, method, path, body, field):
    content = None if body is None else orjson.dumps(body)
    told = refused(await client.request(method, path, content=content), 400, "INVALID_FIELD")
    assert told["details"][1]["fieldViolations"][0]["field"] == field


async def test_what_services_say_is_passed_on(client):
    refused(await client.get("/v1/orders/gone/attribution"), 404, "ORDER_NOT_FOUND")
    refused(await client.get("/v1/statement?model=x"), 400, "MODEL_INACTIVE")


async def test_addresses_that_are_not_there(client):
    for path in ("/v1/nothing", "/v1/reports", "/nothing", "/dashboard/none.js", "/v1/reports:walk"):
        refused(await client.get(path), 404, "ROUTE_NOT_FOUND")
    for path, allowed in (("/v1/reports:run", "POST"), ("/v1/events", "POST"), ("/v1/settings", "GET, PATCH")):
        answer = await client.delete(path)
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == allowed


async def test_replaying_what_was_parked(client, world):
    world.sources.parked = {
        "1": {"topic": "orders/paid", "body": ORDER},
        "2": {"topic": "orders/paid", "body": b"{"},
        "3": {"topic": "orders/paid", "body": b""},
        "4": {"topic": "x", "body": b'{"events":[{"eventId":"refused"}]}', "headers": {"touchstone-body": "events"}},
        "5": {"topic": "x", "body": b'{"events":[{"eventId":"fine"}]}', "headers": {"touchstone-body": "events"}},
    }
    answer = await client.post("/v1/sources/shop/parked:replay")
    assert answer.json() == {"replayed": 2, "stillParked": 3}
    assert world.sources.resolved == ["1", "5"]
    chosen = await client.post("/v1/sources/shop/parked:replay", json={"parkedIds": ["2"]})
    assert chosen.json() == {"replayed": 0, "stillParked": 1}
    refused(await client.post("/v1/sources/none/parked:replay"), 404, "SOURCE_NOT_FOUND")
    refused(await client.post("/v1/sources/shop/parked:replay", json={"ids": []}), 400, "INVALID_FIELD")


async def test_health_names_who_is_not_ready(client, world):
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["agreement"]) == (200, "AGREES")
    # Credits that differ are an alarm, and no reason to send nobody here.
    world.health.differing = True
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["agreement"]) == (200, "DIFFERS")
    world.health.serving = False
    answer = await client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["services"]["ingest"] == "NOT_SERVING"


async def test_the_description_has_every_route(client):
    told = (await client.get("/openapi.json")).json()
    assert told["openapi"] == "3.1.0"
    assert {"/v1/events", "/v1/reports:run", "/v1/orders/{orderId}/attribution"} <= told["paths"].keys()
    text = orjson.dumps(told).decode()
    for name in told["components"]["schemas"]:
        assert text.count(f"#/components/schemas/{name}") > 0


async def test_pages_bring_everything_themselves(client):
    for path in ("/", "/docs"):
        page = await client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "http:" not in page.text.replace("http://www.w3.org", "")
        for asset in ("app.js", "docs.js", "style.css", "icon.svg"):
            assert (await client.get(f"/dashboard/{asset}")).status_code == 200
        again = await client.get(path, headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304
