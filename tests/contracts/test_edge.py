"""The edge: Envoy as it is configured, in front of a web server that tells what reached it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from deploy.local import layout, programs
from deploy.local.layout import Installation
from deploy.local.ports import free_ports
from gateway.edge import template
from services.chassis import keys, tls
from tests.contracts.authority import Authority

SERVICES = ("ingest", "identity", "attribution", "reporting")


class Echo(BaseHTTPRequestHandler):
    """Answers what it received."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        size = len(self.rfile.read(int(self.headers.get("content-length", 0))))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"path": self.path, "headers": headers, "size": size}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_OPTIONS = answer  # noqa: N815  named by http.server

    def log_message(self, *_: object) -> None:
        pass


class NamesItself(grpc.GenericRpcHandler):
    """Answers every method with the server's name and the metadata that reached it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        metadata = dict(handler_call_details.invocation_metadata)

        def answer(_request: bytes, _context: object) -> bytes:
            return json.dumps({"name": self.name, "metadata": metadata}, default=str).encode()

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, str]]:
    """The processes behind the edge."""
    web = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    addresses = {"web": f"127.0.0.1:{web.server_port}"}
    servers = []
    for name in SERVICES:
        server = grpc.server(ThreadPoolExecutor(1), handlers=[NamesItself(name)])
        addresses[name] = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        servers.append(server)
    yield addresses
    for server in servers:
        server.stop(None).wait()
    web.shutdown()
    web.server_close()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    [port] = free_ports(1)
    found = Installation(host="127.0.0.1", port=port, data=tmp_path_factory.mktemp("data"))
    found.run.mkdir()
    keys.create_installation(found.keys)
    return found


@pytest.fixture(scope="module")
def edge(installation: Installation, upstreams: dict[str, str]) -> Iterator[httpx.Client]:
    program = layout.edge(installation, upstreams)
    process = programs.start(program, installation.log("edge"))
    with httpx.Client(base_url=installation.url, trust_env=False, timeout=20) as client:
        deadline = time.monotonic() + 20
        while True:
            try:
                client.get("/")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, installation.log("edge").read_text()
                time.sleep(0.05)
        yield client
    programs.stop(program, process, patience=5)


@pytest.fixture(scope="module")
def token(installation: Installation) -> dict[str, str]:
    return {"authorization": f"Bearer {(installation.keys / keys.ADMIN_TOKEN).read_text()}"}


def error(response: httpx.Response) -> tuple[int, int, str]:
    """Status, code and reason of an error in our format."""
    status = response.json()
    [detail] = status["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert detail["domain"] == "touchstone"
    assert status["message"]
    assert response.headers["content-type"] == "application/json"
    return response.status_code, status["code"], detail["reason"]


def test_what_is_checked_in_is_what_the_python_says() -> None:
    # In a process of its own: Envoy's types are kept out of every other.
    printing = "import sys; from gateway.edge.__main__ import render; sys.stdout.buffer.write(render().encode())"
    rendered = subprocess.run([sys.executable, "-c", printing], check=True, capture_output=True).stdout
    assert template.TEMPLATE.read_bytes() == rendered, "run `python -m gateway.edge`"


def test_envoy_finds_the_configuration_valid(installation: Installation, upstreams: dict[str, str]) -> None:
    program = layout.edge(installation, upstreams)
    checked = subprocess.run([*program.command, "--mode", "validate"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize(
    "path",
    ["/", "/healthz", "/webhooks/acme/woo", "/collect", "/l/abc", "/docs", "/openapi.json", "/sdk/x", "/assets/x"],
)
def test_open_routes_need_no_token(edge: httpx.Client, path: str) -> None:
    assert edge.get(path).json()["path"] == path


def test_rest_needs_a_token_that_the_installation_signed(edge: httpx.Client, token: dict[str, str]) -> None:
    assert error(edge.get("/v1/metrics")) == (401, 16, "TOKEN_INVALID")
    assert error(edge.get("/v1/metrics", headers={"authorization": "Bearer a.b.c"})) == (401, 16, "TOKEN_INVALID")
    forged = token["authorization"][:-8] + "AAAAAAAA"
    assert error(edge.get("/v1/metrics", headers={"authorization": forged})) == (401, 16, "TOKEN_INVALID")
    reached = edge.get("/v1/metrics", headers=token)
    assert reached.json()["headers"]["authorization"] == token["authorization"]


def test_a_token_in_the_address_opens_nothing(edge: httpx.Client, token: dict[str, str]) -> None:
    bearer = token["authorization"].removeprefix("Bearer ")
    assert edge.get("/v1/metrics", params={"access_token": bearer}).status_code == 401


def test_headers_that_are_ours_to_set_do_not_come_in(edge: httpx.Client, token: dict[str, str]) -> None:
    forged = {"touchstone-subject": "root", "x-touchstone-scopes": "admin", "kept-touchstone-service": "web"}
    sent = {**token, **forged, "touchstone-tenant": "acme"}
    headers = edge.get("/v1/metrics", headers=sent).json()["headers"]
    assert headers["touchstone-tenant"] == "acme"
    assert {name for name in headers if "touchstone" in name} == {"touchstone-tenant", "touchstone-origin"}


@pytest.mark.parametrize("path", ["/v1/links", "/l/abc"])
def test_where_the_installation_was_found_is_told_by_the_edge_alone(
    edge: httpx.Client, token: dict[str, str], path: str
) -> None:
    forged = {"touchstone-origin": "https://evil.example", "x-forwarded-proto": "https"}
    reached = edge.get(path, headers={**token, **forged, "host": "t.shop.example:8080"}).json()["headers"]
    assert reached["touchstone-origin"] == "http://t.shop.example:8080"


def test_a_webhook_keeps_its_signature(edge: httpx.Client) -> None:
    headers = {"x-touchstone-signature": "t=1,v1=00", "x-wc-webhook-signature": "abc"}
    reached = edge.post("/webhooks/acme/custom", headers=headers, content=b"{}").json()["headers"]
    assert {name: reached[name] for name in headers} == headers


def test_large_deliveries_are_the_web_servers_to_judge(edge: httpx.Client) -> None:
    reached = edge.post("/webhooks/acme/woo", content=bytes(12_000_000))
    assert reached.json()["size"] == 12_000_000
    assert error(edge.post("/webhooks/acme/woo", content=bytes(20_000_001))) == (413, 3, "REQUEST_TOO_LARGE")


def test_other_bodies_have_a_limit(edge: httpx.Client, token: dict[str, str]) -> None:
    assert edge.post("/v1/events", headers=token, content=bytes(9_000_000)).json()["size"] == 9_000_000
    refused = edge.post("/v1/events", headers=token, content=bytes(10_000_001))
    assert error(refused) == (413, 3, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize(("path", "cookies"), [("/v1/metrics", None), ("/collect", "true")])
def test_a_browser_may_call_from_any_page(edge: httpx.Client, path: str, cookies: str | None) -> None:
    asked = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    allowed = edge.options(path, headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert allowed.headers.get("access-control-allow-credentials") == cookies


def call(installation: Installation, method: str, metadata: dict[str, str]) -> dict[str, Any]:
    with grpc.insecure_channel(f"127.0.0.1:{installation.port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        answer = channel.unary_unary(method)(b"", metadata=tuple(metadata.items()), timeout=10)
        return json.loads(answer)


@pytest.mark.usefixtures("edge")
@pytest.mark.parametrize("service", SERVICES)
def test_grpc_goes_to_the_service_that_the_package_names(
    installation: Installation, token: dict[str, str], service: str
) -> None:
    answer = call(installation, f"/touchstone.{service}.v1.AnyService/Method", {**token, "touchstone-tenant": "acme"})
    assert answer["name"] == service
    assert answer["metadata"]["touchstone-tenant"] == "acme"
    assert answer["metadata"]["authorization"] == token["authorization"]
    assert answer["metadata"]["touchstone-origin"] == f"http://127.0.0.1:{installation.port}"


@pytest.mark.usefixtures("edge")
@pytest.mark.parametrize("service", ["identity", "attribution", "reporting"])
def test_maintenance_goes_to_the_service_that_the_header_names(
    installation: Installation, token: dict[str, str], service: str
) -> None:
    method = "/touchstone.mesh.v1.MaintenanceService/StartRebuild"
    assert call(installation, method, {**token, "touchstone-service": service})["name"] == service


@pytest.mark.usefixtures("edge")
@pytest.mark.parametrize(
    ("method", "with_token", "code"),
    [
        ("/touchstone.ingest.v1.EventService/AppendEvents", False, grpc.StatusCode.UNAUTHENTICATED),
        ("/touchstone.unknown.v1.EventService/AppendEvents", True, grpc.StatusCode.UNIMPLEMENTED),
        ("/touchstone.mesh.v1.MaintenanceService/StartRebuild", True, grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_grpc_clients_are_refused_in_grpc(
    installation: Installation, token: dict[str, str], method: str, with_token: bool, code: grpc.StatusCode
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        call(installation, method, token if with_token else {})
    assert raised.value.code() == code
    assert not raised.value.details().startswith("{")


def test_an_address_that_no_one_answers_is_said_in_our_format(
    installation: Installation, tmp_path: Path, token: dict[str, str]
) -> None:
    port, *closed = free_ports(1 + len(template.UPSTREAMS))
    alone = Installation(host="127.0.0.1", port=port, data=tmp_path)
    alone.run.mkdir()
    alone.keys.mkdir()
    (alone.keys / keys.JWKS).write_bytes((installation.keys / keys.JWKS).read_bytes())
    addresses = {name: f"127.0.0.1:{number}" for name, number in zip(template.UPSTREAMS, closed, strict=True)}
    program = layout.edge(alone, addresses)
    process = programs.start(program, alone.log("edge"))
    try:
        with httpx.Client(
            base_url=alone.url, trust_env=False, transport=httpx.HTTPTransport(retries=20), headers=token
        ) as client:
            assert error(client.get("/v1/metrics", timeout=20)) == (503, 14, "UNAVAILABLE")
    finally:
        programs.stop(program, process, patience=5)


def test_services_are_spoken_to_with_tls_also_after_a_renewal(tmp_path: Path, upstreams: dict[str, str]) -> None:
    before, after = Authority(), Authority()
    [port, behind] = free_ports(2)
    secured = Installation(host="127.0.0.1", port=port, data=tmp_path / "data")
    secured.run.mkdir(parents=True)
    keys.create_installation(secured.keys)
    token = {"authorization": f"Bearer {(secured.keys / keys.ADMIN_TOKEN).read_text()}"}

    def serve(authority: Authority) -> grpc.Server:
        server = grpc.server(ThreadPoolExecutor(1), handlers=[NamesItself("ingest")])
        shown = tls.server_credentials(authority.issue(tmp_path / "ingest"))
        assert server.add_secure_port(f"127.0.0.1:{behind}", shown) == behind
        server.start()
        return server

    def answered() -> bool:
        try:
            return call(secured, "/touchstone.ingest.v1.AnyService/Method", token)["name"] == "ingest"
        except grpc.RpcError:
            return False

    def soon(*, is_answered: bool) -> bool:
        deadline = time.monotonic() + 20
        while answered() is not is_answered:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    program = layout.edge(secured, {**upstreams, "ingest": f"127.0.0.1:{behind}"}, before.issue(tmp_path / "edge"))
    process, server = programs.start(program, secured.log("edge")), serve(before)
    try:
        assert soon(is_answered=True), secured.log("edge").read_text()
        server.stop(None).wait()
        server = serve(after)
        assert soon(is_answered=False), "neither knows the other"
        after.issue(tmp_path / "edge")
        assert soon(is_answered=True), secured.log("edge").read_text()
    finally:
        programs.stop(program, process, patience=5)
        server.stop(None).wait()
