"""Envoy's own answers in the format of every other error."""

from http import HTTPStatus
from typing import NamedTuple

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    HeaderFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import ListValue, Struct, Value
from google.rpc import code_pb2


class Reply(NamedTuple):
    """What a status of Envoy's is called; `code` is a google.rpc.Code."""

    status: HTTPStatus
    code: int
    reason: str
    message: str


REPLIES = (
    Reply(HTTPStatus.BAD_REQUEST, code_pb2.INVALID_ARGUMENT, "REQUEST_INVALID", "This is no valid HTTP request."),
    Reply(
        HTTPStatus.UNAUTHORIZED,
        code_pb2.UNAUTHENTICATED,
        "TOKEN_INVALID",
        "A valid token is needed, as `Authorization: Bearer …`. %LOCAL_REPLY_BODY%.",
    ),
    Reply(HTTPStatus.FORBIDDEN, code_pb2.PERMISSION_DENIED, "PERMISSION_DENIED", "This is not allowed."),
    Reply(HTTPStatus.NOT_FOUND, code_pb2.NOT_FOUND, "ROUTE_NOT_FOUND", "There is nothing at this address."),
    Reply(
        HTTPStatus.REQUEST_TIMEOUT,
        code_pb2.DEADLINE_EXCEEDED,
        "REQUEST_TIMEOUT",
        "The request took too long to arrive.",
    ),
    Reply(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        code_pb2.INVALID_ARGUMENT,
        "REQUEST_TOO_LARGE",
        "The request's body is too large: send less at once.",
    ),
    Reply(
        HTTPStatus.TOO_MANY_REQUESTS,
        code_pb2.RESOURCE_EXHAUSTED,
        "RATE_LIMITED",
        "Too many requests: wait a moment, then try again.",
    ),
    Reply(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        code_pb2.INVALID_ARGUMENT,
        "HEADERS_TOO_LARGE",
        "The request's headers are too large.",
    ),
    Reply(HTTPStatus.BAD_GATEWAY, code_pb2.UNAVAILABLE, "UNAVAILABLE", "The answer was cut off: try again."),
    Reply(HTTPStatus.SERVICE_UNAVAILABLE, code_pb2.UNAVAILABLE, "UNAVAILABLE", "Not available just now: try again."),
    Reply(
        HTTPStatus.GATEWAY_TIMEOUT,
        code_pb2.DEADLINE_EXCEEDED,
        "UPSTREAM_TIMEOUT",
        "The answer took too long: try again.",
    ),
)


def _matches(status: HTTPStatus) -> AccessLogFilter:
    """The status, unless the caller speaks gRPC: there Envoy's text belongs into `grpc-message`, as it is."""
    compared = ComparisonFilter(
        op=ComparisonFilterOp.EQ,
        value=RuntimeUInt32(default_value=status.value, runtime_key=f"edge.reply.{status.value}"),
    )
    speaks_grpc = HeaderMatcher(
        name="content-type",
        string_match=StringMatcher(prefix="application/grpc"),
        invert_match=True,
        treat_missing_header_as_empty=True,
    )
    return AccessLogFilter(
        and_filter=AndFilter(
            filters=[
                AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=compared)),
                AccessLogFilter(header_filter=HeaderFilter(header=speaks_grpc)),
            ]
        )
    )


def _text(value: str) -> Value:
    return Value(string_value=value)


def _body(reply: Reply) -> SubstitutionFormatString:
    detail = {
        "@type": _text("type.googleapis.com/google.rpc.ErrorInfo"),
        "reason": _text(reply.reason),
        "domain": _text("touchstone"),
    }
    return SubstitutionFormatString(
        json_format=Struct(
            fields={
                "code": Value(number_value=reply.code),
                "message": _text(reply.message),
                "details": Value(list_value=ListValue(values=[Value(struct_value=Struct(fields=detail))])),
            }
        )
    )


def local_replies() -> LocalReplyConfig:
    """Every status that Envoy answers by itself, as google.rpc.Status in JSON."""
    return LocalReplyConfig(
        mappers=[ResponseMapper(filter=_matches(reply.status), body_format_override=_body(reply)) for reply in REPLIES]
    )
