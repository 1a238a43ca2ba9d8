"""Commands about personal data: erase somebody, see what was asked, hand over what is held."""

import time
from collections.abc import Iterator

import click
from google.protobuf import json_format
from touchstone.ingest.v1 import privacy_pb2
from touchstone.ingest.v1 import privacy_service_pb2 as pb
from touchstone.ingest.v1.privacy_service_pb2_grpc import PrivacyServiceStub

from gateway.cli.system import System, pass_system

_LOOK_SECONDS = 1.0


@click.command()
@click.argument("tenant_name", metavar="TENANT")
@click.option("--email", default="", help="an e-mail address")
@click.option("--phone", default="", help="a telephone number in international form")
@click.option("--customer-id", default="", help="the shop's own number for its customer")
@click.option("--visitor-id", default="", help="a browser")
@click.option("--session-id", default="", help="a visit")
@click.option("--conversation-id", default="", help="a conversation")
@click.option("--click-id", default="", help="an advertising or tracked-link click")
@click.option("--wait", is_flag=True, help="until nothing of the person is found any more")
@pass_system
def erase(system: System, /, tenant_name: str, *, wait: bool, **named: str) -> None:
    """Makes somebody impossible to find, named by exactly one identifier. No figure changes."""
    request = pb.ErasePersonRequest(**named)
    asked = system.call(PrivacyServiceStub(system.channel).ErasePerson, request, tenant=tenant_name).privacy_request
    while wait and asked.state != privacy_pb2.PrivacyRequest.DONE:
        time.sleep(_LOOK_SECONDS)
        asked = _request(system, tenant_name, asked.request_id)
    click.echo(_line(asked))


@click.group()
def privacy() -> None:
    """Requests about personal data, and the record that they were met."""


@privacy.command("list")
@click.argument("tenant_name", metavar="TENANT")
@pass_system
def list_command(system: System, tenant_name: str) -> None:
    """Prints the requests, newest first."""
    found = list(_requests(system, tenant_name))
    for asked in found:
        click.echo(_line(asked))
    if not found:
        click.echo("nothing was requested")


@privacy.command("export")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("request_id", metavar="REQUEST")
@pass_system
def export_command(system: System, tenant_name: str, request_id: str) -> None:
    """Prints what is held of the person of a request as lines of JSON, which then is done if it asked for no more."""
    stub = PrivacyServiceStub(system.channel)
    for part in system.stream(
        stub.ExportPersonalData, pb.ExportPersonalDataRequest(request_id=request_id), tenant=tenant_name
    ):
        for message in (*part.identifiers, *part.events):
            click.echo(json_format.MessageToJson(message, indent=None))


def _request(system: System, tenant_name: str, request_id: str) -> privacy_pb2.PrivacyRequest:
    stub = PrivacyServiceStub(system.channel)
    asked = pb.GetPrivacyRequestRequest(request_id=request_id)
    return system.call(stub.GetPrivacyRequest, asked, tenant=tenant_name).privacy_request


def _requests(system: System, tenant_name: str) -> Iterator[privacy_pb2.PrivacyRequest]:
    stub = PrivacyServiceStub(system.channel)
    asked = pb.ListPrivacyRequestsRequest()
    while True:
        page = system.call(stub.ListPrivacyRequests, asked, tenant=tenant_name)
        yield from page.privacy_requests
        if not page.next_page_token:
            return
        asked.page_token = page.next_page_token


def _line(asked: privacy_pb2.PrivacyRequest) -> str:
    kind = privacy_pb2.PrivacyDemand.Kind.Name(asked.kind)
    state = privacy_pb2.PrivacyRequest.State.Name(asked.state)
    done = (
        f"{asked.erased_identifiers} identifiers, {asked.rewritten_events} events, "
        f"{asked.forgotten_bodies} parked bodies"
    )
    due = asked.due_time.ToDatetime().date().isoformat()
    begins = ""
    if asked.HasField("latest_begin_time"):
        begins = f" begins by {asked.latest_begin_time.ToDatetime().isoformat(' ', 'minutes')} UTC,"
    return f"{asked.request_id} {kind} from {asked.source}: {state},{begins} due {due}; {done}"
