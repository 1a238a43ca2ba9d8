"""What a process tells about itself: JSON logs always, traces and metrics where an OTLP endpoint is configured."""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import grpc
import orjson
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.chassis.settings import MeshSettings

TRACE_METADATA = "traceparent"
"""The metadata key of W3C trace context."""

_WELL_FORMED = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PROPAGATOR = TraceContextTextMapPropagator()

_trace_parent: ContextVar[str] = ContextVar("trace_parent", default="")
_tracer: trace.Tracer | None = None
"""None while no endpoint is configured: then a trace context is only passed on."""


def configure(name: str, settings: MeshSettings) -> None:
    """Sends this process's logs to stderr and, where an endpoint is configured, its traces and metrics there."""
    log_as_json(name, settings.log_level)
    if settings.otlp_endpoint is not None:
        _export(name, settings.otlp_endpoint)


def log_as_json(name: str, level: str) -> None:
    """Sends this process's logs from `level` on to stderr, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(name))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _export(name: str, endpoint: str) -> None:
    global _tracer  # noqa: PLW0603 - a process has one
    # Imported here: they cost a third of a second at every start, also of processes that export nothing.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": name, "service.namespace": "touchstone"})
    tracing = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(tracing)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint))
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader], shutdown_on_exit=False))
    _tracer = trace.get_tracer("touchstone")


def shutdown() -> None:
    """Sends what is still to be sent; blocks, for five seconds at most."""
    if _tracer is None:
        return
    providers: tuple[Any, ...] = (trace.get_tracer_provider(), metrics.get_meter_provider())
    # Threads of their own: a collector that is away must not keep the process from ending.
    threads = [threading.Thread(target=provider.shutdown, daemon=True) for provider in providers]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def is_exporting() -> bool:
    """True where an endpoint is configured."""
    return _tracer is not None


def counter(name: str, description: str) -> metrics.Counter:
    """A metric that only grows. May be made before `configure` is called, at the top of a module."""
    return metrics.get_meter("touchstone").create_counter(name, description=description)


def gauge(name: str, description: str) -> Any:
    """A metric that is what it was last set to."""
    return metrics.get_meter("touchstone").create_gauge(name, description=description)


def histogram(name: str, description: str, unit: str) -> metrics.Histogram:
    """A metric of many values: durations in "s", sizes in "By"."""
    return metrics.get_meter("touchstone").create_histogram(name, description=description, unit=unit)


def current_trace_parent() -> str:
    """The W3C trace context of what is being done; empty when it belongs to no trace."""
    if _tracer is not None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        if TRACE_METADATA in carrier:
            return carrier[TRACE_METADATA]
    return _trace_parent.get()


def continue_trace(trace_parent: str) -> None:
    """Says which trace the rest of this task belongs to; what is malformed belongs to none."""
    _trace_parent.set(trace_parent if _WELL_FORMED.fullmatch(trace_parent) else "")


@contextmanager
def span(
    name: str, *, kind: trace.SpanKind = trace.SpanKind.INTERNAL, attributes: Mapping[str, str | int] | None = None
) -> Iterator[None]:
    """A span of the trace that the task belongs to. Does nothing where no endpoint is configured."""
    if _tracer is None:
        yield
        return
    parent = None
    if not trace.get_current_span().get_span_context().is_valid:
        parent = _PROPAGATOR.extract({TRACE_METADATA: _trace_parent.get()})
    with _tracer.start_as_current_span(
        name, context=parent, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            mark_failed(type(error).__name__)
            raise


@contextmanager
def spans(
    name: str,
    trace_parents: Iterable[str],
    *,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[None]:
    """Work that is done for many at once: a span in each of their traces, as far as these are sampled.

    The first of them is the present one meanwhile. Does nothing where no endpoint is configured.
    """
    parents = {told: None for told in trace_parents if _is_sampled(told)} if _tracer is not None else {}
    if _tracer is None or not parents:
        yield
        return
    present = trace.get_current_span().get_span_context()
    links = [trace.Link(present)] if present.is_valid else []
    opened = [
        _tracer.start_span(
            name, _PROPAGATOR.extract({TRACE_METADATA: told}, Context()), kind, attributes=attributes, links=links
        )
        for told in parents
    ]
    try:
        with trace.use_span(opened[0], record_exception=False, set_status_on_exception=False):
            yield
    except BaseException as error:
        for one in opened:
            one.set_status(trace.StatusCode.ERROR, type(error).__name__)
        raise
    finally:
        for one in opened:
            one.end()


def _is_sampled(trace_parent: str) -> bool:
    return _WELL_FORMED.fullmatch(trace_parent) is not None and bool(int(trace_parent[-2:], 16) & 1)


def is_recording() -> bool:
    """True inside a span that is told."""
    return trace.get_current_span().is_recording()


def note(attributes: Mapping[str, str | int]) -> None:
    """Says something of the present span."""
    trace.get_current_span().set_attributes(attributes)


def mark_failed(reason: str) -> None:
    """Marks the present span as failed."""
    trace.get_current_span().set_status(trace.StatusCode.ERROR, reason)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line. Of an exception it tells kind and place, never its text, which may quote data."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_parent := current_trace_parent():
            line["trace_id"] = trace_parent[3:35]
        line.update((name, value) for name, value in vars(record).items() if name not in _USUAL)
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def describe(error: BaseException) -> list[str]:
    """An exception, what it groups and what caused it, as kinds and places.

    `["OperationalError", "store/rows.py:12 append", …]`
    """
    told: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        told.append(type(seen).__name__)
        frames = traceback.extract_tb(seen.__traceback__)[-8:]
        told += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)]
        if isinstance(seen, BaseExceptionGroup):
            told += [part for one in seen.exceptions for part in describe(one)]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return told
