"""Which RPC answers which method and path, as the contracts' google.api.http options say."""

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import touchstone
from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from touchstone.mesh.v1 import access_pb2

from gateway.web.rest import templates
from gateway.web.rest.templates import Template

WHOLE_BODY: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One way to call one RPC over HTTP."""

    http_method: str
    template: Template
    rpc: MethodDescriptor
    body: str
    """The request's field that the body is; `WHOLE_BODY` for all of it, empty for none."""
    response_body: str
    """The response's field that is answered; empty for all of it."""

    @property
    def backend(self) -> str:
        """The service that answers it: "ingest", "reporting"."""
        return str(self.rpc.containing_service.file.package).split(".")[1]

    @property
    def grpc_path(self) -> str:
        """The RPC's full path."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"

    @property
    def scope(self) -> str:
        """The scopes of which a token needs one, separated by "|"."""
        return str(self.rpc.GetOptions().Extensions[access_pb2.scope])

    @property
    def request_class(self) -> type[Message]:
        """The request's class."""
        return GetMessageClass(self.rpc.input_type)

    @property
    def response_class(self) -> type[Message]:
        """The response's class."""
        return GetMessageClass(self.rpc.output_type)


def contracts() -> list[ServiceDescriptor]:
    """Every service of every contract, by full name."""
    found: dict[str, ServiceDescriptor] = {}
    for root in map(Path, touchstone.__path__):
        for file in root.rglob("*_service_pb2.py"):
            name = ".".join(("touchstone", *file.relative_to(root).with_suffix("").parts))
            module: Any = importlib.import_module(name)
            found.update((service.full_name, service) for service in module.DESCRIPTOR.services_by_name.values())
    return [found[name] for name in sorted(found)]


def bindings(services: Sequence[ServiceDescriptor]) -> list[Binding]:
    """Every binding, the most specific path first."""
    found = [binding for service in services for rpc in service.methods for binding in _of(rpc)]
    return sorted(found, key=lambda binding: (binding.template.specificity, binding.template.text, binding.http_method))


def _of(rpc: MethodDescriptor) -> Iterator[Binding]:
    options = rpc.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    for one in (rule, *rule.additional_bindings):
        yield _binding(rpc, one)


def _binding(rpc: MethodDescriptor, rule: HttpRule) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind is None or rpc.client_streaming:
        raise templates.TemplateError(rpc.full_name)
    path = rule.custom.path if kind == "custom" else getattr(rule, kind)
    template = templates.parse(path)
    for variable in template.variables:
        field_at(rpc.input_type, variable)
    if rule.body not in ("", WHOLE_BODY):
        field_at(rpc.input_type, rule.body)
    if rule.response_body:
        field_at(rpc.output_type, rule.response_body)
    return Binding(
        http_method=rule.custom.kind if kind == "custom" else kind.upper(),
        template=template,
        rpc=rpc,
        body=rule.body,
        response_body=rule.response_body,
    )


def field_at(message: Descriptor, path: str) -> FieldDescriptor:
    """The field at a path of the contract's own names: `settings.time_zone`. Raises KeyError when there is none."""
    *outer, last = path.split(".")
    for name in outer:
        inner = message.fields_by_name[name].message_type
        if inner is None:
            raise KeyError(path)
        message = inner
    return message.fields_by_name[last]
