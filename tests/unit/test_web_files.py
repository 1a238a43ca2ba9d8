"""RPCs that answer with files, as HTTP clients see them: downloads."""

import asyncio

import grpc
import pytest
from google.api import httpbody_pb2
from touchstone.reporting.v1 import record_service_pb2 as pb
from touchstone.reporting.v1 import record_service_pb2_grpc as pb_grpc

from gateway.web.app import build
from services.chassis.channels import open_channel
from services.chassis.statuses import status_of
from services.chassis.tokens import Verifier
from services.kernel.failures import InvalidArgumentError

NAME = "touchstone-acme-orders-2026-11-01-2026-11-21.csv"


class Records(pb_grpc.RecordServiceServicer):
    """Answers a file in two parts; what fails, or never ends, is asked for by the model's name."""

    def __init__(self):
        self.ended = asyncio.Event()

    async def ExportOrderRecords(self, request, context):  # noqa: N802
        try:
            if request.model == "none":
                status = status_of(InvalidArgumentError.of("model", "there is none"))
                details = (("grpc-status-details-bin", status.SerializeToString()),)
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, status.message, details)
            body = httpbody_pb2.HttpBody(content_type="text/csv")
            following = "t0ken" if request.max_records else ""
            body.extensions.add().Pack(pb.ExportFile(name=NAME, records=2, next=following))
            yield body
            yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"order_id\r\n")
            if request.model == "endless":
                await asyncio.Event().wait()
            if request.model == "broken":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            yield httpbody_pb2.HttpBody(content_type="text/csv", data=b"1\r\n2\r\n")
        finally:
            self.ended.set()


@pytest.fixture
async def records():
    return Records()


@pytest.fixture
async def app(records, tmp_path):
    server = grpc.aio.server()
    pb_grpc.add_RecordServiceServicer_to_server(records, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}", token="the mesh's own")
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    services = dict.fromkeys(("ingest", "identity", "attribution", "reporting"), channel)
    yield build(services, Verifier(tmp_path / "jwks.json"))
    await channel.close()
    await server.stop(None)


async def download(app, *, model="", more="", leaving=False):
    """The status, the headers, the body, and whether the answer came to its end; a client may leave after a part."""
    sent, gone = [], asyncio.Event()
    bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if bodies:
            return bodies.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if leaving and message.get("body"):
            gone.set()

    path = "/v1/exports/orders"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": f"format=csv&startDate=2026-11-01&endDate=2026-11-21&model={model}{more}".encode(),
        "headers": [(b"authorization", b"Bearer token")],
    }
    try:
        await asyncio.wait_for(app(scope, receive, send), 5)
    except grpc.aio.AioRpcError:
        gone.set()
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], headers, body, not sent[-1].get("more_body", False)


async def test_a_file_is_a_download_with_its_name_and_size(app):
    status, headers, body, ended = await download(app)

    assert (status, body, ended) == (200, b"order_id\r\n1\r\n2\r\n", True)
    assert headers["content-type"] == "text/csv"
    assert headers["content-disposition"] == f'attachment; filename="{NAME}"'
    assert headers["touchstone-records"] == "2"
    assert headers["cache-control"] == "no-store, no-transform"
    assert "touchstone-next" not in headers


async def test_a_part_says_where_the_next_one_begins(app):
    _, headers, _, _ = await download(app, more="&maxRecords=2")

    assert headers["touchstone-next"] == "t0ken"


async def test_what_is_refused_is_an_answer_and_no_file(app):
    status, headers, body, ended = await download(app, model="none")

    assert (status, headers["content-type"], ended) == (400, "application/json", True)
    assert b"there is none" in body


async def test_a_file_that_breaks_off_is_left_without_its_end(app):
    status, _, body, ended = await download(app, model="broken")

    assert (status, body, ended) == (200, b"order_id\r\n", False)


async def test_who_leaves_ends_the_reading(app, records):
    await download(app, model="endless", leaving=True)

    await asyncio.wait_for(records.ended.wait(), 5)
