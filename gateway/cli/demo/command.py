"""The command `touchstone demo`: plays the week that ends today at midnight, and shows what it comes to."""

import hmac
import json
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli.demo.shops import Delivery, tell
from gateway.cli.demo.story import Event, play_day
from gateway.cli.demo.table import show_statement
from gateway.cli.display import progress
from gateway.cli.maintenance import FOLLOWERS, followed, generations
from gateway.cli.sender import Answer, Sender
from gateway.cli.system import System, pass_system
from gateway.cli.tenants import add_source, create_tenant, issue_token

TENANT = "demo"
CURRENCY = "EUR"
ZONE = ZoneInfo("Europe/Madrid")
SOURCES = {"shopify": "shopify", "woo": "woocommerce"}
DAYS = 7

_EVENTS_A_CALL = 100
_SETTLE_SECONDS = 120.0
_POLL_SECONDS = 0.2
_QUIET_POLLS = 5


@click.command()
@pass_system
def demo(system: System) -> None:
    """Plays a week of a small shop's life, and prints what its conversations brought in.

    The shop is the tenant "demo", with a Shopify and a WooCommerce shop. Played again on the same day it changes
    nothing; on a later one it adds the days since.
    """
    create_tenant(system, TENANT, currency=CURRENCY, time_zone=ZONE.key)
    secrets = {name: _secret(system, name) for name in SOURCES}
    for name, kind in SOURCES.items():
        add_source(system, TENANT, name, kind=kind, secret=secrets[name])
    token = issue_token(system, TENANT, scopes=["events:write", "reports:read"])
    today = datetime.now(ZONE).date()
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    with Sender(system) as sender:
        orders = _play(sender, first, secrets, token)
        statement = _settled_statement(system, sender, first=first, last=last, token=token, orders=orders)
    show_statement(statement, f"The demo shop, {first} to {last}")
    viewer = issue_token(system, TENANT, scopes=["reports:read"])
    click.echo(f"{system.url}/#token={viewer}")


def _secret(system: System, name: str) -> str:
    """A secret that nobody else knows, and that the next run knows again."""
    return hmac.digest(system.token.encode(), f"{TENANT}/{name}".encode(), "sha256").hex()


def _play(sender: Sender, first: date, secrets: dict[str, str], token: str) -> int:
    """Sends the week in the order in which it happened; answers how many orders it has."""
    days = [play_day(first + timedelta(days=index), ZONE) for index in range(DAYS)]
    purchases = [purchase for day in days for purchase in day.purchases]
    moments: list[tuple[datetime, Event | Delivery]] = [
        *((datetime.fromisoformat(event["occurTime"]), event) for day in days for event in day.events),
        *((told.at, told) for purchase in purchases for told in tell(purchase, secrets[purchase.shop])),
    ]
    moments.sort(key=lambda moment: moment[0])
    with progress() as shown:
        task = shown.add_task("a week in the shop", total=len(moments))
        for told_by_shop, group in groupby(
            (moment for _, moment in moments), key=lambda told: isinstance(told, Delivery)
        ):
            for sent in _deliver(sender, group) if told_by_shop else _append(sender, list(group), token):
                shown.advance(task, sent)
    return len(purchases)


def _deliver(sender: Sender, deliveries: Iterator[Any]) -> Iterator[int]:
    """Sends webhooks, one by one."""
    for delivery in deliveries:
        _expect_ok(sender.post(f"/webhooks/{TENANT}/{delivery.source}", delivery.headers, delivery.body))
        yield 1


def _append(sender: Sender, events: list[Any], token: str) -> Iterator[int]:
    """Sends conversations, some at a time."""
    headers = [("Authorization", f"Bearer {token}"), ("Content-Type", "application/json")]
    for start in range(0, len(events), _EVENTS_A_CALL):
        some = events[start : start + _EVENTS_A_CALL]
        answer = _expect_ok(sender.post("/v1/events", headers, json.dumps({"events": some}).encode()))
        refused = [result for result in json.loads(answer.body)["results"] if result["status"] == "REJECTED"]
        if refused:
            raise click.ClickException(f"{len(refused)} events were refused: {refused[0]['reason']}")
        yield len(some)


def _expect_ok(answer: Answer) -> Answer:
    """The answer, if it is a good one."""
    if answer.status != 200:
        text = answer.body.decode("utf-8", errors="replace")
        raise click.ClickException(f"the system answered {answer.status}: {text[:200]}")
    return answer


def _settled_statement(
    system: System, sender: Sender, *, first: date, last: date, token: str, orders: int
) -> dict[str, Any]:
    """The statement once every service has followed its logs to their ends."""
    path = f"/v1/statement?startDate={first}&endDate={last}"
    deadline = time.monotonic() + _SETTLE_SECONDS
    quiet = 0
    with progress() as shown:
        task = shown.add_task("orders in the figures", total=orders)
        while time.monotonic() < deadline:
            statement: dict[str, Any] = json.loads(_expect_ok(sender.get(path, token)).body)
            counted = _orders(statement)
            shown.update(task, completed=counted)
            quiet = quiet + 1 if counted == orders and _caught_up(system) else 0
            if quiet == _QUIET_POLLS:
                return statement
            time.sleep(_POLL_SECONDS)
    raise click.ClickException(f"only {counted} of {orders} orders are in the figures: see {system.url}/healthz")


def _orders(statement: dict[str, Any]) -> int:
    """Orders in a statement, of every currency."""
    own = int(statement.get("store", {}).get("orders", 0))
    return own + sum(_orders(other) for other in statement.get("unconverted", []))


def _caught_up(system: System) -> bool:
    """True when every service has applied all entries that it knows of."""
    return all(
        seen.applied == seen.known
        for service in FOLLOWERS
        for generation in generations(system, service)[:1]
        for seen in [followed(generation)]
    )
