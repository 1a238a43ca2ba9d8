"""The command that makes a tracked link."""

from datetime import timedelta

import click
from google.protobuf.duration_pb2 import Duration
from touchstone.identity.v1 import link_service_pb2
from touchstone.identity.v1.link_service_pb2_grpc import LinkServiceStub

from gateway.cli.system import System, pass_system


@click.command()
@click.argument("tenant_name", metavar="TENANT")
@click.argument("conversation")
@click.argument("destination")
@click.option("--touchpoint", default="", help="where the conversation takes place: whatsapp")
@click.option("--days", type=click.FloatRange(0, 365, min_open=True), help="how long it works; 90 without")
@pass_system
def link(
    system: System, *, tenant_name: str, conversation: str, destination: str, touchpoint: str, days: float | None
) -> None:
    """Makes a link to send in a CONVERSATION, and prints its address, alone on stdout.

    DESTINATION is an https address on one of the tenant's link hosts.
    """
    lifetime = None
    if days is not None:
        lifetime = Duration()
        lifetime.FromTimedelta(timedelta(days=days))
    request = link_service_pb2.CreateLinkRequest(
        conversation_id=conversation, destination=destination, touchpoint=touchpoint, lifetime=lifetime
    )
    click.echo(system.call(LinkServiceStub(system.channel).CreateLink, request, tenant=tenant_name).url)
