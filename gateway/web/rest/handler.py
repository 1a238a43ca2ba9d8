"""Any annotated RPC over HTTP: reads the request, calls with the caller's own token, writes the answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import grpc
import orjson
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from gateway.web import errors
from gateway.web.origin import origin_of
from gateway.web.protojson.reading import MalformedError, field_reader, reader
from gateway.web.protojson.writing import writer
from gateway.web.requests import authorization, read_body
from gateway.web.rest import files, query, streams
from gateway.web.rest.bindings import WHOLE_BODY, Binding, field_at
from services.chassis import telemetry
from services.chassis.callers import ORIGIN_METADATA
from services.kernel.failures import InvalidArgumentError

UPDATE_MASK: Final = "update_mask"
"""The field of a request that says which fields of another one change."""


class Endpoint:
    """One binding, ready to be called."""

    def __init__(self, binding: Binding, channel: grpc.aio.Channel) -> None:
        self.binding = binding
        self._descriptor = binding.rpc.input_type
        self._request_class: Callable[..., Message] = binding.request_class
        opened = channel.unary_stream if binding.rpc.server_streaming else channel.unary_unary
        self._call: Callable[..., Any] = opened(
            binding.grpc_path,
            request_serializer=binding.request_class.SerializeToString,
            response_deserializer=binding.response_class.FromString,
        )
        self._endless = binding.rpc.server_streaming and streams.EVENT_ID in binding.rpc.output_type.fields_by_name
        self._is_file = files.is_file(binding.rpc)
        self._write: Callable[[Any], Any] = bytes if self._is_file else writer(binding.rpc.output_type)
        self._is_masked = binding.http_method == "PATCH" and UPDATE_MASK in self._descriptor.fields_by_name
        self._write_part: Callable[[Any], Any] | None = None
        if binding.response_body:
            part = field_at(binding.rpc.output_type, binding.response_body).message_type
            self._write_part = writer(part)

    async def answer(self, request: Request, variables: Mapping[str, str]) -> Response:
        """Calls the RPC. Raises what the caller is to be told."""
        metadata = (("authorization", authorization(request)), (ORIGIN_METADATA, origin_of(request)))
        try:
            message = self._request_class(**await self._fields(request, variables))
        except MalformedError as error:
            raise InvalidArgumentError.of(error.path or "body", error.description) from error
        telemetry.continue_trace(request.headers.get("traceparent", ""))
        call = self._call(message, metadata=metadata)
        if self._is_file:
            return await files.answer(request, call)
        if self.binding.rpc.server_streaming:
            return await streams.answer(request, call, self._written, endless=self._endless)
        return Response(self._written(await call), media_type=streams.WHOLE, headers=streams.NO_STORE)

    def _written(self, response: Any) -> bytes:
        if self._write_part is None:
            return orjson.dumps(self._write(response))
        return orjson.dumps(self._write_part(getattr(response, self.binding.response_body)))

    async def _fields(self, request: Request, variables: Mapping[str, str]) -> dict[str, Any]:
        """The request in keyword form, from body, query and path; none of them may say what another says."""
        body = await read_body(request)
        parameters = query.parse(request.scope["query_string"])
        fields: dict[str, Any] = {}
        sent: dict[str, Any] | None = None
        if self.binding.body == WHOLE_BODY:
            fields = reader(self._descriptor)(_parse(body))
            if parameters:
                raise MalformedError("is not a parameter here", parameters[0][0])
        elif self.binding.body:
            fields = _read_part(field_at(self._descriptor, self.binding.body), body)
            sent = fields[self.binding.body]
        elif body:
            raise MalformedError("must be empty for this method", "body")
        for name, value in query.read(self._descriptor, parameters).items():
            if name in fields:
                raise MalformedError("is given in the body", name)
            fields[name] = value
        if sent is not None and self._is_masked:
            # What the body names changes, false and empty values too: a message alone doesn't tell these from nothing.
            fields.setdefault(UPDATE_MASK, {"paths": sorted(sent)})
        for path, value in variables.items():
            _place_variable(fields, self.binding, path, value)
        # What a browser says by itself when it connects again.
        if self._endless and (last := request.headers.get(streams.LAST_EVENT_ID)):
            fields.setdefault(streams.AFTER, last)
        return fields


def _place_variable(fields: dict[str, Any], binding: Binding, path: str, value: str) -> None:
    name = field_at(binding.rpc.input_type, path).json_name
    try:
        query.place(fields, binding.rpc.input_type, path.split("."), value)
    except MalformedError as error:
        raise error.inside(name) from None


def _read_part(field: FieldDescriptor, body: bytes) -> dict[str, Any]:
    sent = _parse(body)
    try:
        return {field.name: field_reader(field)(sent)}
    except MalformedError as error:
        raise error.inside(field.json_name) from None


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedError("is not JSON", "body") from error


class Handler:
    """Finds the endpoint for a path."""

    def __init__(self, bindings: Sequence[Binding], channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._endpoints = [Endpoint(binding, channels[binding.backend]) for binding in bindings]

    async def answer(self, request: Request) -> Response:
        """Answers any request below /v1."""
        path = request.scope["raw_path"].decode("latin-1")
        methods: list[str] = []
        for endpoint in self._endpoints:
            try:
                variables = endpoint.binding.template.match(path)
            except UnicodeDecodeError as error:
                raise InvalidArgumentError.of("path", "is not UTF-8") from error
            if variables is None:
                continue
            if endpoint.binding.http_method == request.method:
                return await endpoint.answer(request, variables)
            methods.append(endpoint.binding.http_method)
        if methods:
            raise errors.method_not_allowed(", ".join(sorted(methods)))
        raise errors.not_found("ROUTE_NOT_FOUND", "There is nothing at this address.")
