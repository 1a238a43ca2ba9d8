"""The API's description (OpenAPI 3.1), drawn from the contracts that it is served from."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.web.rest.bindings import WHOLE_BODY, Binding, field_at
from gateway.web.rest.files import is_file
from gateway.web.rest.streams import EVENTS, LINES, WHOLE

_F = FieldDescriptor
_WELL_KNOWN: Final[dict[str, dict[str, Any]]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "examples": ["3600s"]},
    "google.protobuf.FieldMask": {"type": "string", "examples": ["timeZone,currencyCode"]},
}
_INT32: Final[dict[str, Any]] = {"type": "integer", "format": "int32"}
_INT64: Final[dict[str, Any]] = {"type": "string", "format": "int64"}
_SCALARS: Final[dict[int, dict[str, Any]]] = {
    _F.TYPE_DOUBLE: {"type": "number"},
    _F.TYPE_FLOAT: {"type": "number"},
    _F.TYPE_INT64: _INT64,
    _F.TYPE_SINT64: _INT64,
    _F.TYPE_SFIXED64: _INT64,
    _F.TYPE_UINT64: _INT64,
    _F.TYPE_FIXED64: _INT64,
    _F.TYPE_INT32: _INT32,
    _F.TYPE_SINT32: _INT32,
    _F.TYPE_SFIXED32: _INT32,
    _F.TYPE_UINT32: _INT32,
    _F.TYPE_FIXED32: _INT32,
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "format": "byte"},
}
_ERROR: Final = {
    "type": "object",
    "properties": {
        "code": {"type": "integer", "description": "A google.rpc.Code."},
        "message": {"type": "string"},
        "details": {"type": "array", "items": {"type": "object"}, "description": "ErrorInfo, and BadRequest's fields."},
    },
}
_REPLAY: Final = {
    "operationId": "ReplayParkedDeliveries",
    "tags": ["SourceService"],
    "summary": "Replay parked deliveries",
    "description": "Needs a token with the scope admin.",
    "parameters": [{"name": "source", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {
            "description": "How many were stored, and how many stay parked.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"replayed": {"type": "integer"}, "stillParked": {"type": "integer"}},
                    }
                }
            },
        }
    },
}


def describe(bindings: Iterable[Binding]) -> dict[str, Any]:
    """The document."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    paths: dict[str, dict[str, Any]] = {}
    for binding in bindings:
        path = binding.template.text
        for variable in binding.template.variables:
            path = path.replace(f"{{{variable}}}", f"{{{_json_path(binding.rpc.input_type, variable)}}}")
        paths.setdefault(path, {})[binding.http_method.lower()] = _operation(binding, schemas)
    paths["/v1/sources/{source}/parked:replay"] = {"post": _REPLAY}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Touchstone", "version": "1", "summary": "Which sales a shop's conversations brought in."},
        "security": [{"token": []}],
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {name: schemas[name] for name in sorted(schemas)},
        },
    }


def _operation(binding: Binding, schemas: dict[str, Any]) -> dict[str, Any]:
    name = str(binding.rpc.name)
    request, answered = binding.rpc.input_type, binding.rpc.output_type
    if is_file(binding.rpc):
        success = {"description": "The file.", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    elif binding.response_body:
        part = field_at(answered, binding.response_body)
        success = _success(_field(part, schemas), streams=binding.rpc.server_streaming)
    else:
        success = _success(_message(answered, schemas), streams=binding.rpc.server_streaming)
    operation: dict[str, Any] = {
        "operationId": name,
        "tags": [binding.rpc.containing_service.name],
        "summary": _words(name),
        "description": f"Needs a token with the scope {binding.scope.removesuffix('|mesh').replace('|', ' or ')}.",
        "parameters": _parameters(binding, request, schemas),
        "responses": {
            "200": success,
            "default": {
                "description": "Why not.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    if binding.body:
        whole = binding.body == WHOLE_BODY
        body = _message(request, schemas) if whole else _field(field_at(request, binding.body), schemas)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _success(answer: dict[str, Any], *, streams: bool) -> dict[str, Any]:
    """One object; of a stream, the last message, or each as a line or an event for whoever accepts these."""
    if not streams:
        return {"description": "The answer.", "content": {WHOLE: {"schema": answer}}}
    description = "The last message; a message a line, or an event, for who accepts these. Errors have the key `error`."
    return {"description": description, "content": {format_: {"schema": answer} for format_ in (WHOLE, LINES, EVENTS)}}


def _parameters(binding: Binding, request: Descriptor, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    in_path = binding.template.variables
    parameters = [
        {
            "name": _json_path(request, variable),
            "in": "path",
            "required": True,
            "schema": _field(field_at(request, variable), schemas),
        }
        for variable in in_path
    ]
    if binding.body == WHOLE_BODY:
        return parameters
    for field in request.fields:
        is_structure = field.message_type is not None and field.message_type.full_name not in _WELL_KNOWN
        if field.name in in_path or field.name == binding.body or is_structure:
            continue
        required = _is_required(field)
        schema = _field(field, schemas)
        parameters.append({"name": field.json_name, "in": "query", "required": required, "schema": schema})
    return parameters


def _message(descriptor: Descriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    """A reference to a message's schema, which is described once."""
    known = _WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return known
    name = str(descriptor.full_name).removeprefix("touchstone.")
    if name not in schemas:
        schemas[name] = {}
        properties = {field.json_name: _field(field, schemas) for field in descriptor.fields}
        required = [field.json_name for field in descriptor.fields if _is_required(field)]
        schemas[name] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            schemas[name]["required"] = required
    return {"$ref": f"#/components/schemas/{name}"}


def _field(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if not field.is_repeated:
        return _value(field, schemas)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {"type": "object", "additionalProperties": _value(field.message_type.fields_by_name["value"], schemas)}
    return {"type": "array", "items": _value(field, schemas)}


def _value(field: FieldDescriptor, schemas: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        return _message(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values if value.number]}
    return _SCALARS[field.type]


def _is_required(field: FieldDescriptor) -> bool:
    behaviours: Sequence[int] = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviours


def _json_path(descriptor: Descriptor, path: str) -> str:
    """A field's path as JSON names it."""
    names: list[str] = []
    for i, _ in enumerate(path.split("."), start=1):
        names.append(field_at(descriptor, ".".join(path.split(".")[:i])).json_name)
    return ".".join(names)


def _words(name: str) -> str:
    """`RunReport` as "Run report"."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip().capitalize()
