"""Commands about deliveries: sending captured ones again, and those that could not be used."""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
from rich.table import Table
from touchstone.ingest.v1 import source_service_pb2
from touchstone.ingest.v1.source_service_pb2_grpc import SourceServiceStub

from gateway.cli.display import ANSWER, progress
from gateway.cli.sender import Sender
from gateway.cli.system import System, pass_system
from gateway.cli.tenants import issue_token

_PAGE = 1000
_OK = range(200, 300)


class Captured(NamedTuple):
    """A delivery as it was captured: a shop's headers and the bytes that it signed."""

    headers: list[tuple[str, str]]
    body: bytes


def read_captured(path: Path) -> Captured:
    """Reads `{"headers": [[name, value], …], "body_b64": "…"}`; other fields are ignored."""
    try:
        captured = json.loads(path.read_bytes())
        headers = [(str(name), str(value)) for name, value in captured["headers"]]
        return Captured(headers, base64.b64decode(captured["body_b64"], validate=True))
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise click.ClickException(
            f'{path} is no captured delivery: it must hold {{"headers": [[name, value], …], "body_b64": "…"}} '
            f"({type(error).__name__})"
        ) from error


@click.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--tenant", required=True, help="the tenant whose shop delivers")
@click.option("--source", required=True, help="the tenant's source that takes the deliveries")
@pass_system
def replay(system: System, files: tuple[Path, ...], tenant: str, source: str) -> None:
    """Sends captured deliveries in the order given, as the shop did, and counts the answers by status.

    Fails when the system refused one of them.
    """
    missing = [str(path) for path in files if not path.is_file()]
    if missing:
        raise click.ClickException(f"no such file: {', '.join(missing[:5])}")
    answers: Counter[int] = Counter()
    with Sender(system) as sender, progress() as shown:
        for path in shown.track(files, description=f"replay to {tenant}/{source}"):
            captured = read_captured(path)
            answers[sender.post(f"/webhooks/{tenant}/{source}", captured.headers, captured.body).status] += 1
    for status, count in sorted(answers.items()):
        click.echo(f"{status}: {count}")
    if unknown := answers[404]:
        raise click.ClickException(
            f"{unknown} of {len(files)} found no source {source} of tenant {tenant}: "
            f"add it with `touchstone source add {tenant} {source} --kind … --secret …`"
        )
    if unsigned := answers[401]:
        raise click.ClickException(
            f"{unsigned} of {len(files)} have a signature that is not made with the source's secret: "
            f"add the other secret with `touchstone source add {tenant} {source} --kind … --secret …`"
        )
    if refused := sum(count for status, count in answers.items() if status not in _OK):
        raise click.ClickException(f"{refused} of {len(files)} were refused")


@click.group()
def parked() -> None:
    """Validly signed deliveries that could not be used."""


@parked.command("list")
@click.argument("tenant")
@click.option("--source", default="", help="only this source; all of them without")
@pass_system
def list_parked(system: System, tenant: str, source: str) -> None:
    """Lists them, newest first."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("id", "source", "topic", "reason", "received", "bytes"):
        # Never cut: an id is there to be copied.
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    for delivery in _parked(system, tenant, source):
        received = delivery.receive_time.ToJsonString()
        size = str(delivery.body_bytes)
        table.add_row(delivery.parked_id, delivery.source, delivery.topic, delivery.reason, received, size)
    if table.row_count:
        ANSWER.print(table)
    else:
        click.echo("nothing is parked")


@parked.command("show")
@click.argument("tenant")
@click.argument("parked_id", metavar="ID")
@click.option("--source", default="", help="its source; looked for without")
@pass_system
def show_parked(system: System, tenant: str, parked_id: str, source: str) -> None:
    """Prints one with its headers and its body, as `touchstone replay` takes it."""
    source = source or _source_of(system, tenant, parked_id)
    request = source_service_pb2.GetParkedDeliveryRequest(source=source, parked_id=parked_id)
    stub = SourceServiceStub(system.channel)
    delivery = system.call(stub.GetParkedDelivery, request, tenant=tenant).parked_delivery
    shown = {
        "reason": delivery.reason,
        "topic": delivery.topic,
        "received": delivery.receive_time.ToJsonString(),
        "headers": sorted(delivery.headers.items()),
        "body_b64": base64.b64encode(delivery.body).decode(),
        "body": delivery.body.decode("utf-8", errors="replace"),
    }
    click.echo(json.dumps(shown, indent=2, ensure_ascii=False))


@parked.command("replay")
@click.argument("tenant")
@click.argument("parked_ids", metavar="[ID]…", nargs=-1)
@click.option("--source", default="", help="only this source; all of them without")
@pass_system
def replay_parked(system: System, tenant: str, parked_ids: tuple[str, ...], source: str) -> None:
    """Reads them again, all or those named; what can be used now leaves the list."""
    by_source: dict[str, list[str]] = {}
    for delivery in _parked(system, tenant, source):
        if not parked_ids or delivery.parked_id in parked_ids:
            by_source.setdefault(delivery.source, []).append(delivery.parked_id)
    found = {parked_id for ids in by_source.values() for parked_id in ids}
    if unknown := sorted(set(parked_ids) - found):
        raise click.ClickException(f"not parked: {', '.join(unknown)}; see `touchstone parked list {tenant}`")
    headers = [
        ("Authorization", f"Bearer {issue_token(system, tenant, scopes=['admin'])}"),
        ("Content-Type", "application/json"),
    ]
    with Sender(system) as sender, progress() as shown:
        for name in shown.track(sorted(by_source), description="read again"):
            # All of a source's need no list, which keeps a long one short.
            body = {"parkedIds": by_source[name]} if parked_ids else {}
            answer = sender.post(f"/v1/sources/{name}/parked:replay", headers, json.dumps(body).encode())
            if answer.status not in _OK:
                raise click.ClickException(f"{name}: {_message(answer.body)}")
    left = {delivery.parked_id for delivery in _parked(system, tenant, source)} & found
    click.echo(f"{len(found) - len(left)} read with success, {len(left)} still parked")


def _parked(system: System, tenant: str, source: str) -> Iterator[source_service_pb2.ParkedDelivery]:
    """What is parked of one source or of all, by source and then newest first."""
    stub = SourceServiceStub(system.channel)
    for name in [source] if source else _sources(system, tenant):
        request = source_service_pb2.ListParkedDeliveriesRequest(source=name, page_size=_PAGE)
        while True:
            page = system.call(stub.ListParkedDeliveries, request, tenant=tenant)
            yield from page.parked_deliveries
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token


def _sources(system: System, tenant: str) -> list[str]:
    """The names of the tenant's sources."""
    request = source_service_pb2.ListSourcesRequest(page_size=_PAGE)
    page = system.call(SourceServiceStub(system.channel).ListSources, request, tenant=tenant)
    return [source.source for source in page.sources]


def _source_of(system: System, tenant: str, parked_id: str) -> str:
    """The source that brought a parked delivery."""
    for delivery in _parked(system, tenant, ""):
        if delivery.parked_id == parked_id:
            return delivery.source
    raise click.ClickException(f"not parked: {parked_id}; see `touchstone parked list {tenant}`")


def _message(body: bytes) -> str:
    """What an error of the REST API says."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", errors="replace")
