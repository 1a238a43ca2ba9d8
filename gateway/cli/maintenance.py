"""Commands that build a service's state anew, and that check what is stored."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import click
import grpc
from touchstone.attribution.v1 import credit_service_pb2
from touchstone.attribution.v1.credit_service_pb2_grpc import CreditServiceStub
from touchstone.ingest.v1 import tenant_service_pb2
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub
from touchstone.mesh.v1 import maintenance_service_pb2
from touchstone.mesh.v1.maintenance_service_pb2_grpc import MaintenanceServiceStub
from touchstone.reporting.v1 import report_service_pb2
from touchstone.reporting.v1.report_service_pb2_grpc import ReportServiceStub

from gateway.cli.display import progress
from gateway.cli.system import System, pass_system

FOLLOWERS = ("identity", "attribution", "reporting")
"""The services that follow logs, from the left to the right."""

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 60.0
"""How long a service may be away, as when it restarts, before a rebuild is no longer watched."""


class Followed(NamedTuple):
    """How far a state has come."""

    applied: int
    known: int


def followed(generation: maintenance_service_pb2.Generation) -> Followed:
    """Log entries that a state has applied, of those it knows to exist."""
    return Followed(
        sum(partition.through_position for partition in generation.followed),
        sum(partition.head_position for partition in generation.followed),
    )


def generations(system: System, service: str) -> list[maintenance_service_pb2.Generation]:
    """Every state of a service, the served one first."""
    stub = MaintenanceServiceStub(system.channel)
    request = maintenance_service_pb2.GetProgressRequest()
    return list(system.call(stub.GetProgress, request, service=service).generations)


@click.command()
@click.argument("service", type=click.Choice(FOLLOWERS))
@pass_system
def rebuild(system: System, service: str) -> None:
    """Builds a service's state anew from log position 0, while the old one goes on serving."""
    stub = MaintenanceServiceStub(system.channel)
    began = time.monotonic()
    request = maintenance_service_pb2.StartRebuildRequest()
    number = system.call(stub.StartRebuild, request, service=service).generation
    last = Followed(0, 0)
    with progress() as shown:
        task = shown.add_task(f"rebuild {service}", total=None)
        for last in _until_serving(system, service, number):
            shown.update(task, completed=last.applied, total=last.known or None)
    click.echo(
        f"{service}: generation {number} serves, built from {last.applied} entries "
        f"in {time.monotonic() - began:.1f} s; followers of its own log catch up by themselves"
    )


def _until_serving(system: System, service: str, number: int) -> Iterator[Followed]:
    """How far the generation has come, again and again until it, or one begun later, serves."""
    away_since: float | None = None
    while True:
        try:
            found = generations(system, service)
        except grpc.RpcError as error:
            away_since = away_since or time.monotonic()
            if not _passes(error) or time.monotonic() - away_since > _PATIENCE_SECONDS:
                raise
        else:
            away_since = None
            if building := [generation for generation in found if generation.generation == number]:
                yield followed(building[0])
            if any(generation.serving and generation.generation >= number for generation in found):
                return
        time.sleep(_POLL_SECONDS)


def _passes(error: grpc.RpcError) -> bool:
    """True for what a restart of the service brings about."""
    return isinstance(error, grpc.Call) and error.code() in {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }


@click.command()
@click.argument("tenant")
@pass_system
def verify(system: System, tenant: str) -> None:
    """Computes every credit and counts every figure of a tenant again, and compares with what is stored.

    Fails on any difference.
    """
    # Of a tenant that there isn't, nothing would differ.
    system.call(TenantServiceStub(system.channel).GetSettings, tenant_service_pb2.GetSettingsRequest(), tenant=tenant)
    with progress() as shown:
        task = shown.add_task("credits", total=None)
        credits_told = credit_service_pb2.VerifyCreditsResponse()
        stream = CreditServiceStub(system.channel).VerifyCredits
        for credits_told in system.stream(stream, credit_service_pb2.VerifyCreditsRequest(), tenant=tenant):
            shown.update(task, completed=credits_told.checked, total=credits_told.total)
        task = shown.add_task("figures", total=None)
        figures_told = report_service_pb2.VerifyRollupsResponse()
        recount = ReportServiceStub(system.channel).VerifyRollups
        for figures_told in system.stream(recount, report_service_pb2.VerifyRollupsRequest(), tenant=tenant):
            shown.update(task, completed=figures_told.checked, total=figures_told.total)
    click.echo(f"credits: {credits_told.checked} orders computed again, {credits_told.different} differ")
    click.echo(f"figures: {figures_told.checked} facts counted again, {figures_told.different_cells} cells differ")
    for name, checked, total in (
        ("credits", credits_told.checked, credits_told.total),
        ("figures", figures_told.checked, figures_told.total),
    ):
        if checked != total:
            raise click.ClickException(f"{name}: the check ended after {checked} of {total}")
    if credits_told.different:
        named = ", ".join(credits_told.different_order_ids)
        raise click.ClickException(
            f"the credits of {credits_told.different} orders differ from those stored ({named}): see "
            f"/v1/orders/ID/attribution of each, and build anew with `touchstone rebuild attribution`"
        )
    if credits_told.standing_alarms:
        click.echo(f"alarms: {credits_told.standing_alarms} orders were found to differ, and not yet to agree again")
    if figures_told.different_cells:
        raise click.ClickException(
            f"{figures_told.different_cells} cells differ from the count: build anew with "
            "`touchstone rebuild reporting`"
        )
