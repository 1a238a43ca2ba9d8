"""RPCs that answer with many messages, as HTTP clients see them."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import orjson
import pytest
from touchstone.attribution.v1 import model_service_pb2, model_service_pb2_grpc
from touchstone.reporting.v1 import live_service_pb2, live_service_pb2_grpc

from gateway.web.app import build
from gateway.web.rest.streams import EVENTS, LINES, WHOLE, wanted
from services.chassis.channels import open_channel
from services.chassis.statuses import status_of
from services.chassis.tokens import Verifier
from services.kernel.failures import FailedPreconditionError, InvalidArgumentError

PATH = "/v1/models:simulate"


class Models(model_service_pb2_grpc.ModelServiceServicer):
    """Says how far it is `steps` times, then the result, or fails, or never ends."""

    def __init__(self):
        self.steps = 2
        self.failure = None
        self.endless = False
        self.ended = asyncio.Event()

    async def SimulateModel(self, request, context):  # noqa: N802
        try:
            for done in range(self.steps):
                yield model_service_pb2.SimulateModelResponse(done=done, total=self.steps)
            if self.endless:
                await asyncio.Event().wait()
            if self.failure is not None:
                status = status_of(self.failure)
                code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
                details = (("grpc-status-details-bin", status.SerializeToString()),)
                await context.abort(code, status.message, details)
            yield model_service_pb2.SimulateModelResponse(
                done=self.steps, total=self.steps, simulation={"compared_model": request.compare_with}
            )
        finally:
            self.ended.set()


class Figures(live_service_pb2_grpc.LiveServiceServicer):
    """Tells of two states after what was last seen, and between them that it is alive, and never ends."""

    async def WatchFigures(self, request, _context):  # noqa: N802
        seen = int(request.after or 0)
        yield live_service_pb2.WatchFiguresResponse(event_id=f"{seen + 1}", figures={"total_size": 1})
        yield live_service_pb2.WatchFiguresResponse(event_id=f"{seen + 1}")
        yield live_service_pb2.WatchFiguresResponse(event_id=f"{seen + 2}", figures={"total_size": 2})
        await asyncio.Event().wait()


@pytest.fixture
async def models():
    return Models()


@pytest.fixture
async def app(models, tmp_path):
    server = grpc.aio.server()
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(models, server)
    live_service_pb2_grpc.add_LiveServiceServicer_to_server(Figures(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = open_channel(f"127.0.0.1:{port}", token="the mesh's own")
    (tmp_path / "jwks.json").write_text('{"keys": []}')
    yield build(
        dict.fromkeys(("ingest", "identity", "attribution", "reporting"), channel), Verifier(tmp_path / "jwks.json")
    )
    await channel.close()
    await server.stop(None)


class Client:
    """Speaks ASGI itself, since it must see parts as they come and be able to go."""

    def __init__(self):
        self.sent = asyncio.Queue()
        self.gone = asyncio.Event()
        self.status = 0
        self.media_type = ""

    @asynccontextmanager
    async def posting(self, app, body, accept="", path=PATH, **more):
        bodies = [{"type": "http.request", "body": orjson.dumps(body), "more_body": False}]

        async def receive():
            if bodies:
                return bodies.pop()
            await self.gone.wait()
            return {"type": "http.disconnect"}

        headers = [(b"authorization", b"Bearer token"), (b"accept", accept.encode())]
        headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        task = asyncio.create_task(app(scope, receive, self.sent.put))
        try:
            yield self
            await asyncio.wait_for(task, 5)
        finally:
            task.cancel()

    async def part(self):
        """The next part of the body; b"" at the end."""
        while True:
            message = await asyncio.wait_for(self.sent.get(), 5)
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.media_type = dict(message["headers"])[b"content-type"].decode()
            elif message["body"] or not message["more_body"]:
                return message["body"]

    async def whole(self):
        parts = []
        while part := await self.part():
            parts.append(part)
            if self.media_type == WHOLE:
                break
        return b"".join(parts)


BODY = {"savedModel": "conversations", "startDate": "2026-11-01", "endDate": "2026-11-02", "compareWith": "contact"}


async def answered(app, accept, body=BODY):
    async with Client().posting(app, body, accept) as client:
        whole = await client.whole()
    return client.status, client.media_type, whole


STEPS = [{"done": "0", "total": "2"}, {"done": "1", "total": "2"}]


def result():
    return {"done": "2", "total": "2", "simulation": {"comparedModel": "contact"}}


def shortened(told):
    """Without the zeros and empty lists that are always written."""
    if "simulation" in told:
        told["simulation"] = {key: value for key, value in told["simulation"].items() if value and value != "0"}
    return told


async def test_a_message_a_line(app):
    status, media_type, body = await answered(app, "application/x-ndjson")
    assert (status, media_type) == (200, "application/x-ndjson")
    assert [shortened(orjson.loads(line)) for line in body.splitlines()] == [*STEPS, result()]
    assert body.endswith(b"\n")


async def test_a_message_an_event(app):
    status, media_type, body = await answered(app, "text/event-stream")
    assert (status, media_type) == (200, "text/event-stream; charset=utf-8")
    *events, rest = body.split(b"\n\n")
    assert rest == b""
    assert [shortened(orjson.loads(event.removeprefix(b"data: "))) for event in events] == [*STEPS, result()]


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html, */*;q=0.8"])
async def test_the_last_message_alone(app, accept):
    status, media_type, body = await answered(app, accept)
    assert (status, media_type) == (200, "application/json")
    assert shortened(orjson.loads(body)) == result()


async def test_messages_come_as_they_are_sent(app, models):
    models.endless = True
    async with Client().posting(app, BODY, LINES) as client:
        assert [orjson.loads(await client.part()) for _ in range(2)] == STEPS
        assert not models.ended.is_set()
        client.gone.set()


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream", "application/json"])
@pytest.mark.parametrize("steps", [0, 2])
async def test_who_goes_ends_the_call(app, models, accept, steps):
    models.endless, models.steps = True, steps
    async with Client().posting(app, BODY, accept) as client:
        if steps and accept != WHOLE:
            await client.part()
        else:
            await asyncio.sleep(0.2)
        assert not models.ended.is_set()
        client.gone.set()
        await asyncio.wait_for(models.ended.wait(), 1)


@pytest.mark.parametrize("accept", ["application/x-ndjson", "text/event-stream", "application/json"])
async def test_what_fails_before_the_first_message_is_an_error_like_any(app, models, accept):
    models.steps, models.failure = 0, InvalidArgumentError.of("startDate", "is no date")
    status, media_type, body = await answered(app, accept)
    assert (status, media_type) == (400, "application/json")
    assert orjson.loads(body)["details"][1]["fieldViolations"][0]["field"] == "startDate"


async def test_what_fails_later_is_the_last_line(app, models):
    models.failure = FailedPreconditionError("MODEL_INACTIVE", "try again")
    status, _, body = await answered(app, LINES)
    assert status == 200
    *steps, last = body.splitlines()
    assert [orjson.loads(line) for line in steps] == STEPS
    assert orjson.loads(last)["error"]["details"][0]["reason"] == "MODEL_INACTIVE"


async def test_what_fails_later_is_an_event_of_its_own_name(app, models):
    models.failure = FailedPreconditionError("MODEL_INACTIVE", "try again")
    _, _, body = await answered(app, EVENTS)
    name, data = body.split(b"\n\n")[-2].split(b"\n")
    assert name == b"event: error"
    assert orjson.loads(data.removeprefix(b"data: "))["error"]["details"][0]["reason"] == "MODEL_INACTIVE"


async def test_what_fails_later_is_the_answer_of_who_waits_for_one(app, models):
    models.failure = FailedPreconditionError("MODEL_INACTIVE", "try again")
    status, _, body = await answered(app, WHOLE)
    assert (status, orjson.loads(body)["details"][0]["reason"]) == (400, "MODEL_INACTIVE")


async def test_a_misspelt_field_is_refused(app):
    status, _, body = await answered(app, LINES, {**BODY, "startDay": "2026-11-01"})
    assert status == 400
    assert b"startDay" in body


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("application/json, application/x-ndjson", LINES),
        ("application/json, text/event-stream", EVENTS),
        ("Text/Event-Stream;charset=utf-8", EVENTS),
        ("application/x-ndjson;q=0.5, application/json", WHOLE),
        ("application/x-ndjson;q=0", WHOLE),
        ("application/x-ndjson;q=much", WHOLE),
        ("application/*", WHOLE),
        (",;,", WHOLE),
    ],
)
def test_what_an_accept_header_asks_for(accept, chosen):
    assert wanted(accept) == chosen


async def test_the_description_names_the_formats(app):
    sent = asyncio.Queue()
    scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/openapi.json", "headers": []}
    await app({**scope, "query_string": b"", "raw_path": b"/openapi.json"}, asyncio.Queue().get, sent.put)
    await sent.get()
    described = orjson.loads((await sent.get())["body"])["paths"][PATH]["post"]
    schema = {"schema": {"$ref": "#/components/schemas/attribution.v1.SimulateModelResponse"}}
    assert described["responses"]["200"]["content"] == dict.fromkeys((WHOLE, LINES, EVENTS), schema)


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", ""])
@pytest.mark.parametrize(("more", "first"), [({}, 1), ({"last_event_id": "7"}, 8)])
async def test_named_messages_go_on_where_a_client_was(app, accept, more, first):
    async with Client().posting(app, {}, accept, "/v1/live", **more) as client:
        assert await client.part() == b"retry: 1000\n\n"
        for number, total in ((first, b"1"), (None, b""), (first + 1, b"2")):
            frame = await client.part()
            if number is None:
                assert frame == b": alive\nid: %d\n\n" % first
                continue
            name, data, *rest = frame.split(b"\n")
            assert (name, rest) == (b"id: %d" % number, [b"", b""])
            assert orjson.loads(data.removeprefix(b"data: "))["figures"]["totalSize"] == total.decode()
        client.gone.set()
    assert client.media_type == "text/event-stream; charset=utf-8"


async def test_of_named_messages_one_is_enough_for_an_object(app):
    async with Client().posting(app, {}, "application/json, */*", "/v1/live") as client:
        assert orjson.loads(await client.part())["eventId"] == "1"
    assert client.media_type == "application/json"


async def test_named_messages_as_lines_tell_that_they_are_alive(app):
    async with Client().posting(app, {"after": "3"}, LINES, "/v1/live", last_event_id="9") as client:
        assert [orjson.loads(await client.part())["eventId"] for _ in range(3)] == ["4", "4", "5"]
        client.gone.set()
