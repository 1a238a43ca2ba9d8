"""Commands that make tenants, sources and tokens."""

import click
from touchstone.ingest.v1 import settings_pb2, source_service_pb2, tenant_service_pb2
from touchstone.ingest.v1.source_service_pb2_grpc import SourceServiceStub
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub

from gateway.cli.system import System, pass_system

SCOPES = ("events:write", "reports:read", "admin")
_KINDS = {
    "woocommerce": source_service_pb2.Source.WOOCOMMERCE,
    "shopify": source_service_pb2.Source.SHOPIFY,
    "custom": source_service_pb2.Source.CUSTOM,
}


@click.group()
def tenant() -> None:
    """The shops that this installation serves."""


@tenant.command("create")
@click.argument("name", metavar="TENANT")
@click.option("--currency", required=True, help="ISO 4217 code of the reporting currency: EUR")
@click.option("--time-zone", required=True, help="IANA name of the zone whose days are counted: Europe/Madrid")
@pass_system
def create_tenant_command(system: System, name: str, currency: str, time_zone: str) -> None:
    """Creates a tenant; the same call again changes nothing."""
    created = create_tenant(system, name, currency=currency, time_zone=time_zone)
    settings = created.settings
    click.echo(f"tenant {created.tenant_id}: {settings.currency_code}, days of {settings.time_zone}")


def create_tenant(system: System, name: str, *, currency: str, time_zone: str) -> tenant_service_pb2.Tenant:
    """The tenant of this name, made if there is none."""
    request = tenant_service_pb2.CreateTenantRequest(
        tenant_id=name,
        settings=settings_pb2.TenantSettings(currency_code=currency.upper(), time_zone=time_zone),
    )
    return system.call(TenantServiceStub(system.channel).CreateTenant, request).tenant


@click.group()
def source() -> None:
    """The connections through which a tenant's shops deliver."""


@source.command("add")
@click.argument("tenant_name", metavar="TENANT")
@click.argument("name", metavar="SOURCE")
@click.option("--kind", required=True, type=click.Choice(sorted(_KINDS), case_sensitive=False))
@click.option("--secret", required=True, help="what the shop signs its deliveries with; another one is added")
@click.option("--id-prefix", default="", help="what identifiers on orders begin with; _touchstone_ without")
@click.option("--require-signed-ids", is_flag=True, help="identifiers on orders count only with a valid signature")
@pass_system
def add_source_command(
    system: System,
    *,
    tenant_name: str,
    name: str,
    kind: str,
    secret: str,
    id_prefix: str,
    require_signed_ids: bool,
) -> None:
    """Adds a source, and prints the address for the shop's webhooks. It works from then on."""
    add_source(
        system,
        tenant_name,
        name,
        kind=kind,
        secret=secret,
        id_prefix=id_prefix,
        require_signed_ids=require_signed_ids,
    )
    click.echo(f"{system.url}/webhooks/{tenant_name}/{name}")


def add_source(
    system: System,
    tenant_name: str,
    name: str,
    *,
    kind: str,
    secret: str,
    id_prefix: str = "",
    require_signed_ids: bool = False,
) -> source_service_pb2.Source:
    """The tenant's source of this name, made if there is none."""
    request = source_service_pb2.CreateSourceRequest(
        source=name,
        kind=_KINDS[kind.lower()],
        secret=secret,
        id_prefix=id_prefix,
        require_signed_ids=require_signed_ids,
    )
    return system.call(SourceServiceStub(system.channel).CreateSource, request, tenant=tenant_name).source


@click.command()
@click.argument("tenant_name", metavar="TENANT")
@click.option("--scopes", default=",".join(SCOPES), show_default=True, help="what the token may, by comma")
@pass_system
def token(system: System, tenant_name: str, scopes: str) -> None:
    """Prints a bearer token that opens the tenant, alone on stdout."""
    click.echo(issue_token(system, tenant_name, scopes=[scope.strip() for scope in scopes.split(",") if scope.strip()]))


def issue_token(system: System, tenant_name: str, *, scopes: list[str]) -> str:
    """A bearer token of the tenant."""
    if unknown := sorted(set(scopes) - set(SCOPES)) or not scopes:
        named = ", ".join(unknown) if isinstance(unknown, list) else "nothing"
        raise click.BadParameter(f"{named}: choose of {', '.join(SCOPES)}", param_hint="--scopes")
    request = tenant_service_pb2.IssueTokenRequest(tenant_id=tenant_name, scopes=scopes)
    return system.call(TenantServiceStub(system.channel).IssueToken, request).token
