"""Commands about exchange rates."""

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click
from touchstone.ingest.v1 import exchange_rate_pb2, tenant_service_pb2
from touchstone.ingest.v1 import exchange_rate_service_pb2 as pb
from touchstone.ingest.v1.exchange_rate_service_pb2_grpc import ExchangeRateServiceStub
from touchstone.ingest.v1.tenant_service_pb2_grpc import TenantServiceStub

from gateway.cli.display import progress
from gateway.cli.system import System, pass_system

PAGE = 1_000
"""Rates in a call."""

_COLUMNS = ["date", "currency", "rate"]
_ECB_BASE = "EUR"
_ABSENT = ("", "N/A")

Rate = exchange_rate_pb2.ExchangeRate


@click.group()
def rates() -> None:
    """The rates by which amounts are converted to the reporting currency."""


@rates.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("tenant_name", metavar="TENANT")
@click.option("--since", default="", help="only rates of this day and later ones: 2026-01-01")
@click.option("--replace", is_flag=True, help="rates may differ from those told before: those days are converted anew")
@pass_system
def import_command(system: System, *, file: Path, tenant_name: str, since: str, replace: bool) -> None:
    """Stores the rates of a CSV file: date,currency,rate, or as the European Central Bank publishes its own.

    A rate is how many units of the currency one unit of the reporting currency is worth. Rates that were told before
    stay; the import fails where the file has others, unless --replace is given.
    """
    read = [rate for rate in read_rates(file) if rate.date >= since]
    if any(rate.base_currency_code for rate in read):
        asked = tenant_service_pb2.GetSettingsRequest()
        answer = system.call(TenantServiceStub(system.channel).GetSettings, asked, tenant=tenant_name)
        if (currency := answer.settings.currency_code) != _ECB_BASE:
            raise click.ClickException(f"{file} has rates of one {_ECB_BASE}, and {tenant_name} reports in {currency}")
    stub = ExchangeRateServiceStub(system.channel)
    stored = 0
    with progress() as shown:
        task = shown.add_task(f"rates of {tenant_name}", total=len(read))
        for start in range(0, len(read), PAGE):
            page = read[start : start + PAGE]
            request = pb.ImportExchangeRatesRequest(exchange_rates=page, replace=replace)
            stored += system.call(stub.ImportExchangeRates, request, tenant=tenant_name).stored
            shown.advance(task, len(page))
    click.echo(f"{stored} rates stored, {len(read) - stored} were there")


def read_rates(file: Path) -> list[Rate]:
    """The rates of a file; those of the European Central Bank name their base."""
    with file.open(newline="", encoding="utf-8-sig") as opened:
        rows = csv.reader(opened, skipinitialspace=True)
        head = [name.strip() for name in next(rows, [])]
        if [name.lower() for name in head] == _COLUMNS:
            return [_rate(f"{file}:{rows.line_num}", row) for row in rows if row]
        if len(head) > 1 and head[0].lower() == "date" and all(_is_currency(name) for name in head[1:] if name):
            return [rate for row in rows if row for rate in _ecb_rates(f"{file}:{rows.line_num}", head, row)]
    raise click.ClickException(
        f"{file} begins neither with {','.join(_COLUMNS)} nor as the ECB's files: Date,USD,JPY,…"
    )


def _rate(place: str, row: Sequence[str]) -> Rate:
    if len(row) != len(_COLUMNS):
        raise click.ClickException(f"{place}: {len(row)} columns, not {len(_COLUMNS)}")
    day, currency, rate = (value.strip() for value in row)
    return Rate(date=_day(place, day), currency_code=currency.upper(), rate=rate)


def _ecb_rates(place: str, head: Sequence[str], row: Sequence[str]) -> Iterator[Rate]:
    day = _day(place, row[0].strip())
    for currency, value in zip(head[1:], row[1:], strict=False):
        if currency and value.strip() not in _ABSENT:
            yield Rate(date=day, currency_code=currency, rate=value.strip(), base_currency_code=_ECB_BASE)


def _is_currency(name: str) -> bool:
    return len(name) == 3 and name.isascii() and name.isalpha() and name.isupper()


def _day(place: str, text: str) -> str:
    """An ISO date, which the ECB's file of one day has in words."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        return datetime.strptime(text, "%d %B %Y").replace(tzinfo=UTC).date().isoformat()
    except ValueError as error:
        raise click.ClickException(f"{place}: {text!r} is not a date such as 2026-11-20") from error
