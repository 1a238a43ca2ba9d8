"""Logs are JSON and quote no exception's text; failures become statuses that don't either."""

import asyncio
import logging
import sys

import grpc
import orjson
import psycopg
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from gateway.web.traced import Traced
from services.chassis import statuses, telemetry
from services.kernel import failures

TRACE_PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _line(error: BaseException | None = None, **extra: object) -> dict:
    record = logging.makeLogRecord({"name": "a", "levelname": "INFO", "msg": "told", "exc_info": None, **extra})
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    return orjson.loads(telemetry._JsonFormatter("ingest").format(record))


def _raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error):
        return sys.exc_info()[1]


def _detail(status, kind):
    detail = kind()
    return detail if any(packed.Unpack(detail) for packed in status.details) else None


def test_a_line_holds_what_was_said_and_what_was_given():
    line = _line(incident="a1")
    assert (line["message"], line["level"], line["service"], line["incident"]) == ("told", "INFO", "ingest", "a1")
    assert "trace_id" not in line


def test_an_exception_is_told_by_kind_and_place_alone():
    error = _raised(RuntimeError("shopper@example.com"), _raised(KeyError("INSERT INTO secrets")))
    line = _line(error)
    assert line["exception"][0] == "RuntimeError"
    assert "KeyError" in line["exception"]
    assert any("test_chassis_telemetry.py" in place for place in line["exception"])
    assert "shopper" not in str(line)
    assert "secrets" not in str(line)


def test_a_group_of_exceptions_tells_its_members_kinds() -> None:
    group = ExceptionGroup("several", [KeyError("secret"), ExceptionGroup("more", [OSError("secret")])])
    assert telemetry.describe(group) == ["ExceptionGroup", "KeyError", "ExceptionGroup", "OSError"]


@pytest.mark.parametrize(
    ("given", "kept"), [(TRACE_PARENT, TRACE_PARENT), ("00-zz-01", ""), ("x" * 9000, ""), ("", "")]
)
async def test_a_trace_is_continued_where_its_context_is_well_formed(given, kept):
    async def call():
        telemetry.continue_trace(given)
        with telemetry.span("inner"):
            return telemetry.current_trace_parent(), _line().get("trace_id", "")

    assert await asyncio.create_task(call()) == (kept, kept[3:35])
    assert telemetry.current_trace_parent() == "", "a call's trace stays in its task"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is told of traces, where an endpoint is configured."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer("test"))
    return exporter


async def test_spans_stand_under_the_callers_trace(spans):
    async def call():
        telemetry.continue_trace(TRACE_PARENT)
        with telemetry.span("outer"):
            outer = telemetry.current_trace_parent()
            with telemetry.span("inner"):
                return outer, _line()["trace_id"]

    outer, trace_id = await asyncio.create_task(call())
    assert trace_id == TRACE_PARENT[3:35] == outer[3:35]
    inner, told = spans.get_finished_spans()
    assert f"{told.parent.span_id:016x}" == TRACE_PARENT[36:52]
    assert f"{inner.parent.span_id:016x}" == outer[36:52]


def test_a_failed_span_is_told_by_its_kind_alone(spans):
    with pytest.raises(ValueError, match="shopper"), telemetry.span("work"):
        raise ValueError("shopper@example.com")
    [told] = spans.get_finished_spans()
    assert (told.status.status_code, told.status.description) == (StatusCode.ERROR, "ValueError")
    assert "shopper" not in told.to_json()


def test_what_is_done_for_many_stands_under_each_sampled_trace(spans):
    other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    told = [TRACE_PARENT, other, "", "00-zz-01", TRACE_PARENT, f"{other[:-2]}00"]

    def apply() -> None:
        with telemetry.spans("apply", told, attributes={"log": "events"}):
            assert telemetry.current_trace_parent()[3:35] == TRACE_PARENT[3:35]
            raise ValueError("shopper@example.com")

    with pytest.raises(ValueError, match="shopper"):
        apply()
    one, two = spans.get_finished_spans()
    assert [f"{span.context.trace_id:032x}" for span in (one, two)] == [TRACE_PARENT[3:35], other[3:35]]
    assert [f"{span.parent.span_id:016x}" for span in (one, two)] == [TRACE_PARENT[36:52], other[36:52]]
    assert {(span.status.description, span.attributes["log"]) for span in (one, two)} == {("ValueError", "events")}
    assert "shopper" not in one.to_json() + two.to_json()


@pytest.mark.parametrize("sent", [[], [(b"traceparent", TRACE_PARENT.encode())]])
async def test_a_request_is_a_span_whose_context_the_app_finds_in_its_header(spans, sent):
    seen: list[str] = []

    async def app(scope, _receive, send):
        seen.extend(value.decode() for name, value in scope["headers"] if name == b"traceparent")
        await send({"type": "http.response.start", "status": 503, "headers": []})

    async def send(_message):
        pass

    scope = {"type": "http", "method": "BREW", "path": "/webhooks/acme/shopper@example.com", "headers": sent}
    await asyncio.create_task(Traced(app)(scope, None, send))
    [told] = spans.get_finished_spans()
    assert (told.name, told.attributes["http.response.status_code"]) == ("_OTHER /webhooks", 503)
    assert told.status.status_code is StatusCode.ERROR
    assert [one[:52] for one in seen] == [f"00-{told.context.trace_id:032x}-{told.context.span_id:016x}"]
    assert not sent or f"{told.context.trace_id:032x}" == TRACE_PARENT[3:35]
    assert "acme" not in told.to_json()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (failures.InvalidArgumentError("A", "m"), grpc.StatusCode.INVALID_ARGUMENT),
        (failures.NotFoundError("A", "m"), grpc.StatusCode.NOT_FOUND),
        (failures.AlreadyExistsError("A", "m"), grpc.StatusCode.ALREADY_EXISTS),
        (failures.FailedPreconditionError("A", "m"), grpc.StatusCode.FAILED_PRECONDITION),
        (failures.TooLateError("A", "m"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (failures.UnauthenticatedError("A", "m"), grpc.StatusCode.UNAUTHENTICATED),
        (failures.PermissionDeniedError("A", "m"), grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_each_failure_has_its_code_and_reason(failure, code):
    status = statuses.status_of(failure)
    assert (status.code, status.message) == (code.value[0], "m")
    assert _detail(status, ErrorInfo) == ErrorInfo(reason="A", domain="touchstone")
    assert _detail(status, BadRequest) is None


def test_violations_name_their_fields():
    status = statuses.status_of(failures.InvalidArgumentError.of("interaction.channel", "is required"))
    [violation] = _detail(status, BadRequest).field_violations
    assert (violation.field, violation.description) == ("interaction.channel", "is required")


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server at 10.0.0.7 closed"),
        OperationalError("SELECT secret", {}, psycopg.OperationalError("gone")),
        DBAPIError("SELECT secret", {}, Exception("gone"), connection_invalidated=True),
        ConnectionResetError("10.0.0.7"),
    ],
)
def test_a_database_that_is_away_is_unavailable(error):
    status = statuses.status_of(error)
    assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
    assert "secret" not in str(status)
    assert "10.0.0.7" not in str(status)


@pytest.mark.parametrize(
    "error", [ProgrammingError("SELECT secret", {}, psycopg.ProgrammingError("x")), ValueError("secret")]
)
def test_any_other_exception_is_an_incident(error, caplog):
    status = statuses.status_of(error)
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    incident = _detail(status, ErrorInfo).metadata["incident"]
    assert len(incident) == 16
    assert incident in status.message
    assert "secret" not in str(status)
    assert [record.incident for record in caplog.records] == [incident]
