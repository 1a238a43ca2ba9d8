"""The edge: who is let in, what strangers are told, and that gRPC passes as it is."""

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from touchstone.ingest.v1 import event_pb2, event_service_pb2, interaction_pb2
from touchstone.ingest.v1.event_service_pb2_grpc import EventServiceStub
from touchstone.ingest.v1.tenant_service_pb2 import GetSettingsRequest
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub
from touchstone.reporting.v1.report_service_pb2 import GetStatementRequest
from touchstone.reporting.v1.report_service_pb2_grpc import ReportServiceStub

from gateway.cli.tenants import issue_token
from services.chassis import tokens
from tests.mesh.running import RunningSystem
from tests.mesh.shop import Shop

DAYS = {"startDate": "2026-11-01", "endDate": "2026-11-02"}


def reason(answer: httpx.Response) -> str:
    told = answer.json()
    assert isinstance(told["code"], int)
    assert told["message"]
    [info] = [detail for detail in told["details"] if detail["@type"].endswith("google.rpc.ErrorInfo")]
    assert info["domain"] == "touchstone"
    return str(info["reason"])


def ask(mesh: RunningSystem, token: str | None, path: str = "/v1/statement") -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return mesh.client.get(path, params=DAYS if path == "/v1/statement" else None, headers=headers)


def forged(mesh: RunningSystem, shop: Shop) -> dict[str, str]:
    """Tokens that must open nothing."""
    head, claims, signature = shop.token.split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**told, "tenant": "acme"}).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    key = tokens.load_signing_key(mesh.data_dir / "keys" / "signing-key.pem")
    stranger = tokens.signing_key(ec.generate_private_key(ec.SECP256R1()))
    scopes = ["reports:read"]
    return {
        "no token": "x",
        "another tenant written in": f"{head}.{other}.{signature}",
        "no signature": f"{none}.{claims}.",
        "a cut signature": shop.token[:-4],
        "a stranger's key": tokens.issue(stranger, "s", shop.tenant, scopes, timedelta(hours=1)),
        "ended": tokens.issue(key, "s", shop.tenant, scopes, timedelta(hours=-1)),
    }


def test_a_token_that_is_not_ours_opens_nothing(mesh: RunningSystem, shop: Shop) -> None:
    assert (ask(mesh, None).status_code, reason(ask(mesh, None))) == (401, "TOKEN_INVALID")
    for what, token in forged(mesh, shop).items():
        answer = ask(mesh, token)
        assert answer.status_code == 401, what
        assert reason(answer) == "TOKEN_INVALID", what
        assert "www-authenticate" in answer.headers


def test_a_token_opens_only_what_its_scopes_say(mesh: RunningSystem, shop: Shop) -> None:
    writer = issue_token(mesh.system, shop.tenant, scopes=["events:write"])
    reader = issue_token(mesh.system, shop.tenant, scopes=["reports:read"])
    refused = ask(mesh, writer)
    assert (refused.status_code, reason(refused)) == (403, "SCOPE_MISSING")
    assert ask(mesh, reader).status_code == 200
    assert ask(mesh, reader, "/v1/sources").status_code == 403
    headers = {"Authorization": f"Bearer {reader}"}
    assert mesh.client.post("/v1/events", json={"events": []}, headers=headers).status_code == 403


def test_another_tenants_things_are_not_there(open_shop: Callable[[], Shop]) -> None:
    ours, theirs = open_shop(), open_shop()
    theirs.add_source("web", "shopify", "secret")
    order = {"orderId": "theirs-1", "platform": "CUSTOM", "status": "completed", "currencyCode": "EUR"}
    told = {"eventId": "o-1", "occurTime": "2026-11-20T10:00:00Z", "order": {**order, "totalMicros": "5000000"}}
    assert theirs.append([told])[0]["status"] == "ACCEPTED"
    theirs.settle()
    assert theirs.client.get("/v1/orders/theirs-1/attribution").status_code == 200
    for path in ("/v1/orders/theirs-1/attribution", "/v1/sources/web/parked", "/v1/sources/web/parked/1"):
        assert ours.client.get(path).status_code == 404, path
    # A tenant's token opens its own tenant, whatever the caller writes beside it.
    named = {"touchstone-tenant": theirs.tenant}
    assert ours.client.get("/v1/orders/theirs-1/attribution", headers=named).status_code in {403, 404}
    assert ours.client.get("/v1/sources", headers=named).json().get("sources", []) == []


def test_what_is_not_there_is_404_in_our_format(mesh: RunningSystem, shop: Shop) -> None:
    for path in ("/v1/nothing", "/v1/orders/none/attribution"):
        answer = shop.client.get(path)
        assert answer.status_code == 404
        reason(answer)
    assert mesh.client.post("/nothing").status_code in {404, 405}
    answer = shop.client.delete("/v1/statement")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_browsers_may_ask_from_anywhere_with_a_token(mesh: RunningSystem, shop: Shop) -> None:
    origin = {"Origin": "https://shop.example"}
    asked = {**origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    preflight = mesh.client.options("/v1/statement", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] in {"*", "https://shop.example"}
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers
    answer = shop.client.get("/v1/statement", params=DAYS, headers=origin)
    assert answer.headers["access-control-allow-origin"] in {"*", "https://shop.example"}


def test_a_body_over_the_limit_is_413_in_our_format(shop: Shop) -> None:
    answer = shop.client.post("/v1/events", content=b" " * 11_000_000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, reason(answer)) == (413, "REQUEST_TOO_LARGE")


def test_health_and_documents_need_no_token(mesh: RunningSystem) -> None:
    mesh.wait_ready()
    document = mesh.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert "/v1/statement" in document["paths"]
    assert "text/html" in mesh.client.get("/").headers["content-type"]


def test_grpc_passes_as_it_is(mesh: RunningSystem, shop: Shop) -> None:
    metadata = (("authorization", f"Bearer {shop.token}"),)
    with grpc.insecure_channel(f"127.0.0.1:{mesh.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        settings = TenantServiceStub(channel).GetSettings(GetSettingsRequest(), metadata=metadata, timeout=10)
        assert settings.settings.time_zone == "Europe/Madrid"
        chat = interaction_pb2.Interaction(channel="CHAT", action="MESSAGE")
        told = event_pb2.Event(event_id="g-1", interaction=chat)
        told.identifiers.session_id = "s-1"
        told.occur_time.FromSeconds(int(time.time()) - 60)
        request = event_service_pb2.AppendEventsRequest(events=[told])
        answer = EventServiceStub(channel).AppendEvents(request, metadata=metadata, timeout=10)
        assert answer.results[0].status == event_service_pb2.EventResult.ACCEPTED


def test_grpc_errors_carry_their_reason(mesh: RunningSystem, shop: Shop) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{mesh.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = ReportServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetStatement(GetStatementRequest(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {shop.token}"),)
        with pytest.raises(grpc.RpcError) as wrong:
            stub.GetStatement(GetStatementRequest(start_date="x"), metadata=metadata, timeout=10)
        assert wrong.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = rpc_status.from_call(wrong.value)
        info = error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(info) for detail in status.details)
        assert info.domain == "touchstone"


def test_services_answer_nobody_without_a_token(mesh: RunningSystem) -> None:
    address = mesh.state()["addresses"]["ingest"]
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        with pytest.raises(grpc.RpcError) as refused:
            TenantServiceStub(channel).GetSettings(GetSettingsRequest(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
