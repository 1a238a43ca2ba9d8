"""What a system tells about itself, received as an OpenTelemetry collector receives it: by OTLP over gRPC."""
# ruff: noqa: N802, ARG002 - gRPC names the servicer's methods, and what they are called with

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


class Span(NamedTuple):
    """A span, as far as tests look at it."""

    process: str
    name: str
    parent: str


class Collector(TraceServiceServicer, MetricsServiceServicer):
    """Keeps what it is sent. Only requests that bring a sampled trace are traced by the systems that are told of it."""

    def __init__(self) -> None:
        self._traces: list[traces.ExportTraceServiceRequest] = []
        self._metrics: list[metrics.ExportMetricsServiceRequest] = []
        self.port = 0

    @property
    def environment(self) -> Mapping[str, str]:
        """What a system is told, to send here soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_METRIC_EXPORT_INTERVAL": "2000",
        }

    def Export(self, request: Any, context: Any) -> Any:
        """Takes spans or metrics: both services name their one method so."""
        if isinstance(request, traces.ExportTraceServiceRequest):
            self._traces.append(request)
            return traces.ExportTraceServiceResponse()
        self._metrics.append(request)
        return metrics.ExportMetricsServiceResponse()

    def spans(self, trace_id: str) -> list[Span]:
        """The spans of a trace."""
        return [
            Span(_process(told.resource), span.name, span.parent_span_id.hex())
            for request in list(self._traces)
            for told in request.resource_spans
            for scope in told.scope_spans
            for span in scope.spans
            if span.trace_id.hex() == trace_id
        ]

    def metric_names(self) -> dict[str, set[str]]:
        """The names of the metrics that each process told."""
        names: dict[str, set[str]] = {}
        for request in list(self._metrics):
            for told in request.resource_metrics:
                for scope in told.scope_metrics:
                    names.setdefault(_process(told.resource), set()).update(metric.name for metric in scope.metrics)
        return names

    def texts(self) -> Iterator[str]:
        """Every text that was sent, wherever it stands."""
        for request in [*self._traces, *self._metrics]:
            yield from _texts(request)


def _process(resource: Any) -> str:
    return next(told.value.string_value for told in resource.attributes if told.key == "service.name")


def _texts(message: Any) -> Iterator[str]:
    for field, value in message.ListFields():
        values: Iterable[Any] = value if field.is_repeated else [value]
        if field.message_type is not None:
            for one in values:
                yield from _texts(one)
        elif field.cpp_type == field.CPPTYPE_STRING and field.type == field.TYPE_STRING:
            yield from values


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens until the block ends."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    add_TraceServiceServicer_to_server(collector, server)
    add_MetricsServiceServicer_to_server(collector, server)
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()
